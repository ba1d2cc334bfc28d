// SPDX-License-Identifier: Apache-2.0

/// The beginning: which configuration is right, whether packets meet it already, and what a daemon
/// left half-way.

#include <algorithm>
#include <atomic>
#include <filesystem>

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "config/load.h"
#include "control/controller.h"
#include "kernel/pinned_generation.h"
#include "plan/meta.h"

namespace sluice::control {
namespace {

/// What a pinned generation says of the configuration that it holds; nothing for one of an earlier
/// version, which kept no such thing.
std::optional<plan::Meta> meta_of_pin(const kernel::Instance::Pinned& pinned) {
    if (pinned.meta.empty()) return std::nullopt;
    auto meta = plan::parse_meta(pinned.meta);
    if (meta) return std::move(*meta);
    log_event(LogLevel::warning, "generation.unreadable",
              {{"directory", pinned.directory}, {"error", meta.error().what}});
    return std::nullopt;
}

constexpr std::uint32_t kLookBack = 256;

/// Whether the tables know the member by this id.
bool is_record_of(const slc_member& record, const plan::ImageMember& member) {
    const slc_member wanted = plan::member_record(member);
    return record.group == wanted.group && record.is_ip6 == wanted.is_ip6 &&
           std::equal(std::begin(record.addr_be), std::end(record.addr_be), wanted.addr_be);
}

std::string now_as_suffix() {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(
                              std::chrono::system_clock::now().time_since_epoch())
                              .count());
}

}  // namespace

/// A history that cannot be read must not keep a node from forwarding: it is put aside, and said.
Result<void> Controller::open_history() {
    if (history_) return {};
    SLC_CHECK(make_directory(options_.state_dir), "state directory");
    const std::string path = options_.state_dir + "/history.db";
    auto opened = history::History::open(path);
    if (!opened && opened.error().code == Errc::invalid) {
        const std::string aside = path + ".broken-" + now_as_suffix();
        std::error_code error;
        std::filesystem::rename(path, aside, error);
        if (error) return fail(std::move(opened).error());
        log_event(LogLevel::error, "history.put_aside",
                  {{"file", aside}, {"error", opened.error().what}});
        opened = history::History::open(path);
    }
    history_ = SLC_TRY(std::move(opened), "history");
    return {};
}

Result<void> Controller::start() {
    SLC_CHECK(open_history(), "start");
    Choice choice = SLC_TRY(choose(), "start");
    const bool is_new = !choice.record;
    const auto former = is_new ? former_config() : std::nullopt;
    auto done = start_with(std::move(choice));
    if (done && former) leave_former_ways(*former);
    if (done || !is_new) return done;
    // The file is no good; what was in force before is, as far as anybody knows.
    const auto last = SLC_TRY(history_->in_force(), "start");
    if (!last) return done;
    auto again = choose_record(*last);
    if (!again || !start_with(std::move(*again))) return done;
    log_event(LogLevel::error, "config.fallback",
              {{"generation", std::to_string(last->generation)}, {"error", done.error().what}});
    reload_.success = false;
    reload_.error = done.error().what;
    return {};
}

Result<Controller::Choice> Controller::choose_record(const history::Record& record) const {
    Choice out;
    out.record = SLC_TRY(history_->get(record.generation), "history");
    out.text = out.record->text;
    out.file = out.record->file.empty() ? options_.config_file : out.record->file;
    out.directory = directory_for(out.file);
    out.config = SLC_TRY(read_config(out.text, out.file, out.directory), "history");
    return out;
}

/// The file when it has changed since the last configuration was applied, or when there is none.
Result<Controller::Choice> Controller::choose_file(const std::optional<history::Record>& last) {
    Choice out;
    out.text = SLC_TRY(config::read_file(options_.config_file), "configuration");
    const std::string known = SLC_TRY(last_file_digest(), "history");
    if (last && sha256_hex(out.text) == known) return choose_record(*last);
    out.file = options_.config_file;
    out.directory = directory_for({});
    out.author = "start";
    out.base = last ? last->generation : 0;
    out.config = SLC_TRY(read_config(out.text, out.file, out.directory), out.file);
    return out;
}

/// What the file said when anything took effect last, a canary too: that was meant, and may have
/// been taken back since.
Result<std::string> Controller::last_file_digest() const {
    for (const auto& record : SLC_TRY(history_->list(kLookBack), "history"))
        if (record.outcome != history::Outcome::refused &&
            record.outcome != history::Outcome::applying)
            return record.file_digest;
    return std::string();
}

