// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <ctime>

#include "base/log.h"
#include "kernel/flow_map.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

using std::chrono::seconds;

constexpr const char* kConfig =
    "version: 1\n"
    "node: {name: test, interfaces: [eth0], flows: {entries: 512}}\n"
    "groups:\n"
    "  web: {backends: [10.0.0.5, 10.0.0.6], flows: {share: 10%, ceiling: 25%}}\n"
    "services:\n"
    "  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, group: web,\n"
    "     tracking: always}\n"
    "  - {name: dns, vip: 192.0.2.10, protocol: udp, port: 53, forward: ipip, group: web}\n";
constexpr seconds kLifetime{900};  // Of established ones, unless configured.

class TablesTest : public ControllerTest {
 protected:
    void SetUp() override {
        ControllerTest::SetUp();
        options_.clock = [this] { return clock_; };
        log_to([this](LogLevel, std::string_view event, std::span<const LogField> fields) {
            if (!event.starts_with("table.")) return;
            std::string line(event);
            for (const LogField& field : fields)
                if (field.key == "table" || field.key == "level") line += " " + field.value;
            events_.push_back(line);
        });
        write(kConfig);
        start();
        const auto applied = controller_->apply_file();
        ASSERT_TRUE(applied) << applied.error().what;
        auto flows = kernel::FlowMap::open(state(), {});
        ASSERT_TRUE(flows) << flows.error().what;
        flows_.emplace(std::move(*flows));
    }
    void TearDown() override {
        log_to({});
        flows_.reset();
        ControllerTest::TearDown();
    }

    [[nodiscard]] std::string state() const { return options_.bpffs + "/test/state"; }

    void seconds_pass(int count) {
        for (int i = 0; i < count; ++i) {
            clock_ += seconds(1);
            controller_->on_change_tick();
            controller_->on_tick();
        }
    }

    MapStatus map(const std::string& name) {
        for (MapStatus& each : controller_->maps().maps)
            if (each.name == name) return each;
        ADD_FAILURE() << "no map " << name;
        return {};
    }

    /// Established flows of the first backend from place `from` on, as old as that.
    void remember(std::size_t from, std::size_t count, seconds age) {
        const auto& table = flows_->current();
        const int left = plan::ticks_of(kLifetime - age, table.geometry.shift);
        const auto expiry = static_cast<slc_u8>(table.tick() + static_cast<std::uint32_t>(left));
        for (std::size_t i = from; i < from + count; ++i)
            table.buckets()[i / SLC_FLOW_WAYS].entry[i % SLC_FLOW_WAYS] =
                slc_flow_entry(i << SLC_FLOW_FINGERPRINT_SHIFT, SLC_FLOW_ESTABLISHED, 1, expiry);
    }
    void expire(std::size_t from, std::size_t count) {
        const auto& table = flows_->current();
        const auto expiry = static_cast<slc_u8>(table.tick() - 5);
        for (std::size_t i = from; i < from + count; ++i)
            table.buckets()[i / SLC_FLOW_WAYS].entry[i % SLC_FLOW_WAYS] =
                slc_flow_entry(0, SLC_FLOW_ESTABLISHED, 1, expiry);
    }
    void forget() {
        for (auto& bucket : flows_->current().buckets()) bucket = {};
    }

    UniqueFd open_state(const char* name) {
        UniqueFd fd(::bpf_obj_get((state() + "/" + name).c_str()));
        EXPECT_TRUE(fd.valid()) << name;
        return fd;
    }

    plan::Instant clock_{seconds(1000)};
    std::vector<std::string> events_;
    std::optional<kernel::FlowMap> flows_;
};

TEST_F(TablesTest, flows_are_counted_by_age_and_the_expired_apart) {
    remember(0, 30, seconds(0));
    remember(30, 20, seconds(100));
    expire(60, 7);
    seconds_pass(1);
    MapStatus flows = map("slc_flows");
    EXPECT_EQ(flows.entries, 50u);
    EXPECT_EQ(flows.capacity, 512u);
    ASSERT_TRUE(flows.life);
    EXPECT_EQ(flows.life->expired, 7u);
    // A tick is some seconds: a flow of now may seem that old.
    const AgeHistogram& ages = flows.life->ages;
    EXPECT_EQ(ages[0] + ages[1], 30u);
    EXPECT_EQ(ages[age_class(seconds(100))], 20u);
    EXPECT_GE(flows.oldest, seconds(90));
    ASSERT_EQ(flows.groups.size(), 1u);
    EXPECT_EQ(flows.groups[0].entries, 50u);
    seconds_pass(3);  // The sweep has freed them.
    flows = map("slc_flows");
    EXPECT_EQ(flows.life->expired, 0u);
    EXPECT_GT(flows.life->trend.value().expired[observe::kShortWindow], -1e-9);
}

