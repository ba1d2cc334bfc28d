// SPDX-License-Identifier: Apache-2.0
#include "control/probes.h"

#include "base/log.h"

namespace sluice::control {

/// Each trouble once, and its end.
void Probes::note(Result<void> outcome) {
    std::string now = outcome ? "" : outcome.error().what;
    if (now == problem_) return;
    log_event(outcome ? LogLevel::info : LogLevel::error, "health.probes",
              {{"error", now}, {"hint", outcome ? "" : outcome.error().hint}});
    problem_ = std::move(now);
}

void Probes::begin(std::set<IpAddress> vips) {
    asked_.clear();
    vips_ = std::move(vips);
    if (vips_.empty()) return;
    if (!path_) {
        auto opened = kernel::ProbePath::open(kMost, isa_);
        if (!opened) return note(fail(std::move(opened).error()));
        path_ = std::move(*opened);
    }
    follow_routes();
}

void Probes::follow_routes() {
    if (!path_) return;
    const std::vector<IpAddress> vips(vips_.begin(), vips_.end());
    auto interfaces = kernel::probe_interfaces(vips);
    if (!interfaces) return note(fail(std::move(interfaces).error()));
    interfaces->insert("lo");  // Where they go from the moment that a VIP comes to this node.
    note(path_->follow(*interfaces));
}

std::optional<std::uint32_t> Probes::mark_of(const Way& way, const slc_template* header) {
    if (!path_) return std::nullopt;
    auto found = numbers_.find(way);
    if (found == numbers_.end()) {
        if (free_.empty() && next_ >= kMost) return std::nullopt;
        std::uint32_t number = 0;
        if (free_.empty()) {
            number = next_++;
        } else {
            number = free_.back();
            free_.pop_back();
        }
        found = numbers_.emplace(way, number).first;
    }
    asked_.insert(way);
    renew(way, header);
    return kernel::ProbePath::mark_of(found->second);
}

void Probes::renew(const Way& way, const slc_template* header) {
    const auto found = numbers_.find(way);
    if (!path_ || found == numbers_.end()) return;
    if (header == nullptr)
        path_->erase(found->second);
    else if (auto written = path_->set(found->second, *header); !written)
        note(std::move(written));
}

void Probes::end() {
    std::erase_if(numbers_, [this](const auto& each) {
        if (asked_.contains(each.first)) return false;
        if (path_) path_->erase(each.second);
        free_.push_back(each.second);
        return true;
    });
    if (vips_.empty()) path_.reset();
}

std::optional<kernel::ProbeCounts> Probes::counts() const {
    if (!path_) return std::nullopt;
    return path_->counts();
}

}  // namespace sluice::control
