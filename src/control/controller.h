// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The one that puts a configuration into force and keeps it true: configuration -> image ->
/// generation -> live, then neighbours and routes into header templates for as long as it runs.
///
///   open()        looks at the kernel, touches nothing
///   apply_file()  whole or not at all: what was live stays live when anything fails
///   on_network()  the network changed: templates follow
///   on_tick()     once a second: asks again, attaches again, frees what packets left behind
///
/// Not thread-safe: one event loop owns it.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "control/changes.h"
#include "control/flow_sweep.h"
#include "control/overrides.h"
#include "control/status.h"
#include "kernel/generation.h"
#include "kernel/instance.h"
#include "kernel/network_port.h"
#include "kernel/state_maps.h"
#include "plan/ids.h"
#include "plan/image.h"

namespace sluice::control {

/// A FlowQuery in numbers.
struct FlowFilter {
    std::uint32_t group = 0;   ///< Number; 0: any.
    std::uint32_t member = 0;  ///< Id; 0: any.
    std::optional<std::uint32_t> flow_class;
    std::chrono::milliseconds min_age{0};
    std::chrono::milliseconds max_age = std::chrono::milliseconds::max();
};

class Controller : public NodeView {
 public:
    struct Options {
        std::string config_file = "/etc/sluice/sluice.yaml";
        std::string bpffs = "/sys/fs/bpf/sluice";
        std::string state_dir = "/var/lib/sluice";
        bool verbose = false;  ///< Verifier logs whole, to standard error.
        /// The clock of planned changes; the steady one when nothing is set.
        std::function<plan::Instant()> clock;
    };

    static Result<std::unique_ptr<Controller>> open(Options options);
    /// For tests: a network that is told instead of asked.
    static Result<std::unique_ptr<Controller>> open(Options options,
                                                    std::unique_ptr<kernel::NetworkPort> network);
    ~Controller() override;

    Result<void> apply_file();
    Result<void> reload() override { return apply_file(); }

    [[nodiscard]] int network_fd() const { return network_->fd(); }
    void on_network();
    void on_tick();
    /// Every kChangeTick: changes in progress move on, and the flow table is swept for some
    /// milliseconds.
    void on_change_tick();
    static constexpr std::chrono::milliseconds kChangeTick{50};

    NodeStatus status() override;
    std::string config_text() override { return text_; }
    Result<BackendStatus> backend(const std::string& owner, const IpAddress& address) override;
    Result<BackendStatus> order(const BackendOrder& order) override;
    Result<FlowPage> flows(const FlowQuery& query, FlowAction action,
                           std::uint64_t cursor) override;
    Result<FlowAnswer> flow(const FlowTuple& tuple) override;
    MapsStatus maps() override;

    /// Removes everything of the instance that `options.config_file` names.
    static Result<void> detach(const Options& options);

 private:
    /// What one configuration needs to be live. Built beside the live one, then exchanged.
    struct Live {
        config::Config config;
        plan::Image image;
        plan::IdStore ids;
        std::optional<kernel::Generation> generation;
        std::vector<kernel::Attachment> attachments;
        std::map<IpAddress, plan::NextHop> hops;
        std::map<IpAddress, std::vector<std::size_t>> members_at;  ///< Index into image.members.
        std::map<std::uint32_t, IpAddress> addresses;              ///< By member id.
        std::string digest;
        std::uint32_t number = 0;
        std::uint64_t address_revision = 0;  ///< Of the node's addresses that it was built with.
        std::set<IpAddress> unwritten;       ///< Changes that found no free header template.
        plan::LiveRings before;              ///< What packets read when it was compiled.
        std::vector<std::uint64_t> wanted;   ///< Slots as compiled, until it is live.
        std::optional<Changes> changes;
        plan::Instant since{0};           ///< When it became live.
        std::set<std::uint32_t> unnamed;  ///< Retired members that no slot named a pass ago.
        /// Of retired members, by member name: what packets call them.
        std::map<std::string, config::ServerId> retired_ids;
        FlowSweep::Lifetimes lifetimes;
    };

    Controller(Options options, std::unique_ptr<kernel::NetworkPort> network,
               kernel::InstructionSet isa);

