// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The one that puts a configuration into force and keeps it true: configuration -> image ->
/// generation -> live, then neighbours and routes into header templates for as long as it runs.
///
///   open()        looks at the kernel, touches nothing
///   apply_file()  finds what an earlier daemon left in force, and goes on with it or replaces it
///   plan(), apply(), confirm(), rollback()   changes; whole or not at all
///   on_network()  the network changed: templates follow
///   on_tick()     once a second: asks again, attaches again, frees what packets left behind
///
/// Not thread-safe: one event loop owns it. One class in several files: controller.cpp (life, next
/// hops, interfaces), _apply (from a text to a change in effect), _start, _undo (confirmations,
/// rollbacks, history), _proof, _canary, _changes (what goes on by itself), _flows, _tables,
/// _health (checks, and what they mean), _announce (VIPs, and whether the node wants traffic),
/// _status.

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
#include "config/parse.h"
#include "control/announcing.h"
#include "control/configurations.h"
#include "control/counter_ledger.h"
#include "control/flow_sweep.h"
#include "control/health_watch.h"
#include "control/in_place.h"
#include "control/kept_counters.h"
#include "control/loaded.h"
#include "control/node_state.h"
#include "control/observation.h"
#include "control/overrides.h"
#include "control/probes.h"
#include "control/status.h"
#include "control/table_reader.h"
#include "history/history.h"
#include "kernel/instance.h"
#include "kernel/network_port.h"
#include "kernel/state_maps.h"
#include "kernel/talker_map.h"
#include "kernel/vip_watch.h"
#include "plan/ids.h"
#include "plan/image.h"
#include "plan/meta.h"
#include "proof/proof.h"

namespace sluice::proof {
struct Walk;       // proof/walk.h
struct WalkScene;  // likewise
}  // namespace sluice::proof

namespace sluice::control {

/// A FlowQuery in numbers.
struct FlowFilter {
    std::uint32_t group = 0;   ///< Number; 0: any.
    std::uint32_t member = 0;  ///< Id; 0: any.
    std::optional<std::uint32_t> flow_class;
    std::chrono::milliseconds min_age{0};
    std::chrono::milliseconds max_age = std::chrono::milliseconds::max();
};

/// Of the balancer's programs in this daemon: as a generation's meta keeps it.
plan::CodeDigests code_digests(kernel::InstructionSet isa);

/// All findings in one error.
Error config_error(const config::ParseOutcome& outcome);

class Controller : public NodeView, public Configurations, public Observation {
 public:
    struct Options {
        std::string config_file = "/etc/sluice/sluice.yaml";
        std::string bpffs = "/sys/fs/bpf/sluice";
        std::string state_dir = "/var/lib/sluice";
        bool verbose = false;  ///< Verifier logs whole, to standard error.
        /// The clock of planned changes; the steady one when nothing is set.
        std::function<plan::Instant()> clock;
        std::size_t metrics_series = 0;  ///< Of a page of /metrics, at most; 0: kMaxSeries.
        /// Called between the parts of a change that may take seconds: the process is alive.
        std::function<void()> alive;
        /// Called by threads that have something for on_wake(); must not block. Without it the next
        /// tick finds what they have.
        std::function<void()> wake;
        /// The clock of confirmations; the system's when nothing is set.
        std::function<history::WallTime()> wall_clock;
        /// What events() shows; nobody's when null.
        const observe::EventLog* events = nullptr;
    };

    static Result<std::unique_ptr<Controller>> open(Options options);
    /// For tests: a network that is told instead of asked.
    static Result<std::unique_ptr<Controller>> open(Options options,
                                                    std::unique_ptr<kernel::NetworkPort> network);
    ~Controller() override;

    /// The first time: start(). Later the file again, as a change like any other.
    Result<void> apply_file();
    Result<void> reload() override { return apply_file(); }

    [[nodiscard]] int network_fd() const { return network_->fd(); }
    void on_network();
    void on_tick();
    /// What other threads have found out: health, announcements.
    void on_wake();
    /// Every kChangeTick: changes in progress move on, and the flow table is swept for some
    /// milliseconds.
    void on_change_tick();
    static constexpr std::chrono::milliseconds kChangeTick{50};

