// SPDX-License-Identifier: Apache-2.0

/// The half of the controller that changes a running generation without cutting a connection: what
/// is taken over from the one before, orders for single backends, and what goes on by itself.

#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "control/controller.h"
#include "kernel/generation_pins.h"
#include "kernel/pinned_generation.h"
#include "plan/meta.h"

namespace sluice::control {
namespace {

constexpr std::chrono::milliseconds kSweepBudget{5};
constexpr std::size_t kBucketsAtOnce = 1024;
/// Between two passes: with changes in progress, and without. The shortest tick gives a sweeper
/// eight seconds.
constexpr std::chrono::milliseconds kBusyPause{200};
constexpr std::chrono::milliseconds kIdlePause{2000};
constexpr std::chrono::seconds kFlowsRetry{30};

/// Names of a pinned generation's groups, by number minus one; none where an earlier version has
/// written no meta.
std::vector<std::string> group_names(const std::string& directory) {
    std::vector<std::string> out;
    const auto text = kernel::read_meta(directory);
    if (!text || text->empty()) return out;
    const auto meta = plan::parse_meta(*text);
    if (!meta) return out;
    for (const auto& group : meta->groups) out.push_back(group.name);
    return out;
}

/// The group of whoever owns a slot of the ring; empty when nobody ever did.
std::string group_of_owners(const kernel::PinnedRing& ring,
                            const std::map<std::uint32_t, std::string>& names) {
    for (const std::uint64_t slot : ring.slots)
        for (const std::uint32_t id : {SLC_SLOT_CURRENT(slot), SLC_SLOT_PREVIOUS(slot)})
            if (const auto name = names.find(id); name != names.end())
                return plan::group_of(name->second);
    return {};
}

}  // namespace

plan::Instant Controller::now() const {
    if (options_.clock) return options_.clock();
    return std::chrono::duration_cast<plan::Instant>(
        std::chrono::steady_clock::now().time_since_epoch());
}

history::WallTime Controller::wall_now() const {
    return options_.wall_clock ? options_.wall_clock() : std::chrono::system_clock::now();
}

Result<plan::LiveRings> Controller::rings_before() {
    if (!live_) return rings_in_kernel();
    auto out = live_rings(live_->config, live_->image, live_->ids, *live_->generation);
    out.remembered = remembered_members();
    return out;
}

/// After a restart: what packets read says itself, by member and service ids.
Result<plan::LiveRings> Controller::rings_in_kernel(std::string directory) const {
    plan::LiveRings out;
    if (directory.empty()) directory = instance_->live_directory();
    if (directory.empty()) {
        if (!instance_->attached().empty())
            log_event(LogLevel::warning, "rings.unknown",
                      {{"directory", instance_->path()},
                       {"why", "no generation is pinned that packets go to: slots begin anew"}});
        return out;
    }
    const auto pinned = SLC_TRY(kernel::read_pinned_generation(directory), "generation in force");
    if (!pinned) {
        log_event(
            LogLevel::warning, "rings.unknown",
            {{"directory", directory}, {"why", "written by another version: slots begin anew"}});
        return out;
    }
    const plan::IdStore ids = SLC_TRY(load_ids(), "ids");
    out.names = ids.members.names_by_id();
    out.remembered = remembered_members();
    const auto services = ids.services.names_by_id();
    const auto groups = group_names(directory);
    for (std::size_t i = 0; i < pinned->rings.size(); ++i) {
        const auto& ring = pinned->rings[i];
        plan::LiveRing live;
        live.group = group_of_owners(ring, out.names);
        if (live.group.empty()) continue;
        // Owners may be those of a group that stands in; its services say whose the ring is.
        if (ring.group != 0 && ring.group <= groups.size()) live.group = groups[ring.group - 1];
        live.balance = (ring.descriptor & SLC_RING_RENDEZVOUS) != 0 ? config::Balance::rendezvous
                                                                    : config::Balance::maglev;
        live.slots = ring.slots;
        for (const auto& [service, index] : pinned->services)
            if (const auto name = services.find(service); index == i && name != services.end())
                live.services.push_back(name->second);
        out.rings.push_back(std::move(live));
    }
    return out;
}

std::set<std::uint32_t> Controller::remembered_members() const {
    std::set<std::uint32_t> out;
    const auto& totals = sweep_.totals();
    if (totals.ended.count() != 0) {
        for (std::uint32_t id = 0; id < totals.by_member.size(); ++id)
            if (totals.by_member[id] != 0) out.insert(id);
        return out;
    }
    std::vector<bool> seen(SLC_MAX_MEMBERS);
    const auto scan = [&seen](const kernel::FlowTable& table) {
        for (auto& bucket : table.buckets())
            for (std::uint64_t& entry : bucket.entry)
                seen[SLC_FLOW_MEMBER_OF(std::atomic_ref(entry).load())] = true;
    };
    // In this order no flow that moves meanwhile is missed.
    if (state_->flows().leaving()) scan(*state_->flows().leaving());
    scan(state_->flows().current());
    for (std::uint32_t id = 1; id < seen.size(); ++id)
        if (seen[id]) out.insert(out.end(), id);
    return out;
}

/// After the swap, while the generation before is still there.
void Controller::take_over_changes(Loaded& next) {
    next.changes.emplace(next.scene(overrides()), now(), live_ ? &*live_->changes : nullptr,
                         next.before);
    sweep_.restart();
    if (!live_) return;
    take_over_refusals(next, *live_);
    take_over_accounts(next, *live_);
}

void Controller::on_change_tick() {
    if (!live_) return;
    const plan::Instant at = now();
    enforce_health(health_.tick(HealthWatch::Time::clock::now()));
    watch_vips();
    const bool was_settled = live_->changes->settled();
    live_->changes->step(live_->scene(overrides()), at);
    step_canary(at);
    sweep(at);
    if (!was_settled && live_->changes->settled())
        log_event(LogLevel::info, "change.settled",
                  {{"generation", std::to_string(live_->number)}});
}

void Controller::sweep(plan::Instant at) {
    const bool busy = !live_->changes->settled() || state_->flows().leaving();
    if (swept_at_.count() != 0 && at < swept_at_ + (busy ? kBusyPause : kIdlePause)) return;
    const auto start = std::chrono::steady_clock::now();
    do {
        if (sweep_.step(state_->flows(), live_->scene(overrides()), *live_->changes,
                        live_->lifetimes, at, kBucketsAtOnce)) {
            swept_at_ = at;
            retire_members();
            return;
        }
    } while (std::chrono::steady_clock::now() - start < kSweepBudget);
}

/// A retired member ends when no slot names it and no flow is remembered for it.
void Controller::retire_members() {
    if (canary_) return;  // Its slots name members, too.
    const auto& remembered = sweep_.totals().by_member;
    auto& members = live_->image.members;
    // Not named when this pass ended, nor when it began: nothing was remembered behind its back.
    std::set<std::uint32_t> unnamed;
    for (const auto& member : members)
        if (member.backend == plan::kRetired && !live_->changes->names(member.group, member.id))
            unnamed.insert(member.id);
    const std::set<std::uint32_t> before = std::exchange(live_->unnamed, unnamed);
    const auto is_over = [&](const plan::ImageMember& member) {
        return unnamed.contains(member.id) && before.contains(member.id) &&
               member.id < remembered.size() && remembered[member.id] == 0;
    };
    if (std::none_of(members.begin(), members.end(), is_over)) return;
    for (const auto& member : members)
        if (is_over(member))
            log_event(LogLevel::info, "backend.retired",
                      {{"backend", plan::member_name(live_->config.groups[member.group].name,
                                                     member.address)}});
    for (const auto& member : members)
        if (is_over(member)) live_->generation->clear_member(member.id);
    std::erase_if(members, is_over);
    live_->index_members();
    std::erase_if(live_->hops,
                  [this](const auto& known) { return !live_->members_at.contains(known.first); });
    watch_all();
}

/// The same configuration again, for a program that asks one table only, or the size that had to
/// wait.
void Controller::settle_flow_table() {
    kernel::FlowMap& flows = state_->flows();
    const auto& totals = sweep_.totals();
    if (canary_) return;
    const bool left = flows.leaving() && totals.ended.count() != 0 && totals.leaving == 0 &&
                      totals.began >= live_->since;
    if (!left && !(flows_refit_ && !flows.leaving())) return;
    // What cannot be had now must not be tried every second.
    if (now() < flows_retry_) return;
    flows_retry_ = now() + kFlowsRetry;
    flows.drop_leaving();
    sweep_.restart();  // Its place was one in both tables.
    flows_refit_ = true;
    auto outcome = rebuild("flow table");
    if (outcome) flows_retry_ = plan::Instant{0};
    log_event(outcome ? LogLevel::info : LogLevel::error, "flows.resized",
              {{"entries", std::to_string(flows.current().geometry.entries())},
               {"error", outcome ? "" : outcome.error().what}});
}

void Controller::expire_overrides() {
    if (!overrides_.expire(std::chrono::system_clock::now())) return;
    (void)health_.reconsider(overrides_.overrides(), HealthWatch::Time::clock::now());
    merge_overrides();
    follow_announcements();
    aim();
    auto saved = overrides_.save();
    log_event(saved ? LogLevel::info : LogLevel::error, "backend.override_ended",
              {{"error", saved ? "" : saved.error().what}});
}

/// After a restart: changes that were ordered with a deadline still have it.
void Controller::resume_deadlines() {
    const auto wall = std::chrono::system_clock::now();
    for (const auto& member : live_->image.members) {
        const auto* kept = overrides_.find(
            plan::member_name(live_->config.groups[member.group].name, member.address));
        if (kept == nullptr || !kept->deadline) continue;
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(*kept->deadline - wall);
        live_->changes->limit(member.group, member.id,
                              now() + std::max(left, std::chrono::milliseconds(1)));
    }
}

/// Orders for backends that no configuration has that may come back by itself or by a swap: a
/// rollback must not revive what was taken out, and one that comes back later comes as configured.
void Controller::forget_orders() {
    if (overrides_.all().empty()) return;
    std::set<std::string> members = live_->member_names();
    members.insert(former_members_.begin(), former_members_.end());
    for (const auto& each : retained_) members.merge(each.member_names());
    if (!sleeping_.empty()) return;  // What they have, nobody has looked at.
    std::vector<std::string> gone;
    for (const auto& [member, kept] : overrides_.all())
        if (!members.contains(member)) gone.push_back(member);
    if (gone.empty()) return;
    for (const auto& member : gone) (void)overrides_.reset(member);
    merge_overrides();
    auto saved = overrides_.save();
    log_event(
        saved ? LogLevel::info : LogLevel::error, "backend.override_ended",
        {{"backends", std::to_string(gone.size())}, {"error", saved ? "" : saved.error().what}});
}

Result<std::size_t> Controller::find_group(const std::string& owner) const {
    if (!live_) return fail(Errc::unreachable, "no configuration is in force yet");
    for (std::size_t g = 0; g < live_->config.groups.size(); ++g)
        if (live_->config.groups[g].name == owner) return g;
    for (const auto& service : live_->config.services)
        if (service.name == owner && service.forward != config::Forward::local)
            return service.group;
    return fail(Errc::not_found, "no group or service '" + owner + "' with backends",
                "sluice backend list shows them all");
}

Result<std::size_t> Controller::find_member(const std::string& owner,
                                            const IpAddress& address) const {
    const std::size_t group = SLC_TRY(find_group(owner), "backend");
    for (std::size_t i = 0; i < live_->image.members.size(); ++i) {
        const auto& member = live_->image.members[i];
        if (member.group == group && member.address == address) return i;
    }
    return fail(Errc::not_found, "no backend '" + owner + "/" + address.text() + "'",
                "sluice backend list shows them all");
}

void Controller::announce_order(const BackendOrder& order, const std::string& member) const {
    std::vector<LogField> fields{{"backend", member}};
    if (order.reset) fields.push_back({"reset", "true"});
    if (order.state) fields.push_back({"state", config::name_of(*order.state)});
    if (order.weight) fields.push_back({"weight", std::to_string(*order.weight)});
    if (order.keep) fields.push_back({"keep_s", std::to_string(order.keep->count())});
    if (order.deadline) fields.push_back({"deadline_s", std::to_string(order.deadline->count())});
    log_event(LogLevel::info, "backend.ordered", std::span<const LogField>(fields));
}

/// Towards what is wanted now. What is remembered for a member that comes back is from before it
/// failed: its connections have ended, and others may have their tuples.
void Controller::aim(std::optional<std::size_t> only) {
    std::vector<bool> revived(live_->generation->members().size());
    bool any = false;
    for (const auto& member : live_->image.members) {
        if (member.backend == plan::kRetired || (only && member.group != *only)) continue;
        const auto& group = live_->config.groups[member.group];
        const auto backend = plan::effective(group, group.backends[member.backend], overrides());
        const bool was_down =
            (live_->generation->members()[member.id].flags & SLC_MEMBER_DOWN) != 0;
        revived[member.id] = was_down && !Changes::is_dead(group, backend);
        any = any || revived[member.id];
    }
    if (any) forget_flows(revived);
    live_->changes->aim(live_->scene(overrides()), now(), only);
    aim_canary(only ? live_->config.groups[*only].name : std::string());
}

void Controller::forget_flows(const std::vector<bool>& members) {
    const auto walk = [&](const kernel::FlowTable& table) {
        for (auto& bucket : table.buckets())
            for (std::uint64_t& place : bucket.entry) {
                const std::uint64_t entry = std::atomic_ref(place).load();
                const std::uint32_t member = SLC_FLOW_MEMBER_OF(entry);
                if (member < members.size() && members[member])
                    (void)free_entry(place, entry, *live_->generation);
            }
    };
    if (state_->flows().leaving()) walk(*state_->flows().leaving());
    walk(state_->flows().current());
}

Result<BackendStatus> Controller::order(const BackendOrder& order) {
    const std::size_t index = SLC_TRY(find_member(order.owner, order.address), "order");
    const plan::ImageMember member = live_->image.members[index];
    const std::string name =
        plan::member_name(live_->config.groups[member.group].name, member.address);
    if (member.backend == plan::kRetired)
        return fail(
            Errc::conflict, name + " is in no configuration any more",
            "it ends with its last remembered flow; sluice flow purge --backend ends it now");
    const bool changes = order.state || order.weight;
    if (order.reset && (changes || order.keep))
        return fail(Errc::invalid, "reset takes neither state nor weight");
    if (!order.reset && !changes && !order.deadline)
        return fail(Errc::invalid, "nothing to set", "--state or --weight says what");
    if (order.weight && *order.weight > SLC_MAX_WEIGHT)
        return fail(Errc::invalid, "weight " + std::to_string(*order.weight) + " is above " +
                                       std::to_string(SLC_MAX_WEIGHT));
    std::optional<std::chrono::system_clock::time_point> until;
    if (order.keep) until = std::chrono::system_clock::now() + *order.keep;
    if (order.reset) (void)overrides_.reset(name);
    if (changes) overrides_.set(name, {order.state, order.weight}, until);
    // In effect first: a failed backend must not wait for a disk.
    const plan::Instant at = now();
    auto changed = health_.reconsider(overrides_.overrides(), HealthWatch::Time::clock::now());
    changed.insert(live_->config.groups[member.group].name);
    enforce_health(changed);
    // Only where this member is concerned: a ring may move slots between others, too.
    if (order.deadline && order.deadline->count() > 0) {
        live_->changes->limit(member.group, member.id, at + *order.deadline);
        overrides_.set_deadline(name, std::chrono::system_clock::now() + *order.deadline);
    }
    announce_order(order, name);
    auto saved = overrides_.save();
    if (!saved) return fail(std::move(saved).error().in("in force, but not kept for a restart"));
    return backend(order.owner, order.address);
}

}  // namespace sluice::control
