// SPDX-License-Identifier: Apache-2.0
#include "control/controller.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <random>
#include <utility>

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "config/load.h"
#include "config/parse.h"
#include "kernel/grace_period.h"
#include "kernel/instruction_set.h"
#include "kernel/network.h"
#include "plan/header_template.h"

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

std::uint64_t random_word() {
    std::random_device random;
    return (std::uint64_t{random()} << 32) | random();
}

/// One 16,384th of memory for fragments: 32 KiB of 512 MiB, 1 MiB of 16 GiB.
std::uint32_t frag_buckets_for(long pages, long page_size) {
    if (pages <= 0 || page_size <= 0) return SLC_FRAG_MIN_BUCKETS;
    const auto share = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_size) /
                       16384 / sizeof(slc_frag_bucket);
    return static_cast<std::uint32_t>(std::bit_floor(
        std::clamp<std::uint64_t>(share, SLC_FRAG_MIN_BUCKETS, SLC_FRAG_MAX_BUCKETS)));
}

constexpr std::chrono::seconds kRetryAddresses{10};

Error config_error(const config::ParseOutcome& outcome) {
    std::string text;
    for (const auto& diagnostic : outcome.errors) text += "\n" + diagnostic.text();
    const std::size_t count = outcome.errors.size();
    return make_error(Errc::invalid,
                      std::to_string(count) + (count == 1 ? " error" : " errors") +
                          " in the configuration" + text,
                      "the running configuration is unchanged");
}

}  // namespace

Controller::Controller(Options options, std::unique_ptr<kernel::NetworkPort> network,
                       kernel::InstructionSet isa)
    : options_(std::move(options)), network_(std::move(network)), isa_(isa) {}

Controller::~Controller() = default;

Result<std::unique_ptr<Controller>> Controller::open(Options options) {
    std::unique_ptr<kernel::NetworkPort> network = SLC_TRY(kernel::Network::open(), "network");
    return open(std::move(options), std::move(network));
}

Result<std::unique_ptr<Controller>> Controller::open(Options options,
                                                     std::unique_ptr<kernel::NetworkPort> network) {
    const auto isa = SLC_TRY(kernel::probe_instruction_set(), "probe this kernel");
    return std::unique_ptr<Controller>(new Controller(std::move(options), std::move(network), isa));
}

Result<void> Controller::apply_file() {
    reload_.at = std::chrono::system_clock::now();
    auto text = config::read_file(options_.config_file);
    auto outcome = text ? apply(*text) : Result<void>(fail(std::move(text).error()));
    reload_.success = outcome.has_value();
    reload_.error = outcome ? "" : outcome.error().what;
    return outcome;
}

Result<config::Config> Controller::read_config(const std::string& text) const {
    config::ParseOutcome outcome = config::parse(text, options_.config_file);
    if (!outcome.ok()) return fail(config_error(outcome));
    SLC_CHECK(config::load_secrets(outcome.config, config::directory_of(options_.config_file)),
              "ring secret");
    return std::move(outcome.config);
}

Result<void> Controller::apply(const std::string& text) {
    config::Config config = SLC_TRY(read_config(text), options_.config_file);
    if (live_ && live_->config.node.name != config.node.name)
        return fail(Errc::invalid,
                    "node.name cannot change from " + live_->config.node.name + " to " +
                        config.node.name + " while sluiced runs",
                    "stop sluiced, sluiced --detach, and start it with the new name");
    const std::string node = config.node.name;
    auto outcome = put_into_force(std::move(config), text);
    if (!outcome) abandon_idle_instance(node);
    return outcome;
}

Result<void> Controller::put_into_force(config::Config config, const std::string& text) {
    SLC_CHECK(open_instance(config.node.name), "apply");
    made_flow_table_ = false;
    auto outcome = prepare_and_swap(std::move(config), text);
    if (!outcome && made_flow_table_ && state_) state_->flows().undo_fit();
    return outcome;
}

Result<void> Controller::prepare_and_swap(config::Config config, const std::string& text) {
    Live next = SLC_TRY(prepare(std::move(config)), "apply");
    next.digest = sha256_hex(text);
    return make_live(std::move(next), text);
}

void Controller::abandon_idle_instance(const std::string& node) {
    const bool idle = instance_ && instance_->attached().empty() && !instance_->has_generation();
    if (live_ || !idle) return;
    state_.reset();
    instance_.reset();
    (void)kernel::Instance::remove(options_.bpffs, node);
}

Result<void> Controller::open_instance(const std::string& node) {
    SLC_CHECK(make_directory(options_.state_dir), "state directory");
    if (instance_) return {};
    overrides_ = SLC_TRY(OverrideStore::load(options_.state_dir + "/overrides.json"), "instance");
    instance_ = SLC_TRY(kernel::Instance::open(options_.bpffs, node, isa_), "instance");
    return {};
}

