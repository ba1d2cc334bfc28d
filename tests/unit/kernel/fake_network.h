// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A network that does what the test says: hops, links and addresses are set, and each change makes
/// fd() readable until process() was called, as with the real one.

#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "base/unique_fd.h"
#include "kernel/network_port.h"

namespace sluice::kernel {

class FakeNetwork final : public NetworkPort {
 public:
    /// From now on `address` is reached like this.
    void set(const IpAddress& address, const plan::NextHop& hop) {
        hops_[address] = hop;
        if (watched_.contains(address)) report(address);
    }
    void set_link(const LinkInfo& link) {
        links_[link.name] = link;
        ++revision_.links;
        wake();
    }
    void remove_link(const std::string& name) {
        links_.erase(name);
        ++revision_.links;
        wake();
    }
    void set_local_addresses(std::set<IpAddress> addresses) {
        addresses_ = std::move(addresses);
        ++revision_.addresses;
        wake();
    }
    /// process() fails with this from now on; an empty `what` ends it.
    void fail_process(Error error) {
        failure_ = std::move(error);
        wake();
    }
    [[nodiscard]] const std::set<IpAddress>& watched() const { return watched_; }
    [[nodiscard]] int ticks() const { return ticks_; }
    [[nodiscard]] std::uint64_t resolved() const { return resolved_; }

    plan::NextHop resolve(const IpAddress& address) override {
        ++resolved_;
        const auto found = hops_.find(address);
        if (found != hops_.end()) return found->second;
        plan::NextHop out;
        out.state = plan::HopState::no_route;
        out.why = "no route to " + address.text();
        return out;
    }
    void watch(const std::set<IpAddress>& addresses) override {
        watched_ = addresses;
        std::erase_if(dirty_,
                      [&](const IpAddress& address) { return !watched_.contains(address); });
    }
    [[nodiscard]] int fd() const override { return event_.get(); }
    Result<std::set<IpAddress>> process() override {
        std::uint64_t count;
        while (::read(event_.get(), &count, sizeof count) > 0) {
        }
        if (!failure_.what.empty()) return fail(failure_);
        return std::exchange(dirty_, {});
    }
    void tick() override { ++ticks_; }
    [[nodiscard]] Result<LinkInfo> link_info(const std::string& name) const override {
        const auto found = links_.find(name);
        if (found == links_.end()) return fail(Errc::not_found, "no interface " + name);
        return found->second;
    }
    [[nodiscard]] std::vector<IpAddress> local_addresses() const override {
        return {addresses_.begin(), addresses_.end()};
    }
    [[nodiscard]] NetworkRevision revision() const override { return revision_; }
    [[nodiscard]] NetworkStats stats() const override { return {}; }

 private:
    void report(const IpAddress& address) {
        dirty_.insert(address);
        wake();
    }
    void wake() {
        const std::uint64_t one = 1;
        // Only a full counter refuses, and then the descriptor is readable already.
        if (::write(event_.get(), &one, sizeof one) < 0) return;
    }

    UniqueFd event_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    std::map<IpAddress, plan::NextHop> hops_;
    std::map<std::string, LinkInfo> links_;
    std::set<IpAddress> addresses_;
    std::set<IpAddress> watched_;
    std::set<IpAddress> dirty_;
    Error failure_;
    NetworkRevision revision_;
    int ticks_ = 0;
    std::uint64_t resolved_ = 0;
};

}  // namespace sluice::kernel
