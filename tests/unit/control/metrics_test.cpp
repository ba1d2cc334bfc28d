// SPDX-License-Identifier: Apache-2.0

/// What the controller tells /metrics, against the real kernel: counts stay with their names
/// whatever becomes of ids, rows, generations and daemons.

#include "control/metrics_source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "control/counter_ledger.h"
#include "kernel/pinned_text.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

constexpr std::uint32_t kBackends = 2;

std::string config_of(const std::vector<std::string>& services, const std::string& more = "") {
    std::string out =
        "version: 2\nnode: {name: test, interfaces: [eth0]}\ngroups:\n"
        "  web: {backends: [10.0.0.5, 10.0.0.6]}\nservices:\n";
    int last = 10;
    for (const auto& name : services)
        out += "  - {name: " + name + ", vip: 192.0.2." + std::to_string(last++) +
               ", port: 80, group: web, customer: acme}\n";
    return out + more;
}

class MetricsTest : public ControllerTest {
 protected:
    void begin(const std::vector<std::string>& services) {
        write(config_of(services));
        start();
        apply();
    }
    void apply() {
        const auto applied = controller_->apply_file();
        ASSERT_TRUE(applied) << applied.error().what;
    }
    void restart() {
        controller_.reset();
        start();
        apply();
    }
    void change(const std::vector<std::string>& services) {
        write(config_of(services));
        apply();
    }

    /// All ids have been given: the next names take those of s10, s11..., released first.
    void give_all_ids() {
        plan::IdStore ids;
        ASSERT_TRUE(ids.services.assign("web"));
        for (std::uint32_t i = 2; i < SLC_MAX_SERVICES; ++i)
            ASSERT_TRUE(ids.services.assign("s" + std::to_string(i)));
        ids.services.retain({"web"});
        keep_ids(ids.to_json());
    }
    void keep_ids(const std::string& text) {
        std::filesystem::create_directories(options_.state_dir);
        std::ofstream(options_.state_dir + "/ids.json") << text;
    }