    NodeStatus status() override;
    NodeSummary summary() const override;
    std::string config_text() override { return live_ ? live_->text : std::string(); }
    Result<BackendStatus> backend(const std::string& owner, const IpAddress& address) override;
    Result<BackendStatus> order(const BackendOrder& order) override;
    Result<FlowPage> flows(const FlowQuery& query, FlowAction action,
                           std::uint64_t cursor) override;
    Result<FlowAnswer> flow(const FlowTuple& tuple) override;
    Result<HealthStatus> health(const HealthQuery& query) override;
    AnnounceStatus announcements() override;
    Result<AnnounceStatus> order_node(const NodeOrder& order) override;
    MapsStatus maps() override;
    MetricsSource metrics() override;
    Result<node::LossCounts> losses() override;
    const observe::EventLog& events() override;
    Observation& observation() override { return *this; }

    // Observation: controller_observe.cpp, controller_explain.cpp.
    std::shared_ptr<const observe::Names> names() override;
    SampleBatch samples(SampleCursor& cursor) override;
    std::int64_t wall_offset_ns() const override;
    std::uint32_t sampled_one_in() const override;
    std::vector<Talker> talkers() override;
    Result<std::unique_ptr<CaptureSession>> capture(const CaptureRequest& request) override;
    Result<void> end_capture(const std::string& name) override;
    Result<Explanation> explain(const ExplanationRequest& request) override;
    Configurations& configurations() override { return *this; }

    Result<PlanReport> plan(const ApplyRequest& request) override;
    Result<ApplyReport> apply(const ApplyRequest& request) override;
    Result<void> confirm() override;
    Result<ApplyReport> rollback(std::optional<std::uint32_t> generation, const std::string& author,
                                 const std::string& message) override;
    Result<std::vector<GenerationStatus>> history(std::uint32_t limit) override;
    Result<GenerationStatus> generation(std::uint32_t number) override;
    Result<std::vector<plan::Change>> drift(const std::string& text,
                                            const std::string& file) override;
    Result<std::string> file_text() override;
    std::optional<CanaryStatus> canary() override;
    Result<ApplyReport> end_canary(bool promote) override;

    /// Removes everything of the instance that `options.config_file` names.
    static Result<void> detach(const Options& options);

 private:
    using Clock = std::chrono::steady_clock;
    using Times = std::vector<std::pair<std::string, std::chrono::microseconds>>;

    /// What a request comes to; nothing that carries traffic was touched.
    struct Candidate {
        Loaded next;
        std::optional<LaidAside> aside;  ///< Of the entry and map roads; then `next` is empty.
        PlanReport report;
    };
    /// A change that undoes itself unless it is confirmed.
    struct Awaiting {
        std::uint32_t number = 0;
        std::uint32_t base = 0;
        history::WallTime until;
    };
    struct RunningCanary {
        Loaded loaded;
        Canary what;
        history::WallTime since;
    };

    /// What to begin with.
    struct Choice {
        std::string text;
        std::string file;
        std::string directory;
        std::string author;
        config::Config config;
        std::optional<history::Record> record;  ///< When the text is one that was in force.
        std::uint32_t base = 0;
        std::uint32_t restores = 0;
        std::optional<std::uint32_t> undoes;  ///< A generation whose confirmation never came.
    };
    /// A generation that an earlier daemon had in force and that is still pinned.
    struct Sleeping {
        std::uint32_t number = 0;
        std::uint32_t pinned = 0;
        std::string directory;
    };

    Controller(Options options, std::unique_ptr<kernel::NetworkPort> network,
               kernel::InstructionSet isa);

    // controller_start.cpp
    /// The first configuration: the file's if it is new, else the one that was in force. What was
    /// half-way when a daemon ended is completed or undone.
    Result<void> start();
    Result<void> open_history();
    Result<Choice> choose();
    Result<Choice> choose_record(const history::Record& record) const;
    Result<Choice> choose_file(const std::optional<history::Record>& last);
    Result<std::string> last_file_digest() const;
    Result<void> settle_journal();
    Result<void> start_with(Choice choice);
    void abandon_start();
    Result<bool> try_adopt(const Choice& choice);
    Result<Loaded> adopt(const std::string& directory, const Choice& choice);
    Result<void> take_over_adopted(Loaded adopted, const Choice& choice);
    [[nodiscard]] bool uses_state(const kernel::Generation& generation) const;
    void renew_code();
    Result<void> take_back_canary();