Result<Controller::Choice> Controller::choose() {
    auto last = SLC_TRY(history_->in_force(), "history");
    auto choice = choose_file(last);
    if (!choice && last) {
        log_event(LogLevel::error, "config.rejected",
                  {{"file", options_.config_file}, {"error", choice.error().what}});
        const Error why = choice.error();
        choice = choose_record(*last);
        if (!choice) return fail(why);
        reload_.success = false;
        reload_.error = why.what;
    }
    if (!choice) return choice;
    SLC_CHECK(open_instance(choice->config.node.name), "start");
    SLC_CHECK(settle_journal(), "start");
    // A change that was half-way may have been the last one after all.
    const auto settled = SLC_TRY(history_->in_force(), "history");
    const bool is_other = settled && (!last || settled->generation != last->generation);
    if (is_other && (choice->record || sha256_hex(choice->text) == settled->file_digest))
        choice = choose_record(*settled);
    const bool is_over = choice && choice->record && choice->record->confirm_by &&
                         choice->record->outcome == history::Outcome::awaiting &&
                         *choice->record->confirm_by <= wall_now();
    if (!is_over) return choice;
    const history::Record late = *choice->record;
    const auto base = history_->get(late.base);
    auto back = base ? choose_record(*base) : Result<Choice>(fail(base.error()));
    if (!back) {  // What waits goes on, and is undone when it can be.
        log_event(LogLevel::error, "config.undone",
                  {{"generation", std::to_string(late.generation)}, {"error", back.error().what}});
        return choice;
    }
    back->record.reset();
    back->base = late.generation;
    back->restores = late.base;
    back->undoes = late.generation;
    back->author = "confirmation";
    return back;
}

/// A daemon that was killed between the journal's entry and its end: the pins say whether it took
/// effect.
Result<void> Controller::settle_journal() {
    std::uint32_t in_force = 0;
    for (const auto& pinned : instance_->generations())
        if (pinned.live)
            if (const auto meta = meta_of_pin(pinned)) in_force = meta->generation;
    for (const auto& record : SLC_TRY(history_->unfinished(), "history")) {
        const bool took_effect = record.generation == in_force;
        const auto outcome = !took_effect        ? history::Outcome::refused
                             : record.confirm_by ? history::Outcome::awaiting
                                                 : history::Outcome::in_force;
        const char* error = took_effect ? "" : "sluiced ended before it took effect";
        note_finish(record.generation, outcome, record.road, error);
        log_event(LogLevel::warning, "config.interrupted",
                  {{"generation", std::to_string(record.generation)},
                   {"outcome", history::name_of(outcome)}});
    }
    // A canary that became the generation in force before anybody could write it down.
    for (const auto& record : SLC_TRY(history_->list(kLookBack), "history"))
        if (record.outcome == history::Outcome::canary && record.generation == in_force)
            note_finish(record.generation, history::Outcome::in_force, record.road);
    return {};
}

Result<void> Controller::start_with(Choice choice) {
    const bool is_adopted = SLC_TRY(try_adopt(choice), "adopt");
    if (!is_adopted) {
        ApplyRequest request;
        request.text = choice.text;
        request.file = choice.file;
        request.directory = choice.directory;
        request.author = choice.author;
        const auto began = Clock::now();
        if (choice.record) {
            // The same generation again, in programs of this daemon.
            const std::uint32_t number = choice.record->generation;
            auto candidate = consider_config(std::move(choice.config), request, {});
            if (candidate) {
                auto done = carry_out(*candidate, number);
                if (!done) candidate = fail(std::move(done).error());
            }
            if (!candidate) {
                abandon_start();
                return fail(std::move(candidate).error());
            }
        } else {
            auto candidate = consider_config(std::move(choice.config), request, {});
            if (candidate) candidate->report.base = choice.base;
            auto applied =
                candidate ? apply_considered(std::move(*candidate), request, choice.restores, began)
                          : Result<ApplyReport>(fail(std::move(candidate).error()));
            if (!applied) {
                abandon_start();
                return fail(std::move(applied).error());
            }
        }
    }
    if (choice.undoes) note_finish(*choice.undoes, history::Outcome::undone, {});
    if (choice.record && choice.record->outcome == history::Outcome::awaiting)
        awaiting_ = Awaiting{choice.record->generation, choice.record->base,
                             choice.record->confirm_by.value_or(wall_now())};
    SLC_CHECK(take_back_canary(), "canary");
    return {};
}

/// A first configuration that was refused leaves no pins; what an earlier daemon left in force
/// stays.
void Controller::abandon_start() {
    undo_state();
    const bool idle = instance_ && instance_->attached().empty() && !instance_->has_generation();
    if (live_ || !idle) return;
    const std::string node = instance_->path().substr(options_.bpffs.size() + 1);
    state_.reset();
    instance_.reset();
    (void)kernel::Instance::remove(options_.bpffs, node);
}