    /// So many packets more, as the data plane would count them.
    template <typename Counter>
    void count(const char* map, std::uint32_t index, std::uint64_t packets) {
        const UniqueFd fd(::bpf_obj_get((options_.bpffs + "/test/state/" + map).c_str()));
        ASSERT_TRUE(fd.valid()) << map;
        std::vector<Counter> cpus(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
        ASSERT_EQ(::bpf_map_lookup_elem(fd.get(), &index, cpus.data()), 0) << map;
        cpus.back().packets += packets;
        ASSERT_EQ(::bpf_map_update_elem(fd.get(), &index, cpus.data(), BPF_ANY), 0) << map;
    }
    void count_service(std::uint32_t id, std::uint64_t packets) {
        count<slc_service_counter>("slc_service_counters", id, packets);
    }
    void count_forwarded(std::uint64_t packets) {
        count<slc_counter>(
            "slc_reason_counters",
            SLC_REASON_INDEX(::if_nametoindex("eth0"), SLC_REASON_FORWARDED, SLC_FAMPROTO_IP4_TCP),
            packets);
    }

    std::uint64_t packets_of(const std::string& name) {
        for (const auto& service : controller_->metrics().services)
            if (service.name == name) return service.counts.packets;
        ADD_FAILURE() << "no service " << name;
        return 0;
    }
    std::uint64_t forwarded() {
        const auto interfaces = controller_->metrics().interfaces;
        if (interfaces.size() == 1 && interfaces[0].counts)
            return interfaces[0].counts->sent.packets;
        ADD_FAILURE() << "no counts of the interface";
        return 0;
    }
    std::uint32_t id_of(const std::string& name) {
        for (const auto& service : controller_->status().services)
            if (service.name == name) return service.id;
        return 0;
    }
};

TEST_F(MetricsTest, counts_of_a_service_survive_its_removal_and_the_daemons) {
    begin({"web", "dns"});
    count_service(id_of("dns"), 40);
    EXPECT_EQ(packets_of("dns"), 40u);
    change({"web"});
    EXPECT_EQ(controller_->metrics().services.size(), 1u);
    restart();
    change({"web", "dns"});
    EXPECT_EQ(packets_of("dns"), 40u);
    EXPECT_EQ(packets_of("web"), 0u);
}

TEST_F(MetricsTest, a_service_that_gets_anothers_id_gets_no_count_of_it) {
    give_all_ids();
    begin({"web"});
    count_service(10, 400);
    change({"web", "dns"});
    ASSERT_EQ(id_of("dns"), 10u);
    EXPECT_EQ(packets_of("dns"), 0u);
    count_service(10, 7);
    EXPECT_EQ(packets_of("dns"), 7u);
    restart();
    EXPECT_EQ(packets_of("dns"), 7u);
    change({"web", "dns", "s10"});
    EXPECT_NE(id_of("s10"), 10u);
    EXPECT_EQ(packets_of("s10"), 400u) << "it goes on where it was, at another id";
    count_service(id_of("s10"), 1);
    EXPECT_EQ(packets_of("s10"), 401u);
    EXPECT_EQ(packets_of("dns"), 7u);
}

TEST_F(MetricsTest, a_change_that_is_refused_half_way_takes_nobodys_count) {
    give_all_ids();
    begin({"web"});
    count_service(10, 400);
    std::string text = config_of({"web", "dns"});
    text.replace(text.find("[eth0]"), 6, "[eth0, nowhere0]");
    write(text);
    ASSERT_FALSE(controller_->apply_file()) << "the second interface is not there";
    count_service(10, 3);
    // The id is still that of s10, and is given to somebody else.
    change({"web", "ntp"});
    ASSERT_EQ(id_of("ntp"), 10u);
    count_service(10, 7);
    change({"web", "ntp", "s10", "dns"});
    EXPECT_EQ(packets_of("ntp"), 7u);
    EXPECT_EQ(packets_of("s10"), 403u);
    EXPECT_EQ(packets_of("dns"), 0u);
}

TEST_F(MetricsTest, an_interface_that_is_made_again_goes_on) {
    begin({"web"});
    count_forwarded(5);
    EXPECT_EQ(forwarded(), 5u);
    for (const std::uint64_t more : {2, 3}) {
        const std::uint32_t before = ::if_nametoindex("eth0");
        network_.run(
            "ip link del eth0 && ip link add eth0 type veth peer name peer0 && "
            "ip link set eth0 up");
        ASSERT_NE(::if_nametoindex("eth0"), before);
        controller_->on_tick();
        const std::uint64_t sofar = forwarded();
        count_forwarded(more);
        EXPECT_EQ(forwarded(), sofar + more);
    }
    EXPECT_EQ(forwarded(), 10u);
    restart();
    EXPECT_EQ(forwarded(), 10u);
}

TEST_F(MetricsTest, an_interface_does_not_begin_with_what_another_counted_in_its_row) {
    begin({"web"});
    count_forwarded(5);
    const std::uint32_t row = ::if_nametoindex("eth0") % SLC_INTERFACE_ROWS;
    // Another one with the same row takes its place.
    network_.run("ip link add eth9 index " + std::to_string(1000 * SLC_INTERFACE_ROWS + row) +
                 " type veth peer name peer9 && ip link set eth9 up");
    std::string text = config_of({"web"});
    text.replace(text.find("eth0"), 4, "eth9");
    write(text);
    apply();
    EXPECT_EQ(forwarded(), 0u);
    change({"web"});
    EXPECT_EQ(forwarded(), 5u);
}

/// What was logged while it lives.
class Events {
 public:
    Events() {
        log_also_to([this](LogLevel, std::string_view event, std::span<const LogField>) {
            names_.emplace_back(event);
        });
    }
    ~Events() { log_also_to({}); }
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;

    [[nodiscard]] std::ptrdiff_t count(std::string_view name) const {
        return std::count(names_.begin(), names_.end(), name);
    }

