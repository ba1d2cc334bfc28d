// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A node whose every answer is fixed, so that what is printed of it can be asserted whole.
/// Addresses are those of RFC 5737 and RFC 3849.

#include <atomic>
#include <cstdint>
#include <string>

#include "control/status.h"
#include "tests/cli/fake_configurations.h"
#include "tests/cli/fake_observation.h"
#include "tests/cli/fake_watch.h"

namespace sluice::test {

enum class Scene {
    healthy,   ///< Two services, three backends, some traffic.
    degraded,  ///< A service without backends, generic XDP, a refused reload, drops.
    crowded,   ///< More services and problems than fit a screen.
    changing,  ///< Overrides, a drain with an open window, a retired backend, a fuller flow table.
    empty,     ///< Started; no configuration in force.
    awaiting,  ///< As healthy; generation 3 waits for its confirmation.
    canary,    ///< As healthy; generation 4 is a canary.
    watched,   ///< As healthy; backends have checks, which some do not pass (fake_health.h).
};

control::NodeStatus make_status(Scene scene);

/// What the fake's flow table holds: flow i belongs to backend i mod 3 of group web, and has class
/// and age after its number. A step looks at `step_len` of them.
struct FakeFlows {
    std::uint64_t count = 6;
    std::uint64_t step_len = 4;
    std::uint64_t fails_at = UINT64_MAX;  ///< The step that begins here errs.
};

/// Orders take effect at once. The change that one begins comes one phase further each time that
/// somebody asks for the backend: preparing, open, open with held slots, closing, settled; with a
/// deadline it stays open.
class FakeNode : public control::NodeView {
 public:
    explicit FakeNode(Scene scene, FakeFlows flows = {});

    control::NodeStatus status() override { return status_; }
    [[nodiscard]] control::NodeSummary summary() const override;
    /// Counts a generation up; in the degraded scene it is refused like a file with an error.
    Result<void> reload() override;
    std::string config_text() override;
    Result<control::BackendStatus> backend(const std::string& owner,
                                           const IpAddress& address) override;
    Result<control::BackendStatus> order(const control::BackendOrder& order) override;
    Result<control::FlowPage> flows(const control::FlowQuery& query, control::FlowAction action,
                                    std::uint64_t cursor) override;
    /// By the destination port: 80 is in transition, 443 not, 81 no port, others not ours.
    Result<control::FlowAnswer> flow(const control::FlowTuple& tuple) override;
    /// Only group web has backends, so that of the others nothing but the condition is told.
    Result<control::HealthStatus> health(const control::HealthQuery& query) override;
    /// A node that is being drained is drained the third time that somebody asks.
    control::AnnounceStatus announcements() override;
    Result<control::AnnounceStatus> order_node(const control::NodeOrder& order) override;
    control::MapsStatus maps() override;
    control::Configurations& configurations() override { return configured; }
    control::Observation& observation() override { return observed; }
    const observe::EventLog& events() override {
        ++event_reads;
        return event_log;
    }
    control::MetricsSource metrics() override;
    Result<node::LossCounts> losses() override;

    int reloads = 0;
    FakeConfigurations configured;
    FakeObservation observed;
    observe::EventLog event_log{fake_event_clock()};
    control::BackendOrder last_order;
    control::NodeOrder last_node_order;
    std::atomic<std::uint64_t> steps = 0;  ///< Of passes through the flow table.
    std::atomic<std::uint64_t> purged = 0;
    std::atomic<std::uint64_t> event_reads = 0;

 private:
    static Waiting waiting_in(Scene scene) {
        if (scene == Scene::awaiting) return Waiting::confirmation;
        return scene == Scene::canary ? Waiting::canary : Waiting::nothing;
    }
    control::BackendStatus* find(const std::string& owner, const IpAddress& address);

    Scene scene_;
    control::NodeStatus status_;
    FakeFlows flows_;
    control::AnnounceStatus announced_;
    int drain_phase_ = 0;
    int phase_ = 0;
    std::uint64_t seconds_ = 0;  ///< That counters have gone on.
};

}  // namespace sluice::test
