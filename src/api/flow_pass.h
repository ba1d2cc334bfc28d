// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One pass through the flow table for one request, a bounded step at a time: millions of entries
/// are listed, counted or purged without the event loop standing still and without their being in
/// memory together. The server (api/server.h) takes one step per turn, and the next one of a list
/// only when the client has taken what the last one found.

#include <string>

#include "api/query.h"
#include "api/stream.h"
#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

class FlowPass : public Stream {
 public:
    FlowPass(FlowRequest request, control::FlowAction action)
        : request_(std::move(request)), action_(action) {}

    /// Errors are the node's. After one, and after done(), nothing more may be asked.
    Result<void> step(control::NodeView& node) override;
    [[nodiscard]] bool done() const override { return done_; }
    /// Lists: one JSON document a line. Else the answer is how many there were.
    [[nodiscard]] bool is_chunked() const override { return action_ == control::FlowAction::list; }
    [[nodiscard]] std::vector<LogField> log_fields() const override;

 private:
    void put(const control::FlowRecord& record);
    [[nodiscard]] std::string summary() const;

    FlowRequest request_;
    control::FlowAction action_;
    std::uint64_t cursor_ = 0;
    std::uint64_t matched_ = 0;
    bool done_ = false;
    std::string group_;  ///< Of the last line, and how JSON writes it.
    std::string group_json_;
};

}  // namespace sluice::api
