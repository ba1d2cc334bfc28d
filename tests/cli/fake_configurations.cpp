// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_configurations.h"

#include <algorithm>
#include <utility>

namespace sluice::test {
namespace {

using namespace control;
using namespace std::chrono_literals;
using history::Outcome;
using plan::ChangeKind;
using plan::Road;

constexpr std::time_t kFirst = 1767225600;  // 2026-01-01 00:00:00 UTC
constexpr const char* kDigest = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";
constexpr const char* kText =
    "version: 2\n"
    "node:\n"
    "  interfaces: [eth0]\n"
    "  ring_secret: 000102030405060708090a0b0c0d0e0f\n"
    "services: []\n";

history::WallTime at(std::time_t seconds) {
    return std::chrono::system_clock::from_time_t(kFirst + seconds);
}

bool has(const ApplyRequest& request, const char* word) {
    return request.text.find(word) != std::string::npos;
}

GenerationStatus entry(std::uint32_t number, Outcome outcome, const char* road,
                       const char* message) {
    GenerationStatus out;
    history::Record& record = out.record;
    record.generation = number;
    record.base = number - 1;
    record.text = kText;
    record.digest = kDigest;
    record.file = "/etc/sluice/sluice.yaml";
    record.author = number == 1 ? "sluiced" : "ada";
    record.message = message;
    record.road = road;
    record.at = at(number * 3600);
    record.ended = at(number * 3600 + 1);
    record.outcome = outcome;
    out.loaded = outcome != Outcome::refused;
    return out;
}

plan::ChangePlan four_changes() {
    plan::ChangePlan out;
    out.changes = {
        {ChangeKind::changed, "node", "sampling", "1024", "4096", Road::program,
         "a constant of the loaded program"},
        {ChangeKind::changed, "backend front/10.0.0.5", "weight", "1", "5", Road::entry,
         "slots move one by one, each by one aligned store"},
        {ChangeKind::added, "backend front/10.0.0.7", "", "", "weight 1", Road::map,
         "its record and templates are written where nobody reads, before slots name it"},
        {ChangeKind::removed, "backend front/10.0.0.6", "", "weight 1", "", Road::map,
         "slots leave it one by one; its record stays until its last remembered flow has ended"}};
    out.road = Road::program;
    out.moves = {{"front", config::Balance::maglev, 256, 87}};
    out.slots = 65'536;
    out.moved = 87;
    out.tables = {{"services", 2, 65'536, 4'194'304}, {"backends", 4, 0, 512}};
    out.estimate = {41'300us, 1'234'567};
    out.by_road = {{}, {}, out.estimate};
    return out;
}

ProofReport proof_of(const ApplyRequest& request) {
    ProofReport out;
    out.tests = 3;
    out.packets = 5;
    out.took = 2'100us;
    if (has(request, "nothing-new")) return out;
    out.replayed = 1024;
    out.moved = 14;
    out.changed = 2;
    out.max_moved = has(request, "far") ? 0.01 : 0.05;
    out.differences = {
        {"tcp 198.51.100.7:1234 > 192.0.2.10:80 ack", "forwarded to web/10.0.0.6",
         "forwarded to web/10.0.0.7", 14},
        {"udp 198.51.100.7:53 > 192.0.2.10:53", "forwarded to web/10.0.0.5", "no_such_port", 2}};
    if (!has(request, "fails")) return out;
    out.failures = {{"web is answered", request.file + ":31:5",
                     "expected backend 10.0.0.5, got 10.0.0.7 (forwarded)"},
                    {"odd flags", request.file + ":38:5", "expected drop, got tx (forwarded)"}};
    return out;
}

Error broken(const ApplyRequest& request) {
    return make_error(Errc::invalid,
                      request.file + ": 1 error\n" + request.file +
                          ":4:7: services[0]: no group 'wob'\n      group: wob\n             ^",
                      "sluice.yaml(5) describes every key");
}

Error not_held(const PlanReport& plan) {
    if (!plan.proof.failures.empty()) {
        const TestFailure& first = plan.proof.failures.front();
        return make_error(Errc::conflict, "2 of 3 tests do not hold\n" + first.where + ": " +
                                              first.test + ": " + first.text);
    }
    return make_error(Errc::conflict, "1.4% of the sampled packets would go elsewhere, 1% may",
                      "proof.max_moved is the bound");
}

}  // namespace

FakeConfigurations::FakeConfigurations(Waiting waiting) : waiting_(waiting) {
    generations_ = {entry(3, Outcome::in_force, "entry", "more weight for 10.0.0.5\nand no more"),
                    entry(2, Outcome::refused, "", "the new port"),
                    entry(1, Outcome::replaced, "program", "")};
    generations_[0].live = true;
    generations_[1].record.error = "2 of 3 tests do not hold\nweb.yaml:31:5: web is answered";
    if (waiting_ == Waiting::confirmation) {
        generations_[0].record.outcome = Outcome::awaiting;
        generations_[0].record.confirm_by = at(3 * 3600 + 300);
    }
    if (waiting_ == Waiting::canary) {
        generations_.insert(generations_.begin(),
                            entry(4, Outcome::canary, "program", "the new code"));
        generations_[0].canary = true;
    }
}

Result<PlanReport> FakeConfigurations::plan(const ApplyRequest& request) {
    last_request = request;
    if (has(request, "broken")) return fail(broken(request));
    PlanReport out;
    out.base = 3;
    out.digest = kDigest;
    out.proof = proof_of(request);
    out.times = {{"parse", 800us}, {"compile", 1'200us}, {"prove", 2'100us}};
    if (has(request, "nothing-new")) return out;
    out.plan = four_changes();
    out.plan.notes = {"eth1 gets its first program: packets in flight on it are Linux's"};
    if (request.road && *request.road < out.plan.road)
        return fail(Errc::conflict,
                    std::string("node: sampling 1024 -> 4096 cannot take the ") +
                        plan::name_of(*request.road) + " road: a constant of the loaded program",
                    "it takes the program road");
    out.road = out.plan.road;
    out.holds = out.proof.failures.empty() && !has(request, "far");
    return out;
}

ApplyReport FakeConfigurations::put_into_force(const ApplyRequest& request, PlanReport plan) {
    const std::uint32_t number = generations_.front().record.generation + 1;
    GenerationStatus next = entry(number, Outcome::in_force, "program", "");
    next.record.author = request.author;
    next.record.message = request.message;
    ApplyReport out;
    out.plan = std::move(plan);
    out.generation = number;
    if (request.canary) next.record.outcome = Outcome::canary;
    if (request.confirm_within) {
        next.record.outcome = Outcome::awaiting;
        next.record.confirm_by = next.record.at + *request.confirm_within;
        out.confirm_left = *request.confirm_within - 1s;
        waiting_ = Waiting::confirmation;
    }
    out.outcome = next.record.outcome;
    generations_.insert(generations_.begin(), std::move(next));
    return out;
}

Result<ApplyReport> FakeConfigurations::apply(const ApplyRequest& request) {
    auto report = plan(request);
    if (!report) return fail(std::move(report).error());
    ApplyReport out;
    out.plan = *report;
    if (request.dry_run || report->plan.empty()) return out;
    if (waiting_ == Waiting::confirmation)
        return fail(Errc::conflict, "generation 3 waits for its confirmation",
                    "sluice config confirm, or sluice config rollback");
    if (waiting_ == Waiting::canary)
        return fail(Errc::conflict, "generation 4 is a canary",
                    "sluice config canary promote, or sluice config canary back");
    if (!report->holds) return fail(not_held(*report));
    report->times.insert(report->times.end(), {{"load", 38'000us}, {"swap", 80us}});
    return put_into_force(request, std::move(*report));
}

Result<void> FakeConfigurations::confirm() {
    if (waiting_ != Waiting::confirmation)
        return fail(Errc::not_found, "no change waits for its confirmation",
                    "sluice config history shows what has happened");
    waiting_ = Waiting::nothing;
    return {};
}

Result<ApplyReport> FakeConfigurations::rollback(std::optional<std::uint32_t> generation,
                                                 const std::string& author,
                                                 const std::string& message) {
    last_author = author;
    last_message = message;
    if (generation && *generation > generations_.front().record.generation)
        return fail(Errc::not_found, "no generation " + std::to_string(*generation),
                    "sluice config history shows them all");
    ApplyRequest request;
    request.author = author;
    request.message = message;
    PlanReport plan;
    plan.base = 3;
    plan.plan.changes = {{ChangeKind::changed, "backend front/10.0.0.5", "weight", "5", "1",
                          Road::entry, "slots move one by one, each by one aligned store"}};
    plan.road = Road::program;
    plan.times = {{"fill", 900us}, {"swap", 80us}};
    return put_into_force(request, std::move(plan));
}

Result<std::vector<GenerationStatus>> FakeConfigurations::history(std::uint32_t limit) {
    std::vector<GenerationStatus> out = generations_;
    if (out.size() > limit) out.resize(limit);
    for (GenerationStatus& generation : out) generation.record.text.clear();
    return out;
}

Result<GenerationStatus> FakeConfigurations::generation(std::uint32_t number) {
    for (const GenerationStatus& generation : generations_)
        if (generation.record.generation == number) return generation;
    return fail(Errc::not_found, "no generation " + std::to_string(number),
                "sluice config history shows them all");
}

Result<std::vector<plan::Change>> FakeConfigurations::drift(const std::string& text,
                                                            const std::string& file) {
    ApplyRequest request;
    request.text = text;
    request.file = file;
    if (has(request, "broken")) return fail(broken(request));
    if (has(request, "nothing-new")) return std::vector<plan::Change>();
    return std::vector<plan::Change>{
        {ChangeKind::changed, "backend front/10.0.0.5", "weight", "10 (override, 5 in the file)",
         "5", Road::entry,
         "an override, and it stays: applying a file does not end it (sluice backend reset)"}};
}

Result<std::string> FakeConfigurations::file_text() {
    return std::string(kText);
}

std::optional<CanaryStatus> FakeConfigurations::canary() {
    if (waiting_ != Waiting::canary) return std::nullopt;
    CanaryStatus out;
    out.generation = 4;
    out.what.share = 0.05;
    out.since = at(4 * 3600);
    out.packets = 51'234;
    out.dropped_packets = 12;
    out.other_packets = 973'446;
    out.other_dropped_packets = 31;
    return out;
}

Result<ApplyReport> FakeConfigurations::end_canary(bool promote) {
    if (waiting_ != Waiting::canary)
        return fail(Errc::not_found, "there is no canary",
                    "sluice config apply --canary begins one");
    waiting_ = Waiting::nothing;
    ApplyReport out;
    out.generation = promote ? 4 : 3;
    out.plan.base = 3;
    out.plan.road = Road::program;
    return out;
}

}  // namespace sluice::test
