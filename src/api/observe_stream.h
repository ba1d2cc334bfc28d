// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Sampled decisions as JSON lines, oldest first: those that are in the data plane's rings, and
/// then as they come. Filters are applied here, so that a client takes what it wants to see only.
///
///   GET
///   /api/v1/observe?verdict=drop&service=web,dns&not_from=10.0.0.0/8&last=20&follow=1&count=100
///
/// The rings are read every kPoll; nothing in the data plane changes when somebody looks. What was
/// overwritten before it was read is a line of its own, {"lost": n}, of samples that might have
/// fitted. A client that is slow makes more of that, and costs no more memory than one step's.

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "api/query.h"
#include "api/stream.h"
#include "control/observation.h"
#include "observe/decision.h"
#include "observe/decision_filter.h"

namespace sluice::api {

struct ObserveRequest {
    observe::DecisionFilter filter;
    std::optional<std::uint64_t> last;  ///< Of those there are; nothing: all that fit.
    bool follow = false;
    std::uint64_t count = 0;  ///< The end after so many; 0: none.
};

/// Keys last, follow, count, those of the filter (values with commas between) and the same with
/// "not_" in front. Errc::invalid names the key.
Result<ObserveRequest> parse_observe_request(const Query& query);

class ObserveStream : public Stream {
 public:
    explicit ObserveStream(ObserveRequest request) : request_(std::move(request)) {}

    static constexpr std::chrono::milliseconds kPoll{20};

    /// Errc::not_found when a name that is asked for is unknown.
    Result<void> step(control::NodeView& node) override;
    [[nodiscard]] bool done() const override { return done_; }
    [[nodiscard]] std::chrono::milliseconds pause() const override {
        return is_behind_ ? std::chrono::milliseconds(0) : kPoll;
    }
    [[nodiscard]] bool is_live() const override { return request_.follow; }
    [[nodiscard]] std::string keep_alive() const override { return "\n"; }

 private:
    void take(const slc_sample& sample, std::uint32_t cpu, std::int64_t wall_offset_ns);
    void show_first();
    void put(std::string line);

    ObserveRequest request_;
    control::SampleCursor cursor_;
    observe::NameHistory names_;
    /// Of what was there at first, the last that fit: no more than the rings and a read hold.
    std::deque<std::string> first_;
    bool has_begun_ = false;
    bool is_first_over_ = false;
    bool is_behind_ = false;
    bool done_ = false;
    std::uint64_t read_ = 0;  ///< Samples, fitting or not.
    std::uint64_t told_ = 0;
};

/// {"schema_version": 1, "time": ..., "verdict": ...}; docs/reference/api.md lists the fields.
std::string decision_json(const observe::Decision& decision, const std::string& packet);

}  // namespace sluice::api