    // controller_apply.cpp
    Result<config::Config> read_config(const std::string& text, const std::string& file,
                                       const std::string& directory) const;
    Result<void> open_instance(const std::string& node);
    /// Compiles, plans, loads and proves; `config` is taken over.
    enum class Proving { yes, no };
    Result<Candidate> consider(const ApplyRequest& request, Clock::time_point began,
                               Proving proving = Proving::yes);
    Result<Candidate> consider_config(config::Config config, const ApplyRequest& request,
                                      Times times, Proving proving = Proving::yes);
    Result<Loaded> compile_next(config::Config config, const ApplyRequest& request);
    Result<void> load_next(Loaded& next, bool is_canary);
    plan::NextHop hop_of(const IpAddress& address);
    Result<void> open_state(const Loaded& next);
    Result<void> compile(Loaded& next);
    static kernel::StateSizes sizes_of(const Loaded& next);
    plan::Running running() const;
    void discard(Candidate& candidate);
    void undo_state();
    Result<std::uint32_t> begin(const ApplyRequest& request, const Candidate& candidate,
                                std::uint32_t restores);
    Result<void> carry_out(Candidate& candidate, std::uint32_t number);
    Result<ApplyReport> apply_considered(Candidate candidate, const ApplyRequest& request,
                                         std::uint32_t restores, Clock::time_point began);
    Result<void> ready_for_change() const;
    Result<void> keep_meta(const Loaded& loaded);
    std::string meta_of(const Loaded& loaded) const;
    Result<void> make_live(Loaded& next);
    Result<void> swap_in(Loaded& next);
    void retain_live();
    void trim_retained();
    void note_finish(std::uint32_t number, history::Outcome outcome, std::string_view road,
                     std::string_view error = {});
    Result<void> rebuild(const char* why);
    std::string file_digest() const;
    /// Where relative paths of a text begin that came from `file`; those of a text that came from
    /// none begin where the daemon's own file lies.
    std::string directory_for(const std::string& file) const;
    ApplyRequest file_request(const std::string& text, const std::string& author) const;
    void note_total(ApplyReport& report, Clock::time_point began) const;
    void announce(const ApplyReport& report, const ApplyRequest& request) const;

    // controller_undo.cpp
    void watch_confirmation();
    std::uint32_t base_of(std::uint32_t number) const;
    Result<ApplyReport> go_back(std::uint32_t number, const std::string& author,
                                const std::string& message);
    Result<ApplyReport> swap_back(std::uint32_t number, const ApplyRequest& request,
                                  Clock::time_point began);
    Result<void> wake(std::uint32_t number);
    Result<Loaded> wake_as(const Sleeping& asleep, const history::Record& record);
    GenerationStatus describe(const history::Record& record) const;

    // controller_proof.cpp
    Result<void> prove(Candidate& candidate);
    Result<void> prove_code(const kernel::Generation& fresh);
    Result<kernel::Twin*> twin_of(Loaded& loaded);
    Result<kernel::Twin*> twin_as_planned(Candidate& candidate);
    void let_go_of_twin(Loaded& loaded) const;
    static proof::Names names_of(const Loaded& loaded);

    // controller_explain.cpp
    struct Asked;
    Result<Asked> asked_of(const ExplanationRequest& request) const;
    Result<proof::Walk> walk_now(const Asked& asked);
    Result<proof::Walk> walk_planned(const Asked& asked, const ExplanationRequest& request);
    proof::WalkScene scene_of(const Loaded& loaded, const Asked& asked) const;

    // controller_canary.cpp
    Result<ApplyReport> begin_canary(Candidate candidate, const ApplyRequest& request,
                                     Clock::time_point began);
    Result<void> admit_members(const Loaded& from);
    Result<void> join_ids(Loaded& next) const;
    void withdraw_slots();
    void promote_slots();
    void step_canary(plan::Instant at);
    Result<void> promote();
    Result<void> withdraw();

    // controller_capture.cpp
    struct LiveCapture;
    class Capture;
    void take_tap_off(LiveCapture& capture);
    void stop_capture(const std::string& why);
    void watch_capture();
    void clear_tap();
    void prepare_tap(const Loaded& next);
    void shift_tap();
    kernel::LoadOptions code_options(const config::Config& config) const;

