// SPDX-License-Identifier: Apache-2.0
#include "api/capture_stream.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <span>

#include "api/backend_order.h"
#include "api/json.h"
#include "api/routes_of.h"
#include "base/version.h"
#include "plan/reasons.h"

namespace sluice::api {
namespace {

using control::CaptureRequest;
using packet::PcapngDirection;

/// Nothing has come: a ring of 32 MiB holds what comes at full speed in some 100 ms.
constexpr std::chrono::milliseconds kPause{5};
/// A packet that was on its way when the tap was closed has arrived by then.
constexpr std::chrono::milliseconds kLastPacket{100};
constexpr std::int64_t kClockNoiseNs = 10'000;
/// Of a block, beside the packet: its head and its options.
constexpr std::size_t kBlockRoom = 512;
constexpr std::size_t kMaxListed = 64;  // Of one condition.
constexpr std::size_t kMinBuffer = std::size_t{64} << 10, kMaxBuffer = std::size_t{1} << 30;

Result<std::uint64_t> number(const std::string& key, std::string_view value, std::uint64_t least,
                             std::uint64_t most) {
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    if (error != std::errc() || end != value.data() + value.size() || out < least || out > most)
        return fail(Errc::invalid, fmt::format("{}: '{}' is not a whole number from {} to {}", key,
                                               value, least, most));
    return out;
}

/// Words between commas.
Result<std::vector<std::string>> words(const std::string& key, std::string_view value) {
    std::vector<std::string> out;
    while (true) {
        const std::size_t end = std::min(value.find(','), value.size());
        if (end == 0) return fail(Errc::invalid, key + ": a name is empty");
        if (out.size() == kMaxListed)
            return fail(Errc::invalid, fmt::format("{}: more than {}", key, kMaxListed));
        out.emplace_back(value.substr(0, end));
        if (end == value.size()) return out;
        value.remove_prefix(end + 1);
    }
}

Result<void> take_at(CaptureRequest& request, const std::vector<std::string>& places) {
    request.at_entry = request.at_exit = false;
    for (const std::string& place : places) {
        if (place == "entry")
            request.at_entry = true;
        else if (place == "exit")
            request.at_exit = true;
        else
            return fail(Errc::invalid, fmt::format("at: '{}' is neither entry nor exit", place));
    }
    return {};
}

Result<void> take_verdicts(CaptureRequest& request, std::vector<std::string> verdicts) {
    static constexpr std::string_view kVerdicts[] = {"drop", "pass", "tx", "redirect", "forward"};
    for (const std::string& verdict : verdicts)
        if (std::ranges::find(kVerdicts, verdict) == std::end(kVerdicts))
            return fail(Errc::invalid, fmt::format("verdict: '{}' is not one of {}", verdict,
                                                   fmt::join(kVerdicts, ", ")));
    request.verdicts = std::move(verdicts);
    return {};
}

/// What is dropped never leaves: of a capture at the exit alone nothing would be seen of it.
Result<void> leave_dropped(CaptureRequest& request) {
    if (request.at_entry) return {};
    if (request.verdicts.empty()) request.verdicts = {"pass", "forward"};
    if (std::ranges::find(request.verdicts, "drop") != request.verdicts.end())
        return fail(Errc::invalid, "verdict: what is dropped does not leave",
                    "at=entry shows it as it was received");
    return {};
}

Result<void> take_numbers(CaptureOrder& order, const Query& query) {
    constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t snap = order.request.snap, one_in = order.request.one_in,
                  buffer = order.request.buffer, packets = 0, seconds = 0;
    const struct {
        const char* key;
        std::uint64_t& value;
        std::uint64_t least, most;
    } kNumbers[] = {
        {"snap", snap, 1, SLC_TAP_MAX_SNAP},
        {"one_in", one_in, 1, std::numeric_limits<std::uint32_t>::max()},
        {"buffer", buffer, kMinBuffer, kMaxBuffer},
        {"packets", packets, 1, kAny},
        {"seconds", seconds, 1, static_cast<std::uint64_t>(kMaxOrderTime.count())},
    };
    for (const auto& item : kNumbers) {
        const auto given = query.find(item.key);
        if (given == query.end()) continue;
        auto value = number(item.key, given->second, item.least, item.most);
        if (!value) return fail(std::move(value).error());
        item.value = *value;
    }
    order.request.snap = static_cast<std::uint32_t>(snap);
    order.request.one_in = static_cast<std::uint32_t>(one_in);
    order.request.buffer = buffer;
    order.packets = packets;
    order.request.duration = std::chrono::seconds(seconds);
    return {};
}

Result<void> take_list(CaptureRequest& request, const std::string& key, const std::string& value) {
    auto listed = words(key, value);
    if (!listed) return fail(std::move(listed).error());
    if (key == "at") return take_at(request, *listed);
    if (key == "verdict") return take_verdicts(request, std::move(*listed));
    if (key == "backend")
        for (std::string& backend : *listed) {
            const BackendName name = SLC_TRY(parse_backend_name(backend), key);
            backend = name.owner + "/" + name.address.text();
        }
    (key == "interface" ? request.interfaces
     : key == "reason"  ? request.reasons
     : key == "service" ? request.services
                        : request.backends) = std::move(*listed);
    return {};
}

std::uint64_t nanoseconds_of(std::chrono::steady_clock::time_point time) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(time.time_since_epoch()).count());
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void put_word(std::string& out, const char* key, const std::string& value) {
    if (!value.empty()) out += fmt::format(" {}={}", key, value);
}

packet::PcapngSection section() {
    utsname machine{};
    ::uname(&machine);
    return {machine.machine, fmt::format("{} {}", machine.sysname, machine.release),
            std::string("sluice ") + sluice::version()};
}

}  // namespace

