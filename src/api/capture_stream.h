// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A capture as a stream of pcapng (packet/pcapng.h), for `GET /api/v1/capture`. Each packet
/// carries what was decided about it as a comment of `key=value` words, of which only those are
/// there that are known:
///
///   verdict=drop reason=no_such_port stage=service generation=7 service=web backend=web/10.0.0.5
///   customer=acme policy=p mitigation=m previous_generation=6 lost_before=17
///
/// As received (inbound) and as sent (outbound), both on the interface by which it came, with the
/// same packet id. The capture begins with the stream's first step, when its client has come and
/// has its place and ends with statistics: of every
/// interface that was met, in sums that are right (matched = written + lost + skipped + unread),
/// and of the whole in the comment of the first one.
///
/// What a client does not take stays in the ring of the capture, and is lost there when it is full,
/// and counted: never more than one piece is held here.

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/query.h"
#include "api/stream.h"
#include "control/observation.h"
#include "observe/decision.h"
#include "packet/pcapng.h"

namespace sluice::api {

struct Request;
struct Response;

inline constexpr std::string_view kCapturePath = "/api/v1/capture";
/// GET, or POST with the query as body for those that are longer than a target may be; DELETE ends
/// the capture under way.
Response answer_capture(const Request& request, control::NodeView& node, std::string_view query);

/// What the statistics say of why it ended; else it is the session's own word.
inline constexpr std::string_view kEndedByPackets = "packets";
/// What is asked for in the query of a capture.
struct CaptureOrder {
    control::CaptureRequest request;
    std::uint64_t packets = 0;  ///< It ends after so many; 0: any number.
};

/// Keys interface, verdict, reason, service, backend and at (lists, with commas), filter, snap,
/// one_in, packets, seconds, buffer, name. Errc::invalid names the key.
Result<CaptureOrder> parse_capture(const Query& query);

/// The clock of the time limit.
using CaptureClock = std::function<std::chrono::steady_clock::time_point()>;

class CaptureStream : public Stream {
 public:
    explicit CaptureStream(CaptureOrder order, CaptureClock clock = std::chrono::steady_clock::now);

    Result<void> step(control::NodeView& node) override;
    [[nodiscard]] bool done() const override { return part_ == Part::done; }
    [[nodiscard]] std::chrono::milliseconds pause() const override;
    [[nodiscard]] bool is_live() const override { return true; }
    [[nodiscard]] std::string_view content_type() const override { return "application/x-pcapng"; }
    [[nodiscard]] std::vector<LogField> log_fields() const override;

    static constexpr std::size_t kPieceLen = std::size_t{256} << 10;

 private:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// In force; nothing more is taken, and the ring is read to its end; over.
    enum class Part { start, running, draining, done };
    struct Decision {
        slc_exit_record record;
        std::uint32_t generation;
    };
    struct Comment {
        Decision of{};
        std::string text;
    };
    struct Interface {
        std::uint32_t number = 0;
        std::uint64_t written = 0;
    };

    Result<void> start(control::NodeView& node);
    void read();
    void drain(std::string_view why);
    void check_drained();
    void finish();
    void look_at_wall(control::NodeView& node);
    void look_at_names();
    void put_event(const slc_tap_event& event, std::string_view in, std::string_view out);
    void put_statistics(const Interface& interface, const slc_tap_count& counts, bool is_first);
    Interface& interface_of(std::uint32_t ifindex);
    std::uint64_t lost_before(const slc_tap_event& event);
    const std::string& comment_of(const slc_tap_event& event, const observe::Names& names);
    static std::string describe(const slc_tap_event& event, const observe::Names& names);
    std::uint64_t unread(const slc_tap_count& counts) const;
    std::uint64_t since_1970_ns(std::uint64_t time_ns) const;

    std::unique_ptr<control::CaptureSession> session_;  ///< Null before the first step.
    CaptureOrder order_;
    CaptureClock clock_;
    Part part_ = Part::start;
    bool is_idle_ = false;
    std::string why_;  ///< It ended.
    TimePoint now_;
    TimePoint started_;
    std::optional<TimePoint> drained_by_;
    std::int64_t wall_offset_ns_ = 0;  ///< From the clock of the events.
    std::uint64_t read_ = 0;           ///< Packets.
    std::uint32_t generation_ = 0;
    observe::NameHistory names_;
    std::unordered_map<std::uint32_t, Interface> interfaces_;  ///< By ifindex.
    std::vector<std::uint64_t> last_numbers_;                  ///< By CPU.
    std::array<Comment, 64> comments_;                         ///< Of recent decisions.
    std::string comment_;
};

}  // namespace sluice::api