/// Packets may meet the right tables already. False: they do not, or not quite.
Result<bool> Controller::try_adopt(const Choice& choice) {
    const std::string digest = sha256_hex(choice.text);
    sleeping_.clear();
    for (const auto& pinned : instance_->generations()) {
        const auto meta = meta_of_pin(pinned);
        if (!meta) continue;
        const bool is_it = pinned.live && meta->digest == digest;
        if (!is_it && !pinned.canary)
            sleeping_.push_back({meta->generation, pinned.number, pinned.directory});
        if (!is_it) continue;
        auto adopted = adopt(pinned.directory, choice);
        if (!adopted) {
            log_event(LogLevel::warning, "generation.not_adopted",
                      {{"directory", pinned.directory}, {"why", adopted.error().what}});
            continue;
        }
        adopted->pinned = pinned.number;
        adopted->number = meta->generation;
        SLC_CHECK(take_over_adopted(std::move(*adopted), choice), "adopt");
        const bool same_code = meta->code == code_digests(isa_);
        if (!same_code) renew_code();
        log_event(LogLevel::info, "generation.adopted",
                  {{"generation", std::to_string(live_->number)},
                   {"code", same_code ? "same" : "renewed"}});
    }
    std::reverse(sleeping_.begin(), sleeping_.end());
    return live_.has_value();
}

Result<void> Controller::take_over_adopted(Loaded adopted, const Choice& choice) {
    std::vector<std::string> added;
    adopted.attachments = SLC_TRY(attach(adopted.config.node, added), "interfaces");
    note_attached(adopted.attachments, added);
    if (!choice.record) {
        // Known to the pins, not to history: it was lost, or the file is the same again.
        history::Begin what;
        what.base = choice.base;
        what.restores = choice.restores;
        what.text = adopted.text;
        what.digest = adopted.digest;
        what.file = choice.file;
        what.file_digest = file_digest();
        what.author = choice.author;
        adopted.number = SLC_TRY(history_->begin(what, instance_->next_generation() - 1), "keep");
        SLC_CHECK(keep_meta(adopted), "keep");
        SLC_CHECK(history_->finish(adopted.number, history::Outcome::in_force, "none"), "keep");
    } else if (adopted.number != choice.record->generation) {
        adopted.number = choice.record->generation;
        SLC_CHECK(keep_meta(adopted), "keep");
    }
    state_->keep_fit();
    live_ = std::move(adopted);
    live_->changes.emplace(live_->scene(overrides()), now(), nullptr, live_->before);
    live_->since = now();
    live_->changes->aim_at(live_->scene(overrides()), live_->wanted, now());
    live_->wanted = {};
    live_->before = {};
    detach_others(live_->config.node);
    forget_orders();
    resume_deadlines();
    watch_all();
    follow_health();
    return {};
}

/// What is pinned as `directory`, with the configuration that it was made of. Errors say why it is
/// not what a load would give now.
Result<Loaded> Controller::adopt(const std::string& directory, const Choice& choice) {
    const auto differs = [](const char* what) {
        return fail(Errc::conflict, std::string(what) + " differ from the configuration");
    };
    Loaded out;
    out.config = choice.config;
    out.text = choice.text;
    out.digest = sha256_hex(choice.text);
    out.file = choice.file;
    out.directory = choice.directory;
    out.pinned = instance_->next_generation();
    out.ids = SLC_TRY(load_ids(), "ids");
    out.generation = SLC_TRY(kernel::Generation::adopt(directory, isa_), "adopt");
    if (state_ && plan::flow_geometry(out.config) != state_->flows().current().geometry)
        return differs("lifetimes or the size of the flow table");
    SLC_CHECK(open_state(out), "state");
    if (made_flow_table_) return differs("lifetimes or the size of the flow table");
    if (!uses_state(*out.generation)) return differs("state maps");
    out.before = SLC_TRY(rings_in_kernel(directory), "rings");
    SLC_CHECK(compile(out), "compile");
    out.table_seed.reset();
    const config::Config found = SLC_TRY(kernel::config_of_generation(directory), "read back");
    if (!(found == out.config)) return differs("tables");
    if (out.generation->rings().size() < out.image.ring_list.size()) return differs("rings");
    const auto services = std::as_const(*out.generation).services();
    for (std::size_t i = 0; i < out.image.services.size(); ++i)
        if (i >= services.size() || services[i].ring != out.image.services[i].ring)
            return differs("services");
    for (std::size_t i = 0; i < out.image.ring_list.size(); ++i) {
        plan::ImageRing& ring = out.image.ring_list[i];
        const std::uint64_t descriptor = out.generation->rings()[i];
        const bool is_there = (descriptor & SLC_RING_VALID) != 0;
        if (is_there == ring.empty || (is_there && SLC_RING_LOG2(descriptor) != ring.log2))
            return differs("rings");
        if (is_there) ring.offset = SLC_RING_OFFSET(descriptor);
    }
    for (const auto& member : out.image.members)
        if (member.id >= out.generation->members().size() ||
            !is_record_of(out.generation->members()[member.id], member))
            return differs("backends");
    const auto ring_key = out.generation->node().ring_key;
    if (!std::equal(ring_key, ring_key + 2, out.image.node.ring_key)) return differs("secrets");
    out.index_members();
    out.lifetimes = group_lifetimes(out.config);
    std::set<IpAddress> all = out.watched();
    if (live_) all.merge(live_->watched());
    network_->watch(all);
    for (const auto& [address, members] : out.members_at)
        SLC_CHECK(write_hop(out, address, hop_of(address)), "backend");
    return out;
}