Result<CaptureOrder> parse_capture(const Query& query) {
    static constexpr std::string_view kLists[] = {"interface", "verdict", "reason",
                                                  "service",   "backend", "at"};
    static constexpr std::string_view kNumbers[] = {"snap", "one_in", "packets", "seconds",
                                                    "buffer"};
    CaptureOrder out;
    for (const auto& [key, value] : query) {
        if (std::ranges::find(kLists, key) != std::end(kLists)) {
            auto taken = take_list(out.request, key, value);
            if (!taken) return fail(std::move(taken).error());
        } else if (key == "filter") {
            out.request.filter = SLC_TRY(kernel::read_filter(value), key);
        } else if (key == "name") {
            out.request.name = value;
        } else if (std::ranges::find(kNumbers, key) == std::end(kNumbers)) {
            return fail(Errc::invalid, fmt::format("query: unknown key '{}'", key),
                        fmt::format("the keys are {}, {}, filter, name", fmt::join(kLists, ", "),
                                    fmt::join(kNumbers, ", ")));
        }
    }
    auto taken = take_numbers(out, query);
    if (taken) taken = leave_dropped(out.request);
    if (!taken) return fail(std::move(taken).error());
    return out;
}

Response answer_capture(const Request& request, control::NodeView& node, std::string_view query) {
    const bool is_end = request.method == "DELETE";
    const bool is_post = request.method == "POST";
    if (!is_end && !is_post && request.method != "GET")
        return wrong_method(request, kCapturePath, "GET, POST, DELETE");
    const auto parsed = parse_query(is_post ? std::string_view(request.body) : query);
    if (!parsed) return bad_target(parsed.error());
    auto order = parse_capture(*parsed);
    if (!order) return bad_target(order.error());
    if (is_end) {
        const auto ended = node.observation().end_capture(order->request.name);
        return ended ? ok(ok_json()) : refused(ended.error());
    }
    order->request.author = request.peer;
    Response out;
    out.stream = std::make_unique<CaptureStream>(std::move(*order));
    return out;
}

CaptureStream::CaptureStream(CaptureOrder order, CaptureClock clock)
    : order_(std::move(order)), clock_(std::move(clock)) {}

Result<void> CaptureStream::step(control::NodeView& node) {
    now_ = clock_();
    if (part_ == Part::start) {
        auto started = start(node);
        if (!started) return started;
    }
    look_at_wall(node);
    look_at_names();
    is_idle_ = false;
    if (part_ == Part::running) {
        const std::chrono::seconds limit = order_.request.duration;
        const std::string over = session_->ended();
        if (!over.empty())
            drain(over);
        else if (limit.count() > 0 && now_ - started_ >= limit)
            drain(control::kEndedByTime);
    }
    read();
    if (part_ == Part::draining) check_drained();
    return {};
}

std::chrono::milliseconds CaptureStream::pause() const {
    return is_idle_ ? kPause : std::chrono::milliseconds(0);
}