Result<Controller::Live> Controller::prepare(config::Config config) {
    Live next;
    next.config = std::move(config);
    next.number = instance_->next_generation();
    next.ids = live_ ? live_->ids : SLC_TRY(load_ids(), "ids");
    SLC_CHECK(open_state(next), "state");
    next.before = SLC_TRY(rings_before(), "rings in force");
    SLC_CHECK(compile(next), "compile");
    SLC_CHECK(state_->fit(sizes_of(next)), "state");
    std::string log;
    kernel::LoadOptions load;
    load.isa = isa_;
    load.next = next.config.node.next;
    load.verbose_log = options_.verbose ? &log : nullptr;
    auto generation = kernel::Generation::load(next.image, *state_, load);
    if (options_.verbose) std::fputs(log.c_str(), stderr);
    next.generation = SLC_TRY(std::move(generation), "generation " + std::to_string(next.number));
    for (std::size_t i = 0; i < next.image.members.size(); ++i) {
        next.members_at[next.image.members[i].address].push_back(i);
        next.addresses.emplace(next.image.members[i].id, next.image.members[i].address);
    }
    next.lifetimes = group_lifetimes(next.config);
    mark_dead(next);
    return next;
}

/// The state maps, and the flow table that the configuration asks for: its tick decides how
/// lifetimes are compiled.
Result<void> Controller::open_state(const Live& next) {
    const plan::FlowGeometry wanted = plan::flow_geometry(next.config);
    if (!state_) {
        const std::string directory = instance_->state_directory();
        auto flows = SLC_TRY(kernel::FlowMap::open(directory, wanted), "flow table");
        state_ = SLC_TRY(kernel::StateMaps::open(directory, sizes_of(next), std::move(flows)),
                         "counters");
    }
    const std::uint32_t epoch = state_->flows().current().epoch;
    const bool fits = SLC_TRY(state_->flows().fit(wanted), "flow table");
    const bool too_fine = wanted.shift > state_->flows().current().geometry.shift;
    if (!fits && too_fine && live_)
        return fail(Errc::conflict,
                    "longer lifetimes need another flow table, and one is still being left",
                    "try again when sluice map list shows no flow that is still to leave");
    if (!fits && too_fine)
        log_event(LogLevel::warning, "flows.lifetimes_cut",
                  {{"why", "a flow table with a shorter tick is still being left"}});
    made_flow_table_ = state_->flows().current().epoch != epoch;
    flows_refit_ = !fits;
    return {};
}

kernel::StateSizes Controller::sizes_of(const Live& next) {
    return {next.image.highest_service + 1,
            next.image.highest_member + 1,
            next.image.highest_customer + 1,
            next.image.highest_policy + 1,
            frag_buckets_for(::sysconf(_SC_PHYS_PAGES), ::sysconf(_SC_PAGESIZE)),
            {}};
}

Result<void> Controller::compile(Live& next) {
    plan::CompileOptions options;
    options.table_seed = random_word();
    options.generation = next.number;
    options.local_addresses = network_->local_addresses();
    next.address_revision = network_->revision().addresses;
    options.frag_buckets = state_->frag_buckets();
    options.overrides = overrides_.overrides();
    options.flows = state_->flows().current().geometry;
    plan::retain(next.config, next.before, options);
    keep_retired_ids(next, options.retired);
    options.retired_ids = next.retired_ids;
    next.image = SLC_TRY(plan::compile(next.config, next.ids, options), "configuration");
    next.wanted = next.image.slots;
    plan::inherit_slots(next.config, next.before, next.ids, next.image);
    return {};
}

std::set<IpAddress> Controller::watched_by(const Live& live) {
    std::set<IpAddress> out;
    for (const auto& [address, members] : live.members_at) out.insert(address);
    return out;
}

Result<void> Controller::make_live(Live next, const std::string& text) {
    // Both until the swap is done: the live generation must not miss a change meanwhile.
    std::set<IpAddress> both = watched_by(next);
    if (live_) both.merge(watched_by(*live_));
    network_->watch(both);
    auto outcome = swap_in(next);
    if (outcome) {
        // The old generation's stages go with it: first let those leave that are inside.
        (void)kernel::wait_for_packets();
        take_over_changes(next);
        const bool first = !live_;
        live_ = std::move(next);
        live_->since = now();
        live_->changes->aim_at(scene(*live_), std::exchange(live_->wanted, {}), now());
        forget_orders();
        if (first) resume_deadlines();
        text_ = text;
    }
    if (live_) network_->watch(watched_by(*live_));
    return outcome;
}

