// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One pass through the flow table for one request, a bounded step at a time: millions of entries
/// are listed, counted or purged without the event loop standing still and without their being in
/// memory together. The server (api/server.h) takes one step per turn, and the next one of a list
/// only when the client has taken what the last one found.

#include <string>

#include "api/query.h"
#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

class FlowPass {
 public:
    FlowPass(FlowRequest request, control::FlowAction action)
        : request_(std::move(request)), action_(action) {}

    /// Errors are the node's. After one, and after done(), nothing more may be asked.
    Result<void> step(control::NodeView& node);

    [[nodiscard]] control::FlowAction action() const { return action_; }
    [[nodiscard]] bool is_list() const { return action_ == control::FlowAction::list; }
    [[nodiscard]] bool done() const { return done_; }
    [[nodiscard]] std::uint64_t matched() const { return matched_; }
    /// Lists: what the steps since the last call found, one JSON document a line.
    std::string take_lines() { return std::exchange(lines_, {}); }
    /// Else: the answer, when done.
    [[nodiscard]] std::string summary() const;

 private:
    void put(const control::FlowRecord& record);

    FlowRequest request_;
    control::FlowAction action_;
    std::uint64_t cursor_ = 0;
    std::uint64_t matched_ = 0;
    bool done_ = false;
    std::string lines_;
    std::string group_;  ///< Of the last line, and how JSON writes it.
    std::string group_json_;
};

}  // namespace sluice::api