 private:
    std::vector<std::string> names_;
};

TEST_F(MetricsTest, interfaces_that_count_in_one_row_are_both_not_told_and_go_on_afterwards) {
    const Events events;
    begin({"web"});
    count_forwarded(5);
    EXPECT_EQ(events.count("metrics.row_shared"), 0);
    const std::uint32_t row = ::if_nametoindex("eth0") % SLC_INTERFACE_ROWS;
    network_.run("ip link add eth9 index " + std::to_string(1000 * SLC_INTERFACE_ROWS + row) +
                 " type veth peer name peer9 && ip link set eth9 up");
    std::string both = config_of({"web"});
    both.replace(both.find("[eth0]"), 6, "[eth0, eth9]");
    write(both);
    apply();
    EXPECT_EQ(events.count("metrics.row_shared"), 1) << "when it is attached";
    count_forwarded(100);
    for (int scrape = 0; scrape < 2; ++scrape) {
        const auto interfaces = controller_->metrics().interfaces;
        ASSERT_EQ(interfaces.size(), 2u);
        for (const auto& each : interfaces) EXPECT_FALSE(each.counts) << each.name;
    }
    restart();
    (void)controller_->metrics();
    EXPECT_EQ(events.count("metrics.row_shared"), 2) << "once by each daemon";
    change({"web"});
    EXPECT_EQ(forwarded(), 5u) << "none of the sum";
    count_forwarded(2);
    EXPECT_EQ(forwarded(), 7u);
    std::string other = config_of({"web"});
    other.replace(other.find("[eth0]"), 6, "[eth9]");
    write(other);
    apply();
    EXPECT_EQ(forwarded(), 0u);
    write(both);
    apply();
    EXPECT_EQ(events.count("metrics.row_shared"), 3) << "again, as it had ended";
}

TEST_F(MetricsTest, counters_of_others_that_begin_anew_while_no_daemon_runs_go_on) {
    begin({"web"});
    (void)controller_->metrics();
    // By the backlog of some CPU, after the ledger was kept for the first time.
    network_.run("ip link set lo up && bash -c 'echo x > /dev/udp/127.0.0.1/9'");
    const auto told = controller_->metrics().backlogs;
    ASSERT_FALSE(told.empty());
    controller_.reset();

    const std::string pin = options_.bpffs + "/test/state/counter_ledger";
    const auto text = kernel::read_pinned_text(pin);
    ASSERT_TRUE(text) << text.error().what;
    auto ledger = CounterLedger::from_text(*text);
    ASSERT_TRUE(ledger);
    for (const auto& each : told) {
        const std::string key = "cpu/" + std::to_string(each.cpu) + "/processed";
        EXPECT_GE(ledger->steady(key, 0, 32), each.processed) << "kept at shutdown";
    }
    // As if it had said more than it does now.
    const std::uint64_t more = std::uint64_t{1} << 50;
    ledger->steady("eth0//rx_packets/rtnetlink", more);
    ASSERT_TRUE(kernel::write_pinned_text(pin, ledger->to_text()));
    start();
    apply();
    bool is_there = false;
    for (const auto& each : controller_->metrics().nic) {
        if (each.queue || each.source != node::NicSource::rtnetlink ||
            each.kind != node::NicCounterKind::rx_packets)
            continue;
        is_there = true;
        EXPECT_GE(each.value, more);
    }
    EXPECT_TRUE(is_there);
}

TEST_F(MetricsTest, a_removed_instance_begins_with_zero) {
    begin({"web"});
    count_forwarded(5);
    network_.run(
        "ip link del eth0 && ip link add eth0 type veth peer name peer0 && "
        "ip link set eth0 up");
    controller_->on_tick();
    EXPECT_EQ(forwarded(), 5u);
    controller_.reset();
    ASSERT_TRUE(kernel::Instance::remove(options_.bpffs, "test"));
    begin({"web"});
    EXPECT_EQ(forwarded(), 0u);
}

/// What both tell must agree.
void expect_as_status(const MetricsSource& metrics, const NodeStatus& status, const char* when) {
    ASSERT_EQ(metrics.services.size(), status.services.size()) << when;
    for (std::size_t i = 0; i < status.services.size(); ++i) {
        EXPECT_EQ(metrics.services[i].backends_ready, status.services[i].backends_ready) << when;
        EXPECT_EQ(metrics.services[i].backends, status.services[i].backends_total) << when;
    }
    ASSERT_EQ(metrics.backends.size(), status.backends.size()) << when;
    for (std::size_t i = 0; i < status.backends.size(); ++i) {
        const auto& backend = status.backends[i];
        EXPECT_EQ(metrics.backends[i].weight, backend.weight) << when;
        EXPECT_EQ(metrics.backends[i].up, backend.hop == plan::HopState::resolved &&
                                              backend.state != config::BackendState::maint &&
                                              backend.state != config::BackendState::down)
            << when << ' ' << backend.address.text();
    }
}

TEST_F(MetricsTest, states_weights_and_next_hops_are_those_of_status) {
    begin({"web", "dns"});
    ASSERT_EQ(controller_->metrics().backends.size(), kBackends);
    expect_as_status(controller_->metrics(), controller_->status(), "one has no next hop");
    fake_->set(*IpAddress::parse("10.0.0.6"), resolved());
    controller_->on_network();
    expect_as_status(controller_->metrics(), controller_->status(), "both have one");
    for (const auto state : {config::BackendState::drain, config::BackendState::maint,
                             config::BackendState::down, config::BackendState::ready}) {
        BackendOrder order;
        order.owner = "web";
        order.address = *IpAddress::parse("10.0.0.5");
        order.state = state;
        ASSERT_TRUE(controller_->order(order));
        expect_as_status(controller_->metrics(), controller_->status(), config::name_of(state));
    }
    BackendOrder order;
    order.owner = "web";
    order.address = *IpAddress::parse("10.0.0.5");
    order.weight = 0;
    ASSERT_TRUE(controller_->order(order));
    expect_as_status(controller_->metrics(), controller_->status(), "of no weight");
}

TEST_F(MetricsTest, counters_of_the_daemon_that_cannot_be_had_now_go_on_later) {
    const std::string file = options_.state_dir + "/counters";
    start();
    std::filesystem::create_directories(options_.state_dir);
    ASSERT_TRUE(controller_->metrics().daemon.is_whole);
    controller_.reset();
    // An earlier run that has counted much.
    const std::uint64_t much = std::uint64_t{1} << 50;
    {
        auto kept = KeptCounters::open(file);
        ASSERT_TRUE(kept);
        ASSERT_GE(kept->fold(Kept::cpu_us, much), much);
    }
    std::filesystem::rename(file, file + ".away");
    std::filesystem::create_directory(file);
    const Events events;
    start();
    for (int scrape = 0; scrape < 2; ++scrape) {
        EXPECT_FALSE(controller_->metrics().daemon.is_whole);
    }
    EXPECT_EQ(events.count("metrics.counters_not_kept"), 1);
    std::filesystem::remove(file);
    std::filesystem::rename(file + ".away", file);
    const auto told = controller_->metrics().daemon;
    EXPECT_TRUE(told.is_whole);
    EXPECT_GT(told.cpu_us, much) << "what was counted meanwhile too";
    std::filesystem::remove(file);
}

TEST_F(MetricsTest, before_a_configuration_there_is_still_a_page) {
    start();
    const auto metrics = controller_->metrics();
    EXPECT_EQ(metrics.summary.generation, 0u);
    EXPECT_GT(metrics.process.resident_bytes, 0u);
    EXPECT_GT(metrics.process.open_fds, 3u);
    EXPECT_GT(metrics.process.started.count(), 0);
}

}  // namespace
}  // namespace sluice::control