Result<void> Controller::swap_in(Live& next) {
    for (const auto& [address, members] : next.members_at)
        SLC_CHECK(write_hop(next, address), "backend");
    SLC_CHECK(save_ids(next.ids), "keep ids");
    std::vector<std::string> added;
    auto attachments = attach(next.config.node, added);
    auto swapped = attachments ? instance_->activate(*next.generation, next.number)
                               : Result<void>(fail(std::move(attachments).error()));
    if (!swapped) {
        for (const auto& interface : added) (void)instance_->detach(interface);
        attach_as_before();
        return swapped;
    }
    next.attachments = std::move(*attachments);
    const auto& wanted = next.config.node.interfaces;
    for (const auto& interface : instance_->attached())
        if (std::find(wanted.begin(), wanted.end(), interface) == wanted.end())
            (void)instance_->detach(interface);
    return {};
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

Result<void> Controller::write_hop(Live& live, const IpAddress& address) {
    plan::NextHop hop = network_->resolve(address);
    const auto found = live.members_at.find(address);
    if (found == live.members_at.end()) return {};
    for (const std::size_t index : found->second)
        SLC_CHECK(write_member(live, live.image.members[index], hop), address.text());
    live.hops.insert_or_assign(address, std::move(hop));
    return {};
}

Result<void> Controller::write_member(Live& live, const plan::ImageMember& member,
                                      const plan::NextHop& hop) {
    const config::Node& node = live.config.node;
    const plan::TunnelSources sources{node.tunnel_source4, node.tunnel_source6, node.gue_port};
    live.generation->set_local(member.id, hop.state == plan::HopState::local);
    for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant) {
        if ((member.variants & (1u << variant)) == 0) continue;
        if (hop.state != plan::HopState::resolved) {
            SLC_CHECK(set_cell(live, member.id, variant, nullptr), "template");
            continue;
        }
        auto header = plan::build_template(static_cast<config::Forward>(variant >> 1),
                                           (variant & 1) != 0, member.address, hop, sources);
        // A mode that cannot reach this backend now (L2 through a gateway) leaves it unresolved;
        // status says why. Other modes of the same backend go on.
        SLC_CHECK(set_cell(live, member.id, variant, header ? &*header : nullptr), "template");
    }
    return {};
}

Result<void> Controller::set_cell(Live& live, std::uint32_t member, std::uint32_t variant,
                                  const slc_template* header) {
    auto outcome = live.generation->set_cell(member, variant, header);
    if (outcome || outcome.error().code != Errc::limit) return outcome;
    live.generation->reclaim();
    return live.generation->set_cell(member, variant, header);
}

void Controller::on_network() {
    auto changed = network_->process();
    if (!changed) {
        log_event(LogLevel::error, "network.failed", {{"error", changed.error().what}});
        return;
    }
    if (!live_) return;
    for (const IpAddress& address : *changed) follow_hop(address);
}

void Controller::follow_hop(const IpAddress& address) {
    const plan::NextHop before = live_->hops[address];
    auto outcome = write_hop(*live_, address);
    if (!outcome) {
        live_->unwritten.insert(address);  // The next tick has reclaimed templates.
        log_event(LogLevel::error, "backend.template_failed",
                  {{"address", address.text()}, {"error", outcome.error().what}});
        return;
    }
    const plan::NextHop& now = live_->hops[address];
    if (now.state != before.state)
        log_event(
            LogLevel::info, "backend.next_hop",
            {{"address", address.text()}, {"state", plan::name_of(now.state)}, {"why", now.why}});
}

/// Where tunnels of other balancers end follows the node's addresses, unless they are configured:
/// that is another generation of the same configuration, secrets included.
void Controller::follow_addresses() {
    if (network_->revision().addresses == live_->address_revision) return;
    const auto& decap = live_->config.node.decap;
    const auto now = std::chrono::steady_clock::now();
    if (!decap || !decap->addresses.empty() || now - addresses_retried_ < kRetryAddresses) return;
    addresses_retried_ = now;
    auto outcome = put_into_force(live_->config, std::string(text_));
    log_event(outcome ? LogLevel::info : LogLevel::error, "node.addresses_changed",
              {{"generation", std::to_string(live_->number)},
               {"error", outcome ? "" : outcome.error().what}});
}

void Controller::on_tick() {
    network_->tick();
    if (!live_) return;
    follow_addresses();
    expire_overrides();
    settle_flow_table();
    live_->generation->reclaim();
    const std::set<IpAddress> again = std::exchange(live_->unwritten, {});
    for (const IpAddress& address : again) follow_hop(address);
    attach_again();
}

void Controller::attach_again() {
    for (auto& attachment : live_->attachments) {
        if (instance_->is_attached(attachment.interface)) continue;
        auto again =
            instance_->attach(attachment.interface, attach_mode(live_->config.node.xdp_mode));
        if (!again) continue;  // status names it; the next tick tries again.
        log_event(LogLevel::warning, "interface.attached_again",
                  {{"interface", attachment.interface}});
        attachment = std::move(*again);
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
    return kernel::Instance::remove(options.bpffs, outcome.config.node.name);
}

}  // namespace sluice::control
