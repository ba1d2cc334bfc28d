// SPDX-License-Identifier: Apache-2.0
#include "traffic/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "traffic/connections.h"
#include "traffic/datagrams.h"
#include "traffic/loop.h"
#include "traffic/report.h"
#include "traffic/settings.h"

namespace sluice::traffic {
namespace {

constexpr std::uint64_t kTickKey = 0;
constexpr std::uint64_t kFirstDatagrams = 1ull << 62;
constexpr std::uint64_t kTick = 2 * kMillisecond;
constexpr std::uint64_t kMostPerTick = 50;
constexpr std::uint64_t kLastingPerTick = 4;

class Client : public Loop::Owner {
 public:
    Client(Loop& loop, const Settings& settings)
        : loop_(loop),
          settings_(settings),
          connections_(loop, settings, report_),
          datagrams_(loop, settings, report_, kFirstDatagrams) {}

    Result<void> begin() {
        report_.start_ns = brief_since_ = now_ns();
        loop_.at(report_.start_ns, kTickKey);
        return datagrams_.begin();
    }

    void on_event(std::uint64_t key, std::uint32_t events) override {
        if (key >= kFirstDatagrams) return datagrams_.on_event(key);
        connections_.on_event(key, events);
    }

    void on_time(std::uint64_t key) override {
        if (key == kTickKey) return tick();
        if (key < kFirstDatagrams) return connections_.on_time(key);
        if (!stopping_) datagrams_.on_time(key);
    }

    void on_progress() override {
        fmt::print("{}\n", report_.json(now_ns()));
        std::fflush(stdout);
    }

    void on_stop() override {
        stopping_ = true;
        connections_.close_lasting();
    }

 private:
    void tick() {
        if (stopping_) {
            if (connections_.empty()) return loop_.end();
        } else {
            begin_lasting(Kind::talk, settings_.talk);
            begin_lasting(Kind::silent, settings_.silent);
            begin_brief();
        }
        loop_.at(now_ns() + kTick, kTickKey);
    }

    void begin_lasting(Kind kind, std::uint64_t wanted) {
        std::uint64_t& begun = kind == Kind::talk ? talk_ : silent_;
        for (std::uint64_t i = 0; i < kLastingPerTick && begun < wanted; ++i)
            connections_.begin(kind, begun++);
    }

    /// As many as are due. What this process was held up for is not all made up for at once.
    void begin_brief() {
        const std::uint64_t now = now_ns();
        std::uint64_t due = (now - brief_since_) * settings_.brief_per_s / kSecond;
        if (due > brief_ + kMostPerTick) {
            due = brief_ + kMostPerTick;
            brief_since_ = now - due * kSecond / settings_.brief_per_s;
        }
        while (brief_ < due) connections_.begin(Kind::brief, brief_++);
    }

    Loop& loop_;
    const Settings& settings_;
    Report report_;
    Connections connections_;
    Datagrams datagrams_;
    std::uint64_t talk_ = 0, silent_ = 0, brief_ = 0;  ///< Begun.
    std::uint64_t brief_since_ = 0;
    bool stopping_ = false;
};

}  // namespace

Result<void> run_client(const Options& options) {
    raise_descriptor_limit();
    const Settings settings = SLC_TRY(Settings::from(options), "client");
    Loop loop = SLC_TRY(Loop::open(), "client");
    Client client(loop, settings);
    SLC_CHECK(client.begin(), "client");
    fmt::print("ready\n");
    std::fflush(stdout);
    SLC_CHECK(loop.run(client), "client");
    client.on_progress();
    return {};
}

}  // namespace sluice::traffic