    // controller_changes.cpp
    Result<plan::LiveRings> rings_before();
    /// Of the generation that is pinned there, or of the one in force.
    Result<plan::LiveRings> rings_in_kernel(std::string directory = {}) const;
    std::set<std::uint32_t> remembered_members() const;
    void take_over_changes(Loaded& next);
    plan::Instant now() const;
    history::WallTime wall_now() const;
    void sweep(plan::Instant now);
    void retire_members();
    void aim(std::optional<std::size_t> only = std::nullopt);
    void aim_canary(const std::string& group);
    void forget_flows(const std::vector<bool>& members);
    void resume_deadlines();
    void settle_flow_table();
    void expire_overrides();
    void forget_orders();
    void announce_order(const BackendOrder& order, const std::string& member) const;
    Result<std::size_t> find_group(const std::string& owner) const;
    Result<std::size_t> find_member(const std::string& owner, const IpAddress& address) const;

    // controller_health.cpp
    /// States and weights as operators and health want them, together.
    [[nodiscard]] const plan::Overrides& overrides() const { return merged_; }
    void merge_overrides();
    void follow_health();
    std::optional<std::uint32_t> mark_of(const std::string& member, config::Forward forward,
                                         bool inner_is_ip6);
    void renew_probes(const IpAddress& address);
    void take_health();
    void describe_health(const std::string& member, BackendStatus& out) const;
    void enforce_health(const HealthWatch::Groups& changed);
    Result<void> load_health();
    void save_health();
    [[nodiscard]] bool takes_answers_of(const IpAddress& vip, const std::string& member) const;
    void note_deaf(const std::string& vip);
    [[nodiscard]] std::string deaf_problem() const;
    [[nodiscard]] std::string health_file() const;
    void tick_health();

    // controller_announce.cpp
    void wake_loop() const;
    /// What is announced follows what is in force, health, interfaces and orders.
    void follow_announcements();
    void tick_announcements();
    void announce_less(const config::Config& next);
    [[nodiscard]] std::optional<config::Config> former_config() const;
    void leave_former_ways(config::Config former) const;
    [[nodiscard]] std::vector<bool> services_served() const;
    [[nodiscard]] bool is_attached() const;
    bool is_quiet();
    void fill_announce_metrics(MetricsSource& out);

    // controller_conflicts.cpp
    [[nodiscard]] std::vector<IpAddress> own_vips() const;
    void follow_vips();
    void watch_vips();

    // controller_flows.cpp
    FlowPage walk_flows(const FlowFilter& filter, FlowAction action, std::uint64_t cursor);
    bool matches(const FlowFilter& filter, std::uint64_t entry, std::uint32_t tick,
                 const plan::FlowGeometry& geometry) const;
    FlowRecord record_of(std::uint64_t entry, std::uint32_t bucket, std::uint32_t tick,
                         const plan::FlowGeometry& geometry) const;
    std::optional<IpAddress> address_of_member(std::uint32_t id) const;
    void explain_flow(const FlowTuple& tuple, const config::Service& service, FlowAnswer& out);
    ChangeStatus change_status(const plan::TransitionCounts& counts) const;

    // controller_tables.cpp
    void watch_tables();
    int talkers_fd() const;
    void fill_flow_groups(MapStatus& out) const;
    MapStatus flow_map_status() const;
    void fill_state_maps(MapsStatus& out) const;
    void fill_generation_maps(MapsStatus& out);

    // controller.cpp
    Result<std::vector<kernel::Attachment>> attach(const config::Node& node,
                                                   std::vector<std::string>& added);
    void watch_all();
    /// Whether its probes must be made anew: follow_health().
    bool follow_hop(const IpAddress& address);
    Result<plan::IdStore> load_ids() const;
    Result<void> save_ids(const plan::IdStore& ids) const;
    void attach_again();
    void note_attached(const std::vector<kernel::Attachment>& attachments,
                       const std::vector<std::string>& added) const;
    void detach_others(const config::Node& node);
    void drop_generation(std::uint32_t pinned);
    void attach_as_before();
    void follow_addresses();

