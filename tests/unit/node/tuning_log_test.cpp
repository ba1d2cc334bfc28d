// SPDX-License-Identifier: Apache-2.0
#include "node/tuning_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>

#include "base/file.h"

namespace sluice::node {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

const DeviceNumbers kHere{"boot-1", "net:[1]"};

/// Settings in memory. Writing the settings named in `refused` fails; `halfway` ones change and
/// fail; before each write `on_write` runs.
class FakePort : public NicPort {
 public:
    using Values = std::map<std::string, std::string>;

    Result<std::string> read(const std::string& interface, const std::string& setting) override {
        const auto nic = nics.find(interface);
        if (nic == nics.end()) return fail(Errc::not_found, "no " + interface);
        if (unread.contains(setting)) return fail(unread.at(setting), setting + ": not read");
        const auto value = nic->second.find(setting);
        if (value == nic->second.end()) return fail(Errc::unsupported, "no " + setting);
        return value->second;
    }
    Result<void> write(const std::string& interface, const std::string& setting,
                       const std::string& value) override {
        if (on_write) on_write();
        writes.push_back(interface + " " + setting + " = " + value);
        if (refused.contains(setting)) return fail(Errc::unsupported, setting + ": refused");
        nics[interface][setting] = halfway.contains(setting) ? halfway[setting] : value;
        if (halfway.contains(setting)) return fail(Errc::system, setting + ": failed");
        return {};
    }
    std::optional<std::string> name_of(std::uint32_t ifindex) override {
        const auto found = names.find(ifindex);
        if (found == names.end()) return std::nullopt;
        return found->second;
    }
    std::string driver_of(const std::string&) override { return "ixgbe"; }
    bool has_xdp(const std::string&) override { return is_attached; }

    std::map<std::string, Values> nics;
    std::map<std::uint32_t, std::string> names;
    std::map<std::string, std::string> refused, halfway;
    std::map<std::string, Errc> unread;
    std::function<void()> on_write;
    Texts writes;
    bool is_attached = false;
};

class Tuned : public ::testing::Test {
 protected:
    void SetUp() override {
        port.nics["eth0"] = {{"feature rx-lro", "on"},
                             {"channels", "combined 1"},
                             {"rings", "rx 256 tx 256"},
                             {"affinity 0", "0-3"}};
        port.nics["eth1"] = {{"rings", "rx 128 tx 128"}};
        port.names = {{2, "eth0"}, {3, "eth1"}};
    }
    void TearDown() override { fs::remove_all(directory); }

    static TuningStep step(const std::string& setting, const std::string& wanted,
                           bool is_needed = false) {
        TuningStep out;
        out.setting = setting;
        out.wanted = wanted;
        out.is_needed = is_needed;
        return out;
    }
    static TuningPlan plan() {
        TuningPlan out;
        out.interface = "eth0";
        out.ifindex = 2;
        out.steps = {step("feature rx-lro", "off", true), step("channels", "combined 4", true),
                     step("rings", "rx 1024 tx 1024"), step("affinity 0", "0")};
        return out;
    }
    static TuningPlan second_plan() {
        TuningPlan out;
        out.interface = "eth1";
        out.ifindex = 3;
        out.steps = {step("rings", "rx 512 tx 512")};
        return out;
    }

    Result<TuningLog> log(const DeviceNumbers& numbers = kHere) const {
        return TuningLog::open(directory, numbers);
    }
    Texts apply(const std::vector<TuningPlan>& plans) {
        auto opened = log();
        EXPECT_TRUE(opened.has_value());
        return texts(apply_tuning(plans, port, *opened));
    }
    Texts undo(bool allow_reset = false) {
        auto opened = log();
        EXPECT_TRUE(opened.has_value());
        return texts(undo_tuning(port, *opened, allow_reset));
    }
    /// "eth0 rings made rx 256 tx 256 -> rx 1024 tx 1024: why not"
    static Texts texts(const Result<std::vector<TuningOutcome>>& outcomes) {
        EXPECT_TRUE(outcomes.has_value());
        Texts out;
        if (outcomes)
            for (const TuningOutcome& one : *outcomes)
                out.push_back(one.interface + " " + one.setting + " " + name_of(one.end) + " " +
                              one.from + " -> " + one.to +
                              (one.error.empty() ? "" : ": " + one.error));
        return out;
    }
    [[nodiscard]] std::string file() const { return directory + "/tuning.json"; }

