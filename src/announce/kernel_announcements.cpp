// SPDX-License-Identifier: Apache-2.0
#include "announce/kernel_announcements.h"

namespace sluice::announce {

KernelAnnouncements::KernelAnnouncements(Reactor& reactor, config::AnnounceKernel settings,
                                         KernelRoutes& kernel, std::chrono::milliseconds check,
                                         std::function<void()> changed)
    : settings_(std::move(settings)),
      kernel_(kernel),
      check_(check),
      changed_(std::move(changed)),
      timer_(reactor, [this] { carry_out(); }) {}

void KernelAnnouncements::want(const PrefixWishes& wishes) {
    wishes_ = wishes;
    carry_out();
}

Result<std::vector<IpPrefix>> KernelAnnouncements::look() {
    if (!settings_.interface.empty()) return kernel_.addresses(settings_.interface);
    return kernel_.blackholes(settings_.table);
}

Result<void> KernelAnnouncements::add(const IpPrefix& prefix) {
    if (!settings_.interface.empty()) return kernel_.add_address(settings_.interface, prefix);
    return kernel_.add_blackhole(settings_.table, prefix);
}

Result<void> KernelAnnouncements::remove(const IpPrefix& prefix) {
    if (!settings_.interface.empty()) return kernel_.remove_address(settings_.interface, prefix);
    return kernel_.remove_blackhole(settings_.table, prefix);
}

void KernelAnnouncements::carry_out() {
    timer_.set_in(check_);
    last_error_.clear();
    failed_.clear();
    const auto failed = [this](const IpPrefix& prefix, const Error& error) {
        failed_[prefix] = error.what;
        last_error_ = error.what;
    };
    if (auto seen = look()) {
        present_ = {seen->begin(), seen->end()};
    } else {
        last_error_ = seen.error().what;
    }
    const auto is_wished = [this](const IpPrefix& prefix) {
        const auto wish = wishes_.find(prefix);
        return wish != wishes_.end() && wish->second != Wish::withdraw;
    };
    // Withdrawals first.
    for (auto at = present_.begin(); at != present_.end();) {
        if (is_wished(*at)) {
            ++at;
        } else if (auto removed = remove(*at); removed) {
            at = present_.erase(at);
        } else {
            failed(*at, removed.error());
            ++at;
        }
    }
    for (const auto& [prefix, wish] : wishes_) {
        if (wish == Wish::withdraw || present_.contains(prefix)) continue;
        if (auto added = add(prefix); added) {
            present_.insert(prefix);
        } else {
            failed(prefix, added.error());
        }
    }
    changed_();
}

PrefixReport KernelAnnouncements::report(const IpPrefix& prefix) const {
    if (const auto failed = failed_.find(prefix); failed != failed_.end())
        return {PrefixState::failing, failed->second};
    if (!present_.contains(prefix)) {
        const auto wish = wishes_.find(prefix);
        const bool is_right = wish == wishes_.end() || wish->second == Wish::withdraw;
        return {is_right ? PrefixState::withdrawn : PrefixState::wanted};
    }
    const auto wish = wishes_.find(prefix);
    const bool is_draining = wish != wishes_.end() && wish->second == Wish::drain;
    return {is_draining ? PrefixState::draining : PrefixState::announced};
}

}  // namespace sluice::announce