std::vector<LogField> CaptureStream::log_fields() const {
    if (!session_) return {};
    const slc_tap_count counts = session_->counts();
    return {{"matched", std::to_string(counts.matched)},
            {"written", std::to_string(read_)},
            {"lost", std::to_string(counts.lost)}};
}

Result<void> CaptureStream::start(control::NodeView& node) {
    auto session = node.observation().capture(order_.request);
    if (!session) return fail(std::move(session).error());
    session_ = std::move(*session);
    started_ = now_ = clock_();
    put(piece_, section());
    part_ = Part::running;
    return {};
}

/// The clocks are slewed together: their difference changes when one is set, and by the noise of
/// reading them one after the other.
void CaptureStream::look_at_wall(control::NodeView& node) {
    const std::int64_t offset = node.observation().wall_offset_ns();
    const std::int64_t difference = offset - wall_offset_ns_;
    if (difference > kClockNoiseNs || difference < -kClockNoiseNs) wall_offset_ns_ = offset;
}

/// `time_ns` is of CLOCK_MONOTONIC, which is the steady clock.
std::uint64_t CaptureStream::since_1970_ns(std::uint64_t time_ns) const {
    return time_ns + static_cast<std::uint64_t>(wall_offset_ns_);
}

void CaptureStream::look_at_names() {
    const observe::Names* before = names_.newest();
    names_.take(session_->names());
    if (names_.newest() == before) return;
    for (Comment& comment : comments_) comment.text.clear();
}

void CaptureStream::drain(std::string_view why) {
    session_->stop();
    why_ = why;
    part_ = Part::draining;
}

/// As much as a piece holds, or is there.
void CaptureStream::read() {
    const std::size_t worst = 2 * (order_.request.snap + kBlockRoom);
    while (piece_.size() < kPieceLen && part_ != Part::done) {
        std::uint64_t limit = std::max<std::size_t>(1, (kPieceLen - piece_.size()) / worst);
        if (order_.packets > 0) limit = std::min(limit, order_.packets - read_);
        const std::size_t count =
            session_->read(limit, [this](const slc_tap_event& event, std::span<const std::byte> in,
                                         std::span<const std::byte> out) {
                put_event(event, text_of(in), text_of(out));
            });
        if (order_.packets > 0 && read_ >= order_.packets) {
            session_->stop();
            why_ = kEndedByPackets;
            return finish();
        }
        if (count < limit) {
            is_idle_ = count == 0 && piece_.empty();
            return;
        }
    }
}

/// Over when every packet is accounted for, or those that are not have had their time.
void CaptureStream::check_drained() {
    if (!piece_.empty()) return;
    if (!drained_by_) drained_by_ = now_ + kLastPacket;
    if (unread(session_->counts()) == 0 || now_ >= *drained_by_) finish();
}

std::uint64_t CaptureStream::unread(const slc_tap_count& counts) const {
    const std::uint64_t accounted = counts.lost + counts.skipped + read_;
    return counts.matched > accounted ? counts.matched - accounted : 0;
}

void CaptureStream::finish() {
    const slc_tap_count counts = session_->counts();
    if (interfaces_.empty()) {
        // Statistics are always of some interface.
        const auto& asked = order_.request.interfaces;
        put(piece_,
            packet::PcapngInterface{asked.empty() ? "any" : asked.front(), order_.request.snap});
        put_statistics({}, counts, true);
    }
    std::vector<Interface> in_order(interfaces_.size());
    for (const auto& [ifindex, interface] : interfaces_) in_order[interface.number] = interface;
    for (const Interface& interface : in_order)
        put_statistics(interface, counts, interface.number == 0);
    part_ = Part::done;
}

/// By which interface the lost and the skipped came nobody knows: they are the first one's.
void CaptureStream::put_statistics(const Interface& interface, const slc_tap_count& counts,
                                   bool is_first) {
    packet::PcapngStatistics statistics;
    statistics.interface = interface.number;
    statistics.start_ns = since_1970_ns(nanoseconds_of(started_));
    statistics.end_ns = since_1970_ns(nanoseconds_of(now_));
    statistics.delivered = statistics.accepted = statistics.received = interface.written;
    statistics.lost = 0;
    if (is_first) {
        const std::uint64_t others = read_ - interface.written;
        statistics.lost = counts.lost;
        statistics.received = counts.matched - others;
        statistics.accepted = counts.matched - counts.skipped - others;
    }
    std::string comment;
    if (is_first)
        comment = fmt::format("matched={} written={} lost={} skipped={} unread={} seen={} ended={}",
                              counts.matched, read_, counts.lost, counts.skipped, unread(counts),
                              counts.seen, why_);
    statistics.comment = comment;
    put(piece_, statistics);
}