    std::string directory =
        (fs::temp_directory_path() / ("sluice-tuning-" + std::to_string(::getpid()))).string();
    FakePort port;
};

TEST_F(Tuned, what_is_changed_is_put_back_in_the_opposite_order) {
    const auto before = port.nics;
    EXPECT_EQ(
        apply({plan(), second_plan()}),
        (Texts{"eth0 feature rx-lro made on -> off", "eth0 channels made combined 1 -> combined 4",
               "eth0 rings made rx 256 tx 256 -> rx 1024 tx 1024", "eth0 affinity 0 made 0-3 -> 0",
               "eth1 rings made rx 128 tx 128 -> rx 512 tx 512"}));
    EXPECT_NE(port.nics, before);
    port.writes.clear();
    undo();
    EXPECT_EQ(port.nics, before);
    EXPECT_EQ(port.writes, (Texts{"eth1 rings = rx 128 tx 128", "eth0 affinity 0 = 0-3",
                                  "eth0 rings = rx 256 tx 256", "eth0 channels = combined 1",
                                  "eth0 feature rx-lro = on"}));
    EXPECT_FALSE(fs::exists(file()));
    EXPECT_EQ(undo(), Texts{});
}

TEST_F(Tuned, what_is_as_wanted_is_neither_written_nor_recorded) {
    port.nics["eth0"]["rings"] = "rx 1024 tx 1024";
    apply({plan()});
    EXPECT_EQ(std::count(port.writes.begin(), port.writes.end(), "eth0 rings = rx 1024 tx 1024"),
              0);
    undo();
    EXPECT_EQ(port.nics["eth0"]["rings"], "rx 1024 tx 1024");
}

TEST_F(Tuned, a_second_run_does_not_forget_what_was_first) {
    const auto before = port.nics;
    apply({plan()});
    TuningPlan other = plan();
    other.steps = {step("rings", "rx 4096 tx 4096")};
    apply({other});
    EXPECT_EQ(port.nics["eth0"]["rings"], "rx 4096 tx 4096");
    undo();
    EXPECT_EQ(port.nics, before);
}

TEST_F(Tuned, a_needed_step_that_fails_takes_its_interface_back_and_no_other) {
    const auto before = port.nics;
    port.refused = {{"channels", ""}};
    EXPECT_EQ(apply({plan(), second_plan()}),
              (Texts{"eth0 feature rx-lro made on -> off",
                     "eth0 channels failed combined 1 -> combined 4: channels: refused",
                     "eth0 feature rx-lro undone off -> on",
                     "eth1 rings made rx 128 tx 128 -> rx 512 tx 512"}));
    EXPECT_EQ(port.nics["eth0"], before.at("eth0"));
}

TEST_F(Tuned, a_run_that_fails_takes_back_nothing_of_an_earlier_one) {
    const auto before = port.nics;
    TuningPlan first = plan();
    first.steps = {step("channels", "combined 4", true), step("rings", "rx 1024 tx 1024")};
    apply({first});
    const auto tuned = port.nics;
    // Now with traffic, and without leave to reset the link.
    port.is_attached = true;
    port.refused = {{"feature rx-lro", ""}};
    port.writes.clear();
    EXPECT_EQ(apply({plan()}),
              Texts{"eth0 feature rx-lro failed on -> off: feature rx-lro: refused"});
    EXPECT_EQ(port.nics, tuned);
    EXPECT_EQ(port.writes, Texts{"eth0 feature rx-lro = off"});
    EXPECT_EQ(undo(true), (Texts{"eth0 rings undone rx 1024 tx 1024 -> rx 256 tx 256",
                                 "eth0 channels undone combined 4 -> combined 1"}));
    EXPECT_EQ(port.nics, before);
}

TEST_F(Tuned, a_setting_of_two_runs_goes_back_by_one_run_at_a_time) {
    const auto before = port.nics;
    apply({plan()});
    const std::string record = read_whole_file(file()).value_or("");
    const auto tuned = port.nics;
    TuningPlan other = plan();
    other.steps = {step("rings", "rx 4096 tx 4096"), step("channels", "combined 8", true)};
    port.refused = {{"channels", ""}};
    EXPECT_EQ(apply({other}),
              (Texts{"eth0 rings made rx 1024 tx 1024 -> rx 4096 tx 4096",
                     "eth0 channels failed combined 4 -> combined 8: channels: refused",
                     "eth0 rings undone rx 4096 tx 4096 -> rx 1024 tx 1024"}));
    EXPECT_EQ(port.nics, tuned);
    EXPECT_EQ(read_whole_file(file()).value_or(""), record) << "also of what was refused";
    port.refused.clear();
    undo();
    EXPECT_EQ(port.nics, before);
}

TEST_F(Tuned, a_run_that_fails_resets_no_link_that_it_may_not) {
    TuningPlan planned = plan();
    planned.steps = {step("rings", "rx 1024 tx 1024"), step("affinity 0", "0"),
                     step("channels", "combined 4", true)};
    port.refused = {{"channels", ""}};
    // The daemon attaches between planning and failing.
    port.on_write = [this] { port.is_attached = true; };
    EXPECT_EQ(apply({planned}).back(),
              "eth0 rings postponed rx 1024 tx 1024 -> rx 256 tx 256: it resets the link while XDP "
              "handles packets: --allow-reset");
    EXPECT_EQ(port.nics["eth0"]["rings"], "rx 1024 tx 1024");
    EXPECT_EQ(port.nics["eth0"]["affinity 0"], "0-3");
    EXPECT_EQ(undo(true), Texts{"eth0 rings undone rx 1024 tx 1024 -> rx 256 tx 256"});
    planned.allow_reset = true;
    EXPECT_EQ(apply({planned}).back(), "eth0 rings undone rx 1024 tx 1024 -> rx 256 tx 256");
    EXPECT_FALSE(fs::exists(file()));
}

TEST_F(Tuned, killed_while_it_takes_back_the_first_run_can_still_be_undone) {
    const auto before = port.nics;
    apply({plan()});
    TuningPlan other = plan();
    other.steps = {step("rings", "rx 4096 tx 4096"), step("channels", "combined 8", true)};
    port.refused = {{"channels", ""}};
    std::vector<std::string> records;
    port.on_write = [&] { records.push_back(read_whole_file(file()).value_or("")); };
    apply({other});
    port.on_write = nullptr;
    port.refused.clear();
    ASSERT_EQ(records.size(), 3u);
    // Right after the last write, which put the first run's rings back.
    ASSERT_TRUE(write_file(file(), records.back()).has_value());
    undo();
    EXPECT_EQ(port.nics, before);
}

TEST_F(Tuned, a_step_that_is_not_needed_is_left_out) {
    port.refused = {{"affinity 0", ""}};
    port.nics["eth0"].erase("rings");
    EXPECT_EQ(apply({plan()}), (Texts{"eth0 feature rx-lro made on -> off",
                                      "eth0 channels made combined 1 -> combined 4",
                                      "eth0 rings skipped  -> rx 1024 tx 1024: no rings",
                                      "eth0 affinity 0 skipped 0-3 -> 0: affinity 0: refused"}));
    port.refused.clear();
    EXPECT_EQ(undo().size(), 2u);
}

TEST_F(Tuned, a_change_that_fails_halfway_is_put_back_too) {
    const auto before = port.nics;
    port.halfway = {{"rings", "rx 1024 tx 256"}};
    apply({plan()});
    EXPECT_EQ(port.nics["eth0"]["rings"], "rx 1024 tx 256");
    port.halfway.clear();
    undo();
    EXPECT_EQ(port.nics, before);
}

TEST_F(Tuned, killed_at_any_moment_what_was_can_be_put_back) {
    // The file as it is before each write and the devices as they are then: what a kill leaves.
    struct Moment {
        std::string file;
        std::map<std::string, FakePort::Values> nics;
    };
    const auto before = port.nics;
    std::vector<Moment> moments;
    const auto remember = [&] {
        moments.push_back({read_whole_file(file()).value_or(""), port.nics});
    };
    port.on_write = remember;
    apply({plan(), second_plan()});
    port.on_write = nullptr;
    ASSERT_EQ(moments.size(), 5u);
    // And right after each write, before it is recorded that it was made.
    for (std::size_t i = 0; i + 1 < 5; ++i)
        moments.push_back({moments[i].file, moments[i + 1].nics});
    for (const Moment& moment : moments) {
        ASSERT_TRUE(write_file(file(), moment.file).has_value());
        port.nics = moment.nics;
        undo();
        EXPECT_EQ(port.nics, before) << moment.file;
    }
}

TEST_F(Tuned, a_device_that_was_renamed_is_found_and_one_that_is_gone_stops_nobody) {
    apply({plan(), second_plan()});
    port.nics["lan0"] = port.nics["eth0"];
    port.nics.erase("eth0");
    port.names = {{2, "lan0"}};
    EXPECT_EQ(undo().front(), "eth1 rings gone rx 512 tx 512 -> rx 128 tx 128: the device is gone");
    EXPECT_EQ(port.nics["lan0"]["rings"], "rx 256 tx 256");
    EXPECT_FALSE(fs::exists(file()));
}

TEST_F(Tuned, what_somebody_else_changed_since_is_left_to_them) {
    apply({plan()});
    port.nics["eth0"]["rings"] = "rx 2048 tx 2048";
    const Texts outcomes = undo();
    EXPECT_EQ(outcomes[1],
              "eth0 rings left rx 2048 tx 2048 -> rx 256 tx 256: it was rx 1024 tx 1024 after the "
              "tuning");
    EXPECT_EQ(port.nics["eth0"]["rings"], "rx 2048 tx 2048");
    EXPECT_FALSE(fs::exists(file()));
}

TEST_F(Tuned, what_cannot_be_put_back_stays_recorded_and_stops_nobody) {
    apply({plan()});
    port.refused = {{"channels", ""}};
    const Texts outcomes = undo();
    EXPECT_EQ(outcomes.size(), 4u);
    EXPECT_EQ(port.nics["eth0"]["feature rx-lro"], "on");
    port.refused.clear();
    EXPECT_EQ(undo(), Texts{"eth0 channels undone combined 4 -> combined 1"});
}

TEST_F(Tuned, what_cannot_be_read_stays_recorded_and_untouched) {
    const auto before = port.nics;
    for (const Errc code : {Errc::conflict, Errc::not_found, Errc::denied, Errc::unreachable,
                            Errc::limit, Errc::system}) {
        SCOPED_TRACE(static_cast<int>(code));
        apply({plan()});
        port.unread = {{"affinity 0", code}, {"rings", code}};
        EXPECT_EQ(undo(), (Texts{"eth0 affinity 0 failed 0 -> 0-3: affinity 0: not read",
                                 "eth0 rings failed rx 1024 tx 1024 -> rx 256 tx 256: rings: not "
                                 "read",
                                 "eth0 channels undone combined 4 -> combined 1",
                                 "eth0 feature rx-lro undone off -> on"}));
        EXPECT_EQ(port.nics["eth0"]["rings"], "rx 1024 tx 1024");
        port.unread.clear();
        EXPECT_EQ(undo().size(), 2u);
        EXPECT_EQ(port.nics, before);
    }
}

TEST_F(Tuned, what_a_device_has_no_more_is_gone) {
    apply({plan()});
    port.nics["eth0"].erase("affinity 0");
    EXPECT_EQ(undo().front(),
              "eth0 affinity 0 gone 0 -> 0-3: the device has no such setting any more");
    EXPECT_FALSE(fs::exists(file()));
}

TEST_F(Tuned, undoing_does_not_reset_the_link_under_traffic_unless_allowed) {
    apply({second_plan()});
    port.is_attached = true;
    EXPECT_EQ(undo(), Texts{"eth1 rings postponed rx 512 tx 512 -> rx 128 tx 128: it resets the "
                            "link while XDP handles packets: --allow-reset"});
    EXPECT_EQ(undo(true), Texts{"eth1 rings undone rx 512 tx 512 -> rx 128 tx 128"});
}

TEST_F(Tuned, a_record_of_another_boot_says_nothing) {
    apply({plan()});
    const auto other = log({"boot-2", "net:[7]"});
    ASSERT_TRUE(other.has_value());
    EXPECT_TRUE(other->settings().empty());
}

TEST_F(Tuned, a_record_of_another_network_namespace_is_not_touched) {
    apply({plan()});
    const auto other = log({"boot-1", "net:[7]"});
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code, Errc::conflict);
    EXPECT_EQ(undo().size(), 4u);
}

TEST_F(Tuned, one_at_a_time) {
    const auto first = log();
    ASSERT_TRUE(first.has_value());
    const auto second = log();
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().what, "another sluice is tuning at this moment");
}

TEST_F(Tuned, a_record_that_cannot_be_read_is_said_so_and_kept) {
    ASSERT_TRUE(make_directory(directory).has_value());
    for (const char* text : {"", "{", "[]", "{\"version\": 2, \"settings\": []}",
                             "{\"version\": 1, \"boot\": \"boot-1\", \"network\": \"net:[1]\", "
                             "\"settings\": [7]}"}) {
        ASSERT_TRUE(write_file(file(), text).has_value());
        const auto opened = log();
        ASSERT_FALSE(opened.has_value()) << text;
        EXPECT_EQ(opened.error().hint, "move it away if what it says can be done without");
        EXPECT_TRUE(fs::exists(file()));
    }
}

}  // namespace
}  // namespace sluice::node
