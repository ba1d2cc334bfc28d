// SPDX-License-Identifier: Apache-2.0
#include "api/flow_pass.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "api/flow_json.h"

namespace sluice::api {

Result<void> FlowPass::step(control::NodeView& node) {
    auto page = node.flows(request_.query, action_, cursor_);
    if (!page) return fail(std::move(page).error());
    cursor_ = page->next;
    done_ = page->done;
    if (!is_chunked()) {
        matched_ += page->matched;
        if (done_) piece_ = summary();
        return {};
    }
    for (const control::FlowRecord& record : page->records) {
        put(record);
        if (++matched_ != request_.limit) continue;
        done_ = true;
        break;
    }
    return {};
}

/// Millions of these are written: by hand, some ten times as fast as through a JSON object.
void FlowPass::put(const control::FlowRecord& record) {
    if (record.group != group_ || group_json_.empty()) {
        group_ = record.group;
        group_json_ = json_string(record.group);
    }
    fmt::format_to(std::back_inserter(piece_),
                   R"({{"schema_version":{},"group":{},"address":"{}","class":"{}","age_ms":{},)"
                   R"("expires_ms":{},"bucket":{},"fingerprint":"{:09x}"}})"
                   "\n",
                   kSchemaVersion, group_json_, record.backend.text(), name_of(record.flow_class),
                   record.age.count(), record.expires.count(), record.bucket, record.fingerprint);
}

std::vector<LogField> FlowPass::log_fields() const {
    if (action_ != control::FlowAction::purge) return {};
    return {{"purged", std::to_string(matched_)}};
}

std::string FlowPass::summary() const {
    return fmt::format(R"({{"schema_version":{},"{}":{}}})", kSchemaVersion,
                       action_ == control::FlowAction::purge ? "purged" : "matched", matched_);
}

}  // namespace sluice::api