    Result<void> apply(const std::string& text);
    Result<void> put_into_force(config::Config config, const std::string& text);
    /// A first configuration that was refused leaves no pins; what an earlier daemon left in force
    /// stays.
    void abandon_idle_instance(const std::string& node);
    Result<config::Config> read_config(const std::string& text) const;
    Result<void> prepare_and_swap(config::Config config, const std::string& text);
    Result<Live> prepare(config::Config config);
    Result<void> open_state(const Live& next);
    Result<void> compile(Live& next);
    static kernel::StateSizes sizes_of(const Live& next);
    Result<plan::LiveRings> rings_before();
    Result<plan::LiveRings> rings_in_kernel() const;
    std::set<std::uint32_t> remembered_members() const;
    void mark_dead(Live& next) const;
    void take_over_changes(Live& next);
    plan::Instant now() const;
    Changes::Scene scene(Live& live) const;
    void sweep(plan::Instant now);
    void on_swept();
    void retire_members();
    void aim(std::optional<std::size_t> only = std::nullopt);
    void forget_flows(const std::vector<bool>& members);
    void resume_deadlines();
    void keep_retired_ids(Live& next,
                          const std::vector<std::pair<std::string, IpAddress>>& retired) const;
    void settle_flow_table();
    void expire_overrides();
    void forget_orders();
    void announce_order(const BackendOrder& order, const std::string& member) const;
    Result<std::size_t> find_group(const std::string& owner) const;
    Result<std::size_t> find_member(const std::string& owner, const IpAddress& address) const;
    BackendStatus describe(const plan::ImageMember& member) const;
    FlowPage walk_flows(const FlowFilter& filter, FlowAction action, std::uint64_t cursor);
    bool matches(const FlowFilter& filter, std::uint64_t entry, std::uint32_t tick,
                 const plan::FlowGeometry& geometry) const;
    FlowRecord record_of(std::uint64_t entry, std::uint32_t bucket, std::uint32_t tick,
                         const plan::FlowGeometry& geometry) const;
    std::optional<IpAddress> address_of_member(std::uint32_t id) const;
    void explain_flow(const FlowTuple& tuple, const config::Service& service, FlowAnswer& out);
    MapStatus flow_map_status() const;
    ChangeStatus change_status(const plan::TransitionCounts& counts) const;
    Result<void> open_instance(const std::string& node);
    Result<void> make_live(Live next, const std::string& text);
    Result<void> swap_in(Live& next);
    static std::set<IpAddress> watched_by(const Live& live);
    Result<std::vector<kernel::Attachment>> attach(const config::Node& node,
                                                   std::vector<std::string>& added);
    Result<void> write_hop(Live& live, const IpAddress& address);
    void follow_hop(const IpAddress& address);
    Result<void> write_member(Live& live, const plan::ImageMember& member,
                              const plan::NextHop& hop);
    Result<void> set_cell(Live& live, std::uint32_t member, std::uint32_t variant,
                          const slc_template* header);
    Result<plan::IdStore> load_ids() const;
    Result<void> save_ids(const plan::IdStore& ids) const;
    void attach_again();
    void attach_as_before();
    void follow_addresses();

    void fill_interfaces(NodeStatus& out) const;
    void fill_backends(NodeStatus& out) const;
    void fill_services(NodeStatus& out) const;
    void fill_counters(NodeStatus& out) const;
    void fill_problems(NodeStatus& out) const;

    Options options_;
    std::unique_ptr<kernel::NetworkPort> network_;
    kernel::InstructionSet isa_;
    std::optional<kernel::Instance> instance_;
    std::optional<kernel::StateMaps> state_;
    std::optional<Live> live_;
    OverrideStore overrides_;
    FlowSweep sweep_;
    plan::Instant swept_at_{0};
    bool made_flow_table_ = false;  ///< By the change that is being put into force.
    plan::Instant flows_retry_{0};
    bool flows_refit_ = false;  ///< The flow table wants another size: once the last one is left.
    std::string text_;
    ReloadStatus reload_;
    std::chrono::steady_clock::time_point addresses_retried_{};
    std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
};

}  // namespace sluice::control
