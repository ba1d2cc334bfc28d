// SPDX-License-Identifier: Apache-2.0
#include "control/controller.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "config/load.h"
#include "config/parse.h"
#include "control/leftovers.h"
#include "kernel/instruction_set.h"
#include "kernel/network.h"

namespace sluice::control {
namespace {

kernel::AttachMode attach_mode(config::XdpMode mode) {
    switch (mode) {
        case config::XdpMode::native:
            return kernel::AttachMode::native;
        case config::XdpMode::generic:
            return kernel::AttachMode::generic;
        case config::XdpMode::automatic:
            break;
    }
    return kernel::AttachMode::automatic;
}

constexpr std::chrono::seconds kRetryAddresses{10};

bool is_reached(plan::HopState state) {
    return state == plan::HopState::resolved || state == plan::HopState::local;
}

}  // namespace

Controller::Controller(Options options, std::unique_ptr<kernel::NetworkPort> network,
                       kernel::InstructionSet isa)
    : options_(std::move(options)),
      network_(std::move(network)),
      isa_(isa),
      probes_(isa),
      health_([this] { wake_loop(); }),
      announcing_([this] { wake_loop(); }) {}

Controller::~Controller() {
    stop_capture("sluiced stops");
    if (live_) save_health();
    keep_ledger(true);
}

Result<std::unique_ptr<Controller>> Controller::open(Options options) {
    std::unique_ptr<kernel::NetworkPort> network = SLC_TRY(kernel::Network::open(), "network");
    return open(std::move(options), std::move(network));
}

Result<std::unique_ptr<Controller>> Controller::open(Options options,
                                                     std::unique_ptr<kernel::NetworkPort> network) {
    const auto isa = SLC_TRY(kernel::probe_instruction_set(), "probe this kernel");
    return std::unique_ptr<Controller>(new Controller(std::move(options), std::move(network), isa));
}

Result<void> Controller::open_instance(const std::string& node) {
    SLC_CHECK(make_directory(options_.state_dir), "state directory");
    if (instance_) return {};
    overrides_ = SLC_TRY(OverrideStore::load(options_.state_dir + "/overrides.json"), "instance");
    SLC_CHECK(load_health(), "instance");
    merge_overrides();
    duty_ = SLC_TRY(NodeDuty::load(options_.state_dir + "/node.json"), "instance");
    instance_ = SLC_TRY(kernel::Instance::open(options_.bpffs, node, isa_), "instance");
    return {};
}

/// Until a swap is done both generations must not miss a change of their backends.
void Controller::watch_all() {
    std::set<IpAddress> all;
    if (live_) all = live_->watched();
    if (canary_) all.merge(canary_->loaded.watched());
    network_->watch(all);
}

/// After a change that was refused half-way: interfaces whose mode it had changed go back. Those
/// that are as they were are adopted, untouched.
void Controller::attach_as_before() {
    if (!live_) return;
    for (const auto& was : live_->attachments)
        (void)instance_->attach(
            was.interface, was.generic ? kernel::AttachMode::generic : kernel::AttachMode::native);
}

Result<std::vector<kernel::Attachment>> Controller::attach(const config::Node& node,
                                                           std::vector<std::string>& added) {
    std::vector<kernel::Attachment> out;
    const auto before = instance_->attached();
    for (const auto& interface : node.interfaces) {
        auto attachment = instance_->attach(interface, attach_mode(node.xdp_mode));
        if (!attachment) return fail(std::move(attachment).error());
        if (std::find(before.begin(), before.end(), interface) == before.end())
            added.push_back(interface);
        out.push_back(std::move(*attachment));
    }
    return out;
}

void Controller::note_attached(const std::vector<kernel::Attachment>& attachments,
                               const std::vector<std::string>& added) const {
    for (const auto& attachment : attachments)
        if (std::find(added.begin(), added.end(), attachment.interface) != added.end())
            log_event(attachment.fell_back ? LogLevel::warning : LogLevel::info,
                      "interface.attached",
                      {{"interface", attachment.interface},
                       {"mode", attachment.generic ? "generic" : "native"},
                       {"why", attachment.why}});
}

/// Interfaces that the configuration in force does not name any more.
void Controller::detach_others(const config::Node& node) {
    const auto& wanted = node.interfaces;
    for (const auto& interface : instance_->attached()) {
        if (std::find(wanted.begin(), wanted.end(), interface) != wanted.end()) continue;
        const auto detached = instance_->detach(interface);
        log_event(detached ? LogLevel::info : LogLevel::error, "interface.detached",
                  {{"interface", interface}, {"error", detached ? "" : detached.error().what}});
    }
}

/// One that can not come back. What cannot be removed now is removed after the next swap.
void Controller::drop_generation(std::uint32_t pinned) {
    if (instance_->drop(pinned))
        log_event(LogLevel::info, "generation.dropped", {{"pinned", std::to_string(pinned)}});
}

void Controller::on_network() {
    auto changed = network_->process();
    if (!changed) {
        log_event(LogLevel::error, "network.failed", {{"error", changed.error().what}});
        return;
    }
    if (!live_) return;
    bool moves_probes = false;
    for (const IpAddress& address : *changed) moves_probes |= follow_hop(address);
    moves_probes |= network_->revision().addresses != followed_addresses_;
    if (moves_probes) follow_health();
}

bool Controller::follow_hop(const IpAddress& address) {
    const plan::NextHop now = network_->resolve(address);
    const auto known = live_->hops.find(address);
    const bool is_news = known == live_->hops.end() || known->second.state != now.state;
    const plan::NextHop was = known == live_->hops.end() ? plan::NextHop{} : known->second;
    auto outcome = write_hop(*live_, address, now);
    if (outcome && canary_) outcome = write_hop(canary_->loaded, address, now);
    if (!outcome) {
        live_->unwritten.insert(address);  // The next tick has reclaimed templates.
        log_event(LogLevel::error, "backend.template_failed",
                  {{"address", address.text()}, {"error", outcome.error().what}});
        return false;
    }
    renew_probes(address);
    if (is_news)
        log_event(
            is_reached(now.state) ? LogLevel::info : LogLevel::warning, "backend.next_hop",
            {{"address", address.text()}, {"state", plan::name_of(now.state)}, {"why", now.why}});
    // Whether they need a mark, and where they come from.
    return (was.state == plan::HopState::local) != (now.state == plan::HopState::local) ||
           was.preferred_source != now.preferred_source;
}

/// Where tunnels of other balancers end follows the node's addresses, unless they are configured:
/// that is another generation of the same configuration, secrets included.
void Controller::follow_addresses() {
    if (network_->revision().addresses == live_->address_revision || canary_) return;
    const auto& decap = live_->config.node.decap;
    const auto now = std::chrono::steady_clock::now();
    if (!decap || !decap->addresses.empty() || now - addresses_retried_ < kRetryAddresses) return;
    addresses_retried_ = now;
    auto outcome = rebuild("addresses");
    log_event(outcome ? LogLevel::info : LogLevel::error, "node.addresses_changed",
              {{"generation", std::to_string(live_->number)},
               {"error", outcome ? "" : outcome.error().what}});
}

void Controller::on_tick() {
    network_->tick();
    if (!live_) return;
    watch_confirmation();
    follow_addresses();
    expire_overrides();
    settle_flow_table();
    tick_health();
    live_->generation->reclaim();
    if (canary_) canary_->loaded.generation->reclaim();
    const std::set<IpAddress> again = std::exchange(live_->unwritten, {});
    bool moves_probes = false;
    for (const IpAddress& address : again) moves_probes |= follow_hop(address);
    moves_probes |= network_->revision().addresses != followed_addresses_;
    if (moves_probes) follow_health();
    attach_again();
    tick_announcements();
    watch_capture();
    watch_tables();
}

void Controller::attach_again() {
    for (auto& attachment : live_->attachments) {
        if (instance_->is_attached(attachment.interface)) continue;
        auto again =
            instance_->attach(attachment.interface, attach_mode(live_->config.node.xdp_mode));
        if (!again) {  // The next tick tries again.
            if (lost_interfaces_.insert(attachment.interface).second)
                log_event(LogLevel::warning, "interface.lost",
                          {{"interface", attachment.interface}, {"error", again.error().what}});
            continue;
        }
        lost_interfaces_.erase(attachment.interface);
        log_event(LogLevel::warning, "interface.attached_again",
                  {{"interface", attachment.interface}});
        attachment = std::move(*again);
        follow_rows();
    }
}

Result<plan::IdStore> Controller::load_ids() const {
    const std::string path = options_.state_dir + "/ids.json";
    auto text = read_whole_file(path);
    if (!text && text.error().code == Errc::not_found) return plan::IdStore{};
    if (!text)
        return fail(std::move(text).error().advise(
            "the state directory must belong to the user sluiced runs as"));
    return SLC_TRY(plan::IdStore::from_json(*text), path);
}

Result<void> Controller::save_ids(const plan::IdStore& ids) const {
    return write_file(options_.state_dir + "/ids.json", ids.to_json());
}

Result<void> Controller::detach(const Options& options) {
    const std::string text = SLC_TRY(config::read_file(options.config_file), "detach");
    const config::ParseOutcome outcome = config::parse(text, options.config_file);
    if (!outcome.ok()) return fail(config_error(outcome).in("detach"));
    SLC_CHECK(kernel::Instance::remove(options.bpffs, outcome.config.node.name), "detach");
    // Whatever was to be kept: nobody handles packets for the VIPs from now on.
    auto withdrawn = withdraw_leftovers(options.state_dir, options.config_file, Leftover::all);
    if (!withdrawn)
        log_event(LogLevel::warning, "announce.failed", {{"error", withdrawn.error().what}});
    return {};
}

}  // namespace sluice::control