    // controller_metrics.cpp
    CounterLedger& ledger();
    void keep_ledger(bool also_read = false);
    void hand_over_counts(plan::IdStore& ids);
    void note_shared_rows(const std::set<std::string>& shared);
    std::vector<std::optional<kernel::InterfaceCounts>> interface_counts();
    void follow_rows();
    void open_kept_counters();
    void fill_daemon_metrics(MetricsSource& out);
    void fill_interface_metrics(MetricsSource& out);
    void fill_service_metrics(MetricsSource& out);
    void fill_backend_metrics(MetricsSource& out);

    // controller_status.cpp
    BackendStatus describe(const plan::ImageMember& member) const;
    void fill_interfaces(NodeStatus& out) const;
    void fill_backends(NodeStatus& out) const;
    void fill_services(NodeStatus& out) const;
    void fill_counters(NodeStatus& out) const;
    void fill_problems(NodeStatus& out) const;

    /// Names of ids change with the configuration only, and are too many to look at each time.
    struct NamesKey {
        std::uint32_t generation = 0;
        std::uint32_t pinned = 0;
        std::uint32_t canary = 0;
        std::vector<std::pair<std::uint32_t, std::string>> interfaces;
        bool operator==(const NamesKey&) const = default;
    };
    [[nodiscard]] NamesKey names_key() const;

    Options options_;
    std::unique_ptr<kernel::NetworkPort> network_;
    kernel::InstructionSet isa_;
    std::optional<kernel::Instance> instance_;
    std::optional<kernel::StateMaps> state_;
    std::optional<history::History> history_;
    std::optional<Loaded> live_;
    std::vector<Loaded> retained_;    ///< Still loaded, the last one in force first.
    std::vector<Sleeping> sleeping_;  ///< The last one in force first.
    std::optional<RunningCanary> canary_;
    std::optional<Awaiting> awaiting_;
    std::set<std::string> lost_interfaces_;  ///< Of those in force, that are gone.
    std::shared_ptr<LiveCapture> capture_;   ///< The one under way.
    std::shared_ptr<const observe::Names> names_;
    NamesKey names_key_;       ///< What `names_` was made of.
    OverrideStore overrides_;  ///< The operators'.
    Probes probes_;            ///< Before what sends them.
    HealthWatch health_;
    plan::Overrides merged_;  ///< Both.
    Clock::time_point probes_followed_{};
    std::uint64_t followed_addresses_ = 0;  ///< Of the node, when checks followed last.
    std::string deaf_vip_;                  ///< Whose answers this node does not take.
    HealthWatch::Failures kept_down_;       ///< As health.json says.
    bool health_failed_ = false;            ///< That it cannot be written was said.
    Announcing announcing_;
    NodeDuty duty_;
    bool was_attached_ = false;               ///< When announcements followed last.
    bool announcements_due_ = false;          ///< They are less than should be, for a change.
    std::uint64_t packets_seen_ = 0;          ///< For VIPs, while the node is being drained.
    Clock::time_point packets_seen_since_{};  ///< No more have come.
    std::unique_ptr<kernel::VipWatch> vip_watch_;
    kernel::VipWatch::Time vip_watch_due_{};
    bool vip_watch_failed_ = false;  ///< That was said.
    std::vector<IpAddress> watched_vips_;
    std::vector<std::string> watched_interfaces_;
    FlowSweep sweep_;
    TableReader tables_;
    kernel::TalkerHistory talkers_;
    plan::Instant swept_at_{0};
    bool made_flow_table_ = false;  ///< By the change that is being put into force.
    plan::Instant flows_retry_{0};
    bool flows_refit_ = false;  ///< The flow table wants another size: once the last one is left.
    /// Backends of the configuration before: orders for them are kept, should it come back.
    std::set<std::string> former_members_;
    CounterLedger ledger_;
    std::string ledger_pin_;  ///< Where `ledger_` is kept; empty: not read yet.
    /// Of counters of others, the last one that is in the ledger.
    Clock::time_point reading_kept_{};
    std::set<std::string> shared_rows_;  ///< "eth0 eth9": that was said.
    std::optional<KeptCounters> kept_;
    bool kept_failed_ = false;  ///< That was said.
    ReloadStatus reload_;
    std::string code_error_;      ///< Why programs of an earlier daemon still run; else empty.
    Clock::time_point effect_{};  ///< When packets met it first.
    std::chrono::steady_clock::time_point addresses_retried_{};
    std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
};

}  // namespace sluice::control
