// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Addresses and routes of a kernel that is a table. Used from one thread at a time, or, behind an
/// announcer, read when that has said what became of a wish.

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "announce/kernel_routes.h"

namespace sluice::announce {

class FakeKernel : public KernelRoutes {
 public:
    /// By interface, or by the number of the table.
    using Content = std::map<std::string, std::set<IpPrefix>>;

    Result<void> add_address(const std::string& interface, const IpPrefix& prefix) override {
        return add(interface, prefix);
    }
    Result<void> remove_address(const std::string& interface, const IpPrefix& prefix) override {
        return remove(interface, prefix);
    }
    Result<void> add_blackhole(std::uint32_t table, const IpPrefix& prefix) override {
        return add(std::to_string(table), prefix);
    }
    Result<void> remove_blackhole(std::uint32_t table, const IpPrefix& prefix) override {
        return remove(std::to_string(table), prefix);
    }
    Result<std::vector<IpPrefix>> addresses(const std::string& interface) override {
        return list(interface);
    }
    Result<std::vector<IpPrefix>> blackholes(std::uint32_t table) override {
        return list(std::to_string(table));
    }

    Content content() {
        const std::lock_guard lock(mutex_);
        Content out = content_;
        std::erase_if(out, [](const auto& entry) { return entry.second.empty(); });
        return out;
    }
    void set(Content content) {
        const std::lock_guard lock(mutex_);
        content_ = std::move(content);
    }
    /// What every call says from now on; empty: they work.
    void fail_with(const std::string& error) {
        const std::lock_guard lock(mutex_);
        error_ = error;
    }

 private:
    Result<void> add(const std::string& where, const IpPrefix& prefix) {
        const std::lock_guard lock(mutex_);
        if (!error_.empty()) return fail(Errc::denied, error_);
        content_[where].insert(prefix);
        return {};
    }
    Result<void> remove(const std::string& where, const IpPrefix& prefix) {
        const std::lock_guard lock(mutex_);
        if (!error_.empty()) return fail(Errc::denied, error_);
        content_[where].erase(prefix);
        return {};
    }
    Result<std::vector<IpPrefix>> list(const std::string& where) {
        const std::lock_guard lock(mutex_);
        if (!error_.empty()) return fail(Errc::denied, error_);
        const auto& all = content_[where];
        return std::vector<IpPrefix>(all.begin(), all.end());
    }

    std::mutex mutex_;
    Content content_;
    std::string error_;
};

}  // namespace sluice::announce