TEST_F(TablesTest, a_table_under_pressure_is_told_once_and_its_relief_too) {
    seconds_pass(5);
    EXPECT_TRUE(events_.empty());
    remember(0, 420, seconds(0));
    seconds_pass(20);
    ASSERT_FALSE(events_.empty());
    EXPECT_EQ(events_.front(), "table.pressure slc_flows high");
    EXPECT_EQ(std::count(events_.begin(), events_.end(), "table.pressure slc_flows high"), 1);
    EXPECT_EQ(map("slc_flows").life->trend->level, observe::TableLevel::high);
    forget();
    seconds_pass(30);
    EXPECT_EQ(std::count(events_.begin(), events_.end(), "table.relieved slc_flows none"), 1);
    EXPECT_EQ(map("slc_flows").life->trend->level, observe::TableLevel::none);
}

TEST_F(TablesTest, a_group_near_its_ceiling_is_watched) {
    seconds_pass(3);
    EXPECT_FALSE(map("slc_flows").groups.at(0).trend);
    // The sweep sets the account right: more than its ceiling, a quarter of the table.
    remember(0, 140, seconds(0));
    seconds_pass(6);
    const auto group = map("slc_flows").groups.at(0);
    EXPECT_EQ(group.ceiling, 128u);
    ASSERT_TRUE(group.trend);
    EXPECT_EQ(group.trend->level, observe::TableLevel::critical);
    EXPECT_EQ(events_, std::vector<std::string>{"table.pressure slc_flows/web critical"});
    EXPECT_EQ(map("slc_flows").life->trend->level, observe::TableLevel::none);
    forget();
    seconds_pass(30);
    EXPECT_EQ(events_.back(), "table.relieved slc_flows/web none");
    EXPECT_FALSE(map("slc_flows").groups.at(0).trend);
}

TEST_F(TablesTest, what_the_data_plane_counts_becomes_rates) {
    const UniqueFd counters = open_state("slc_flow_counters");
    std::vector<slc_flow_counter> cpus(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    seconds_pass(3);
    for (int i = 0; i < 10; ++i) {
        // Of both services, and of every CPU.
        for (auto& cpu : cpus) {
            cpu.inserts += 10;
            cpu.refused_full += 1;
        }
        for (std::uint32_t service = 1; service <= 2; ++service)
            ASSERT_EQ(::bpf_map_update_elem(counters.get(), &service, cpus.data(), BPF_ANY), 0);
        seconds_pass(1);
    }
    const auto trend = map("slc_flows").life->trend.value();
    const auto per_second = static_cast<double>(2 * cpus.size());
    EXPECT_NEAR(trend.inserts[observe::kShortWindow], 10 * per_second, per_second);
    EXPECT_NEAR(trend.refused[observe::kShortWindow], per_second, per_second / 10);
}

TEST_F(TablesTest, fragments_are_counted_by_age_and_service) {
    const UniqueFd frags = open_state("slc_frags");
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    const auto put = [&](std::uint32_t bucket, std::uint32_t service, std::uint32_t age) {
        slc_frag_bucket value{};
        const auto stamp = (static_cast<std::uint32_t>(now.tv_sec) - age) & 0xfffu;
        value.entry[bucket % SLC_FRAG_WAYS] = {bucket + 1, 1 | stamp << 20, service};
        ASSERT_EQ(::bpf_map_update_elem(frags.get(), &bucket, &value, BPF_ANY), 0);
    };
    for (std::uint32_t i = 0; i < 5; ++i) put(i, 2, 0);
    for (std::uint32_t i = 5; i < 8; ++i) put(i, 1, 11);
    for (std::uint32_t i = 8; i < 10; ++i) put(i, 1, 60);
    // A slice at a time, on machines with much memory.
    seconds_pass(SLC_FRAG_MAX_BUCKETS / 4096 + 1);
    const MapStatus status = map("slc_frags");
    EXPECT_TRUE(status.counted);
    EXPECT_EQ(status.entries, 8u);
    ASSERT_TRUE(status.life);
    EXPECT_EQ(status.life->expired, 2u);
    EXPECT_EQ(status.life->ages[0] + status.life->ages[1], 5u);
    EXPECT_EQ(status.life->ages[2], 3u);
    ASSERT_EQ(status.life->services.size(), 2u);
    EXPECT_EQ(status.life->services[0].service, "web");
    EXPECT_EQ(status.life->services[0].entries, 5u);
    EXPECT_EQ(status.life->services[1].service, "dns");
    EXPECT_TRUE(status.life->trend);
}

TEST_F(TablesTest, tables_of_a_generation_say_what_is_in_use) {
    const std::pair<const char*, std::uint64_t> expected[] = {
        {"slc_vips", 1},    {"slc_ports", 2},     {"slc_services", 2},
        {"slc_members", 2}, {"slc_rings", 1},     {"slc_accounts", 2},
        {"slc_slots", 256}, {"slc_prefixes4", 0}, {"slc_port_ranges", 0}};
    for (const auto& [name, entries] : expected) {
        const MapStatus status = map(name);
        EXPECT_TRUE(status.counted) << name;
        EXPECT_EQ(status.entries, entries) << name;
    }
    const MapsStatus maps = controller_->maps();
    for (const MapStatus& each : maps.maps) {
        if (!each.counted) continue;
        EXPECT_LE(each.entries, each.capacity) << each.name;
    }
}

}  // namespace
}  // namespace sluice::control