CaptureStream::Interface& CaptureStream::interface_of(std::uint32_t ifindex) {
    const auto [found, is_new] = interfaces_.try_emplace(ifindex);
    if (is_new) {
        found->second.number = static_cast<std::uint32_t>(interfaces_.size() - 1);
        put(piece_, packet::PcapngInterface{observe::name_in(names_.newest()->interfaces, ifindex),
                                            order_.request.snap});
    }
    return found->second;
}

/// Numbers are those of matching packets, of which every one_in-th is taken.
std::uint64_t CaptureStream::lost_before(const slc_tap_event& event) {
    if (event.cpu >= last_numbers_.size()) last_numbers_.resize(event.cpu + 1);
    const std::uint64_t step = event.number - std::exchange(last_numbers_[event.cpu], event.number);
    const std::uint64_t taken = step / order_.request.one_in;
    return taken > 1 ? taken - 1 : 0;
}

void CaptureStream::put_event(const slc_tap_event& event, std::string_view in,
                              std::string_view out) {
    ++read_;
    Interface& interface = interface_of(event.ifindex);
    ++interface.written;
    const std::uint64_t lost = lost_before(event);
    const observe::Names& names = *names_.of(event.generation, event.time_ns);
    const std::uint32_t previous = std::exchange(generation_, names.generation);
    const bool is_changed = previous != 0 && previous != names.generation;
    std::string_view comment = comment_of(event, names);
    if (is_changed || lost > 0) {
        comment_ = comment;
        if (is_changed) comment_ += fmt::format(" previous_generation={}", previous);
        if (lost > 0) comment_ += fmt::format(" lost_before={}", lost);
        comment = comment_;
    }
    packet::PcapngPacket packet;
    packet.interface = interface.number;
    packet.time_ns = since_1970_ns(event.time_ns);
    packet.id = read_;
    packet.queue = event.queue;
    packet.xdp_action = event.rec.verdict + 1u;  // XDP_ABORTED is 0, and nobody's verdict.
    packet.comment = comment;
    if (lost > 0) packet.lost_before = lost;
    if (order_.request.at_entry) {
        packet.direction = PcapngDirection::inbound;
        packet.len = event.in_len;
        packet.bytes = in;
        put(piece_, packet);
        packet.lost_before.reset();
    }
    if (order_.request.at_exit && event.out_len > 0) {
        packet.direction = PcapngDirection::outbound;
        packet.len = event.out_len;
        packet.bytes = out;
        put(piece_, packet);
    }
}

/// Most packets are decided as others were a moment ago.
const std::string& CaptureStream::comment_of(const slc_tap_event& event,
                                             const observe::Names& names) {
    Decision decision{event.rec, names.generation};
    decision.record.famproto = decision.record.len = 0;
    std::uint32_t parts[sizeof decision / sizeof(std::uint32_t)];
    std::memcpy(parts, &decision, sizeof decision);
    std::uint32_t hash = 0;
    for (const std::uint32_t part : parts) hash = (hash ^ part) * 0x9e3779b1u;
    Comment& comment = comments_[hash >> 26];
    static_assert(std::tuple_size_v<decltype(comments_)> == 64);
    if (comment.text.empty() || std::memcmp(&comment.of, &decision, sizeof decision) != 0)
        comment = {decision, describe(event, names)};
    return comment.text;
}

std::string CaptureStream::describe(const slc_tap_event& event, const observe::Names& names) {
    const slc_exit_record& record = event.rec;
    std::string out = fmt::format(
        "verdict={} reason={} stage={} generation={}", plan::verdict_label(record.verdict),
        record.reason < SLC_REASON_COUNT ? plan::reason_label(record.reason)
                                         : fmt::format("#{}", record.reason),
        plan::stage_label(record.stage), names.generation);
    put_word(out, "service", observe::name_in(names.services, record.service));
    put_word(out, "backend", observe::name_in(names.backends, record.member));
    put_word(out, "customer", observe::name_in(names.customers, record.customer));
    put_word(out, "policy", observe::name_in(names.policies, record.policy));
    put_word(out, "mitigation", observe::name_in(names.mitigations, record.mitigation));
    return out;
}

}  // namespace sluice::api