/// Whether a generation counts and remembers in the maps of this daemon.
bool Controller::uses_state(const kernel::Generation& generation) const {
    for (const std::size_t set : {0, 1}) {
        const auto maps = state_->maps_of(set);
        const bool uses = std::all_of(maps.begin(), maps.end(), [&](const auto& map) {
            const int own = generation.map_fd(map.first);
            return own < 0 || kernel::is_same_map(own, map.second);
        });
        if (uses) return true;
    }
    return false;
}

/// The programs of this daemon in place of those that are pinned, over the same tables. Where they
/// are refused the old ones go on.
void Controller::renew_code() {
    const auto renew = [this]() -> Result<void> {
        kernel::LoadOptions load;
        load.isa = isa_;
        load.next = live_->config.node.next;
        kernel::Generation fresh =
            SLC_TRY(kernel::Generation::load_code(*live_->generation, *state_, load), "code");
        SLC_CHECK(prove_code(fresh), "code");
        const auto changed = live_->generation->programs_that_differ(fresh);
        if (changed.empty()) return keep_meta(*live_);
        if (changed.size() == 1 && changed.front() != "slc_lb") {
            // One stage alone: packets find the new one from one store on.
            SLC_CHECK(live_->generation->replace_stage(
                          changed.front(), fresh,
                          instance_->path() + "/gen/" + std::to_string(live_->pinned)),
                      "code");
            return keep_meta(*live_);
        }
        const std::uint32_t before = live_->pinned;
        const std::uint32_t number = instance_->next_generation();
        SLC_CHECK(instance_->keep(fresh, number, meta_of(*live_)), "code");
        if (auto swapped = instance_->swap_to(fresh); !swapped) {
            (void)instance_->drop(number);
            return swapped;
        }
        live_->generation = std::move(fresh);
        live_->pinned = number;
        // The same slots, mapped anew: changes go on where they were.
        const Changes so_far = std::move(*live_->changes);
        plan::LiveRings rings =
            live_rings(live_->config, live_->image, live_->ids, *live_->generation);
        live_->changes.emplace(live_->scene(overrides()), now(), &so_far, rings);
        live_->changes->aim(live_->scene(overrides()), now());
        resume_deadlines();
        drop_generation(before);
        return {};
    };
    auto outcome = renew();
    code_error_ = outcome ? "" : outcome.error().what;
    log_event(outcome ? LogLevel::info : LogLevel::error, outcome ? "code.renewed" : "code.refused",
              {{"generation", std::to_string(live_->number)}, {"error", code_error_}});
}

/// A canary that an earlier daemon began: nobody knows how far it was. Its connections are all
/// remembered, so that every slot asks once more.
Result<void> Controller::take_back_canary() {
    const auto pinned = instance_->generations();
    const auto found =
        std::find_if(pinned.begin(), pinned.end(), [](const auto& each) { return each.canary; });
    const auto records = SLC_TRY(history_->list(16), "history");
    if (found != pinned.end()) {
        for (const auto& ring : live_->image.ring_list)
            for (std::uint64_t& word : slots_of(*live_->generation, ring))
                std::atomic_ref(word).fetch_or(SLC_SLOT_MARKED);
        live_->changes.emplace(live_->scene(overrides()), now(), nullptr, plan::LiveRings{});
        live_->changes->aim(live_->scene(overrides()), now());
        sweep_.restart();
        SLC_CHECK(instance_->end_canary(), "end");
        (void)instance_->drop(found->number);
        log_event(LogLevel::warning, "canary.withdrawn", {{"why", "sluiced was restarted"}});
    }
    for (const auto& record : records)
        if (record.outcome == history::Outcome::canary)
            note_finish(record.generation, history::Outcome::withdrawn, {},
                        "sluiced was restarted");
    return {};
}

}  // namespace sluice::control
