// SPDX-License-Identifier: Apache-2.0

/// From a text to a change in effect: parse, compile, plan, lay aside or load, prove, write the
/// journal, swap. Everything before the journal's entry touches nothing that carries traffic.

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <random>

#include "base/digest.h"
#include "base/log.h"
#include "base/version.h"
#include "config/load.h"
#include "control/controller.h"
#include "kernel/grace_period.h"
#include "plan/meta.h"

namespace sluice::control {
namespace {

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

/// Notes how long the parts of a change took, one after the other.
class StopWatch {
 public:
    using Clock = std::chrono::steady_clock;
    StopWatch(std::vector<std::pair<std::string, std::chrono::microseconds>>& times,
              Clock::time_point began, const std::function<void()>& alive)
        : times_(times), last_(began), alive_(alive) {}
    void note(const char* part) {
        if (alive_) alive_();
        const auto now = Clock::now();
        times_.emplace_back(part,
                            std::chrono::duration_cast<std::chrono::microseconds>(now - last_));
        last_ = now;
    }

 private:
    std::vector<std::pair<std::string, std::chrono::microseconds>>& times_;
    Clock::time_point last_;
    const std::function<void()>& alive_;
};

constexpr std::uint32_t kKeepRecords = 1000;

Error not_proven(const PlanReport& report) {
    std::string what = "not applied:";
    for (const auto& failure : report.proof.failures)
        what += "\n" + failure.where + ": test '" + failure.test + "': " + failure.text;
    if (report.proof.failures.empty()) {
        char text[160];
        std::snprintf(
            text, sizeof text,
            " %llu of %llu live packets would go elsewhere, and proof.max_moved is %.4g%%",
            static_cast<unsigned long long>(report.proof.moved),
            static_cast<unsigned long long>(report.proof.replayed),
            report.proof.max_moved.value_or(1) * 100);
        what += text;
    }
    return make_error(Errc::conflict, what,
                      "the running configuration is unchanged; sluice config plan shows the whole "
                      "proof");
}

}  // namespace

plan::CodeDigests code_digests(kernel::InstructionSet isa) {
    return {{"lb", kernel::code_digest(isa)}};
}

Error config_error(const config::ParseOutcome& outcome) {
    std::string text;
    for (const auto& diagnostic : outcome.errors) text += "\n" + diagnostic.text();
    const std::size_t count = outcome.errors.size();
    return make_error(Errc::invalid,
                      std::to_string(count) + (count == 1 ? " error" : " errors") +
                          " in the configuration" + text,
                      "the running configuration is unchanged");
}

Result<config::Config> Controller::read_config(const std::string& text, const std::string& file,
                                               const std::string& directory) const {
    config::ParseOutcome outcome = config::parse(text, file);
    if (!outcome.ok()) return fail(config_error(outcome));
    SLC_CHECK(config::load_secrets(outcome.config, directory), "ring secret");
    return std::move(outcome.config);
}

ApplyRequest Controller::file_request(const std::string& text, const std::string& author) const {
    ApplyRequest out;
    out.text = text;
    out.file = options_.config_file;
    out.author = author;
    return out;
}

std::string Controller::directory_for(const std::string& file) const {
    return config::directory_of(file.empty() || file == "-" ? options_.config_file : file);
}

std::string Controller::file_digest() const {
    const auto text = config::read_file(options_.config_file);
    return text ? sha256_hex(*text) : std::string();
}

Result<void> Controller::ready_for_change() const {
    if (awaiting_)
        return fail(
            Errc::conflict,
            "generation " + std::to_string(awaiting_->number) + " waits for its confirmation",
            "sluice config confirm keeps it, sluice config rollback undoes it");
    if (canary_)
        return fail(Errc::conflict,
                    "generation " + std::to_string(canary_->loaded.number) + " runs as a canary",
                    "sluice config canary promote, or back");
    return {};
}

plan::Running Controller::running() const {
    plan::Running out;
    if (!live_) return out;
    out.config = &live_->config;
    out.image = &live_->image;
    out.ids = &live_->ids;
    out.overrides = overrides();
    const auto& generation = *live_->generation;
    const auto room = static_cast<std::uint32_t>(generation.members().size());
    const std::uint32_t used = live_->ids.members.highest() + 1;
    const std::uint32_t counted = state_->capacity("slc_member_counters");
    out.free_members = std::min(room, counted) - std::min({room, counted, used});
    out.free_cells = generation.free_cells();
    out.free_slots = generation.free_slots();
    const auto ids = static_cast<std::uint32_t>(live_->image.server_ids.size());
    out.free_server_ids = std::max(generation.server_ids_room(), ids) - ids;
    return out;
}

Result<PlanReport> Controller::plan(const ApplyRequest& request) {
    // A canary's programs and tables are those of any other; its counters are begun when it is.
    ApplyRequest whole = request;
    if (std::exchange(whole.canary, std::nullopt)) whole.road = plan::Road::program;
    auto candidate = SLC_TRY(consider(whole, Clock::now()), "plan");
    discard(candidate);
    return std::move(candidate.report);
}

Result<ApplyReport> Controller::apply(const ApplyRequest& request) {
    if (request.dry_run) {
        ApplyReport out;
        out.plan = SLC_TRY(plan(request), "dry run");
        return out;
    }
    SLC_CHECK(ready_for_change(), "apply");
    const auto began = Clock::now();
    auto candidate = SLC_TRY(consider(request, began), "apply");
    return apply_considered(std::move(candidate), request, 0, began);
}

Result<void> Controller::apply_file() {
    reload_.at = std::chrono::system_clock::now();
    const auto outcome = [this]() -> Result<void> {
        if (!live_) return start();
        const std::string text = SLC_TRY(config::read_file(options_.config_file), "reload");
        (void)SLC_TRY(apply(file_request(text, "reload")), "reload");
        return {};
    }();
    reload_.success = outcome.has_value();
    reload_.error = outcome ? "" : outcome.error().what;
    return outcome;
}

Result<Controller::Candidate> Controller::consider(const ApplyRequest& request,
                                                   Clock::time_point began, Proving proving) {
    Times times;
    const std::string& file = request.file.empty() ? options_.config_file : request.file;
    const std::string directory = request.directory.empty() ? directory_for({}) : request.directory;
    config::Config config = SLC_TRY(read_config(request.text, file, directory), file);
    StopWatch(times, began, options_.alive).note("parse");
    if (live_ && live_->config.node.name != config.node.name)
        return fail(Errc::invalid,
                    "node.name cannot change from " + live_->config.node.name + " to " +
                        config.node.name + " while sluiced runs",
                    "stop sluiced, sluiced --detach, and start it with the new name");
    made_flow_table_ = false;
    auto out = consider_config(std::move(config), request, std::move(times), proving);
    if (out) return out;
    undo_state();
    watch_all();
    return out;
}

Result<Controller::Candidate> Controller::consider_config(config::Config config,
                                                          const ApplyRequest& request, Times times,
                                                          Proving proving) {
    Candidate out;
    out.report.times = std::move(times);
    StopWatch watch(out.report.times, Clock::now(), options_.alive);
    out.next = SLC_TRY(compile_next(std::move(config), request), "compile");
    out.report.base = live_ ? live_->number : 0;
    out.report.digest = out.next.digest;
    watch.note("compile");
    plan::ChangePlan& plan = out.report.plan;
    plan = plan::make_plan(running(), out.next.config, out.next.image, out.next.ids);
    if (request.road) SLC_CHECK(plan::check_road(plan, *request.road), "road");
    plan::Road road = request.road.value_or(plan.road);
    if (!live_ || request.canary) road = plan::Road::program;
    watch.note("plan");
    if (road != plan::Road::program) {
        watch_all();
        auto aside = lay_aside(*live_, std::move(out.next), *network_);
        if (!aside) return fail(std::move(aside).error());
        out.aside = std::move(*aside);
        watch.note("lay aside");
    } else {
        SLC_CHECK(load_next(out.next, request.canary.has_value()), "load");
        watch.note("load");
    }
    out.report.road = road;
    auto proven = proving == Proving::yes ? prove(out) : Result<void>();
    if (!proven) {
        discard(out);
        return fail(std::move(proven).error());
    }
    watch.note("prove");
    return out;
}

/// A candidate that comes to nothing leaves nothing.
void Controller::discard(Candidate& candidate) {
    if (candidate.aside) abandon(*live_, *candidate.aside);
    candidate.aside.reset();
    candidate.next.generation.reset();
    undo_state();
    watch_all();
}

/// State maps that were made for a change that came to nothing.
void Controller::undo_state() {
    if (state_) state_->undo_fit();
    if (made_flow_table_ && state_) state_->flows().undo_fit();
    made_flow_table_ = false;
}

Result<Loaded> Controller::compile_next(config::Config config, const ApplyRequest& request) {
    SLC_CHECK(open_instance(config.node.name), "apply");
    Loaded next;
    next.config = std::move(config);
    next.text = request.text;
    next.digest = sha256_hex(request.text);
    next.file = request.file.empty() ? options_.config_file : request.file;
    next.directory = request.directory.empty() ? directory_for({}) : request.directory;
    next.pinned = instance_->next_generation();
    next.ids = live_ ? live_->ids : SLC_TRY(load_ids(), "ids");
    SLC_CHECK(open_state(next), "state");
    next.before = SLC_TRY(rings_before(), "rings in force");
    SLC_CHECK(compile(next), "configuration");
    next.index_members();
    next.lifetimes = group_lifetimes(next.config);
    return next;
}

/// The state maps, and the flow table that the configuration asks for: its tick decides how
/// lifetimes are compiled.
Result<void> Controller::open_state(const Loaded& next) {
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

kernel::StateSizes Controller::sizes_of(const Loaded& next) {
    return {next.image.highest_service + 1,
            next.image.highest_member + 1,
            next.image.highest_customer + 1,
            next.image.highest_policy + 1,
            frag_buckets_for(::sysconf(_SC_PHYS_PAGES), ::sysconf(_SC_PAGESIZE)),
            {}};
}

Result<void> Controller::compile(Loaded& next) {
    plan::CompileOptions options;
    // The seed of the tables in force, where it is known: tables that say the same are then shared.
    next.table_seed = live_ && live_->table_seed ? *live_->table_seed : random_word();
    options.table_seed = *next.table_seed;
    options.generation = next.pinned;
    options.local_addresses = network_->local_addresses();
    next.address_revision = network_->revision().addresses;
    options.frag_buckets = state_->frag_buckets();
    options.overrides = overrides();
    options.flows = state_->flows().current().geometry;
    plan::retain(next.config, next.before, options);
    if (live_) next.retired_ids = retired_ids_of(*live_, options.retired);
    options.retired_ids = next.retired_ids;
    next.image = SLC_TRY(plan::compile(next.config, next.ids, options), "compile");
    next.wanted.slots = next.image.slots;
    for (const auto& ring : next.image.ring_list) next.wanted.offsets.push_back(ring.offset);
    plan::inherit_slots(next.config, next.before, next.ids, next.image);
    return {};
}

/// Programs and tables; backends are resolved as far as they are by now.
Result<void> Controller::load_next(Loaded& next, bool is_canary) {
    SLC_CHECK(state_->fit(sizes_of(next)), "state");
    if (is_canary)
        SLC_CHECK(state_->open_canary(live_->generation->map_fd("slc_reason_counters")), "state");
    std::string log;
    kernel::LoadOptions load;
    load.isa = isa_;
    load.next = next.config.node.next;
    load.canary = is_canary;
    load.verbose_log = options_.verbose ? &log : nullptr;
    load.share = live_ ? &*live_->generation : nullptr;
    load.share_image = live_ ? &live_->image : nullptr;
    auto generation = kernel::Generation::load(next.image, *state_, load);
    if (options_.verbose) std::fputs(log.c_str(), stderr);
    next.generation = SLC_TRY(std::move(generation), "generation");
    mark_dead(next, live_ ? &*live_ : nullptr, overrides());
    std::set<IpAddress> both = next.watched();
    if (live_) both.merge(live_->watched());
    network_->watch(both);
    for (const auto& [address, members] : next.members_at) {
        SLC_CHECK(write_hop(next, address, hop_of(address)), "backend");
    }
    return {};
}

/// How a watched address is reached; what is followed already is known.
plan::NextHop Controller::hop_of(const IpAddress& address) {
    if (live_ && live_->members_at.contains(address))
        if (const auto known = live_->hops.find(address); known != live_->hops.end())
            return known->second;
    return network_->resolve(address);
}

Result<std::uint32_t> Controller::begin(const ApplyRequest& request, const Candidate& candidate,
                                        std::uint32_t restores) {
    const Loaded& next = candidate.aside ? candidate.aside->next : candidate.next;
    history::Begin what;
    what.base = candidate.report.base;
    what.restores = restores;
    what.text = request.text;
    what.digest = next.digest;
    what.file = request.file;
    what.file_digest = file_digest();
    what.author = request.author;
    what.message = request.message;
    if (request.confirm_within) what.confirm_by = wall_now() + *request.confirm_within;
    return history_->begin(what, instance_->next_generation() - 1);
}

Result<ApplyReport> Controller::apply_considered(Candidate candidate, const ApplyRequest& request,
                                                 std::uint32_t restores, Clock::time_point began) {
    ApplyReport out;
    const auto refuse = [&](Error error) {
        discard(candidate);
        return fail(std::move(error));
    };
    if (!candidate.report.holds) return refuse(not_proven(candidate.report));
    if (live_ && !request.canary && live_->digest == candidate.report.digest &&
        candidate.report.plan.empty() && !request.road) {
        discard(candidate);
        out.plan = std::move(candidate.report);
        out.generation = live_->number;
        return out;
    }
    if (request.confirm_within && !live_)
        return refuse(make_error(Errc::conflict, "there is no configuration to go back to"));
    if (request.canary && request.confirm_within)
        return refuse(make_error(Errc::invalid, "a canary does not wait for a confirmation",
                                 "sluice config canary promote or back ends it"));
    if (request.canary) return begin_canary(std::move(candidate), request, began);
    auto number = begin(request, candidate, restores);
    if (!number) return refuse(std::move(number).error());
    StopWatch watch(candidate.report.times, Clock::now(), options_.alive);
    auto done = carry_out(candidate, *number);
    const char* road = plan::name_of(candidate.report.road);
    if (!done) {
        (void)history_->finish(*number, history::Outcome::refused, road, done.error().what);
        return refuse(std::move(done).error());
    }
    watch.note("swap");
    made_flow_table_ = false;
    out.generation = *number;
    if (request.confirm_within) {
        out.outcome = history::Outcome::awaiting;
        out.confirm_left = *request.confirm_within;
        awaiting_ = Awaiting{*number, candidate.report.base, wall_now() + *request.confirm_within};
    }
    note_finish(*number, out.outcome, road);
    out.plan = std::move(candidate.report);
    note_total(out, began);
    announce(out, request);
    return out;
}

/// From here on packets notice.
Result<void> Controller::carry_out(Candidate& candidate, std::uint32_t number) {
    if (!candidate.aside) {
        candidate.next.number = number;
        candidate.next.pinned = std::max(candidate.next.pinned, number);
        return make_live(candidate.next);
    }
    Loaded& next = candidate.aside->next;
    next.number = number;
    next.pinned = live_->pinned;
    SLC_CHECK(save_ids(next.ids), "keep ids");
    SLC_CHECK(keep_meta(next), "keep");
    next.address_revision = live_->address_revision;
    announce_less(next.config);
    std::set<std::string> former = live_->member_names();
    commit(*live_, std::move(*candidate.aside), overrides(), now());
    effect_ = Clock::now();
    hand_over_counts(live_->ids);
    candidate.aside.reset();
    sweep_.restart();
    former_members_ = std::move(former);
    forget_orders();
    trim_retained();
    watch_all();
    follow_health();
    return {};
}

Result<void> Controller::keep_meta(const Loaded& loaded) {
    return instance_->set_meta(loaded.pinned, meta_of(loaded));
}

std::string Controller::meta_of(const Loaded& loaded) const {
    const plan::MetaSource source{loaded.config, loaded.image, loaded.ids,        loaded.number,
                                  loaded.digest, wall_now(),   code_digests(isa_)};
    return plan::to_meta(source);
}

Result<void> Controller::make_live(Loaded& next) {
    SLC_CHECK(swap_in(next), "swap");
    // The old generation's stages may go with it: first let those leave that are inside.
    (void)kernel::wait_for_packets();
    state_->keep_fit();
    take_over_changes(next);
    const bool first = !live_;
    if (live_) retain_live();
    live_ = std::move(next);
    live_->since = now();
    live_->changes->aim_at(live_->scene(overrides()), live_->wanted, now());
    live_->wanted = {};
    live_->before = {};
    forget_orders();
    trim_retained();
    if (first) resume_deadlines();
    watch_all();
    follow_health();
    follow_rows();
    return {};
}

Result<void> Controller::swap_in(Loaded& next) {
    SLC_CHECK(save_ids(next.ids), "keep ids");
    const auto pinned = instance_->generations();
    const bool is_pinned = std::any_of(
        pinned.begin(), pinned.end(), [&](const auto& each) { return each.number == next.pinned; });
    if (is_pinned)
        SLC_CHECK(keep_meta(next), "keep");
    else
        SLC_CHECK(instance_->keep(*next.generation, next.pinned, meta_of(next)), "keep");
    const std::vector<LogField> what = {{"generation", std::to_string(next.number)},
                                        {"pinned", std::to_string(next.pinned)}};
    if (!is_pinned) log_event(LogLevel::info, "generation.loaded", what);
    std::vector<std::string> added;
    auto attachments = attach(next.config.node, added);
    if (attachments) prepare_tap(next);
    if (attachments) announce_less(next.config);
    auto swapped = attachments ? instance_->swap_to(*next.generation)
                               : Result<void>(fail(std::move(attachments).error()));
    if (swapped) shift_tap();
    if (!swapped) {
        for (const auto& interface : added) (void)instance_->detach(interface);
        attach_as_before();
        if (!is_pinned) (void)instance_->drop(next.pinned);
        return swapped;
    }
    effect_ = Clock::now();
    hand_over_counts(next.ids);
    log_event(LogLevel::info, "generation.swapped", what);
    next.attachments = std::move(*attachments);
    note_attached(next.attachments, added);
    detach_others(next.config.node);
    lost_interfaces_.clear();
    return {};
}

/// The one in force is about to be replaced. What only tells how it was changing ends with it.
void Controller::retain_live() {
    live_->changes.reset();
    live_->twin.reset();
    live_->wanted = {};
    live_->before = {};
    retained_.insert(retained_.begin(), std::move(*live_));
}

/// Those that the configuration wants to keep, and that could come back.
void Controller::trim_retained() {
    const auto is_useless = [this](const Loaded& each) {
        return each.number == live_->number || each.pinned == live_->pinned ||
               !uses_state(*each.generation);
    };
    std::erase_if(retained_, is_useless);
    if (retained_.size() > live_->config.node.keep_generations)
        retained_.resize(live_->config.node.keep_generations);
    const std::size_t more = live_->config.node.keep_generations - retained_.size();
    if (sleeping_.size() > more) sleeping_.resize(more);
    const auto is_sleeping = [this](std::uint32_t number) {
        return std::any_of(sleeping_.begin(), sleeping_.end(),
                           [&](const Sleeping& each) { return each.pinned == number; });
    };
    for (const auto& pinned : instance_->generations()) {
        const bool is_kept =
            pinned.live || pinned.canary || pinned.number == live_->pinned ||
            is_sleeping(pinned.number) ||
            std::any_of(retained_.begin(), retained_.end(),
                        [&](const Loaded& each) { return each.pinned == pinned.number; });
        if (!is_kept) drop_generation(pinned.number);
    }
}

/// The same configuration in new programs, because something around it has changed.
Result<void> Controller::rebuild(const char* why) {
    made_flow_table_ = false;
    const auto build = [&]() -> Result<void> {
        ApplyRequest same;
        same.text = live_->text;
        same.file = live_->file;
        same.directory = live_->directory;
        Loaded next = SLC_TRY(compile_next(live_->config, same), why);
        next.number = live_->number;
        SLC_CHECK(load_next(next, false), why);
        return make_live(next);
    };
    auto outcome = build();
    if (!outcome) undo_state();
    made_flow_table_ = false;
    return outcome;
}

/// It is so, whatever the disk says; what could not be written is settled by the pins at the next
/// start. Old records go.
void Controller::note_finish(std::uint32_t number, history::Outcome outcome, std::string_view road,
                             std::string_view error) {
    auto kept = history_->finish(number, outcome, road, error);
    if (kept) kept = history_->prune(kKeepRecords);
    if (!kept)
        log_event(LogLevel::error, "history.failed",
                  {{"generation", std::to_string(number)}, {"error", kept.error().what}});
}

/// From the order until packets met it, and until its author is told.
void Controller::note_total(ApplyReport& report, Clock::time_point began) const {
    const auto since = [&](Clock::time_point then) {
        return std::chrono::duration_cast<std::chrono::microseconds>(then - began);
    };
    report.plan.times.emplace_back("effect", since(effect_));
    report.plan.times.emplace_back("total", since(Clock::now()));
}

void Controller::announce(const ApplyReport& report, const ApplyRequest& request) const {
    const auto total =
        report.plan.times.empty() ? std::chrono::microseconds{0} : report.plan.times.back().second;
    std::vector<LogField> fields{{"generation", std::to_string(report.generation)},
                                 {"road", plan::name_of(report.plan.road)},
                                 {"file", request.file},
                                 {"digest", report.plan.digest},
                                 {"author", request.author},
                                 {"services", std::to_string(live_->config.services.size())},
                                 {"backends", std::to_string(live_->image.members.size())},
                                 {"took_us", std::to_string(total.count())}};
    if (!request.message.empty()) fields.push_back({"message", request.message});
    if (report.confirm_left)
        fields.push_back({"confirm_within_s", std::to_string(report.confirm_left->count())});
    log_event(LogLevel::info, "config.applied", std::span<const LogField>(fields));
}

}  // namespace sluice::control
