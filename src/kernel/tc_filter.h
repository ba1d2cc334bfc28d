// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A program of ours at the egress of one interface (clsact, libbpf's TC interface), from attaching
/// to the end of the object's life. Filters of others are neither replaced nor removed.
///
/// It runs first of all filters (priority 1), so that no other one can send what it was to change;
/// tcx programs (Linux 6.6) run before any filter all the same. A clsact qdisc that is made here
/// goes with the filter, unless somebody else uses it by then. One that a killed daemon has left
/// stays: nobody knows any more whose it is, and it does nothing.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace sluice::kernel {

class TcFilter {
 public:
    /// The handle of ours at priority 1.
    static constexpr std::uint32_t kHandle = 0x51;

    /// `program` is the kernel's name of it: a filter of that name under our handle was left by
    /// somebody who was killed, and is replaced. Errors: not_found (no such interface), unsupported
    /// (no Ethernet), conflict (our place is taken by another program), denied.
    static Result<std::unique_ptr<TcFilter>> attach(int program_fd, const std::string& program,
                                                    const std::string& interface);
    TcFilter(const TcFilter&) = delete;
    TcFilter& operator=(const TcFilter&) = delete;
    ~TcFilter();

    /// What has become of it.
    enum class State {
        in_place,
        gone,   ///< Removed, or the interface is, even if one of the same name has come.
        taken,  ///< Replaced under our own handle.
    };
    [[nodiscard]] State state() const;

 private:
    TcFilter(std::string interface, std::uint32_t ifindex)
        : interface_(std::move(interface)), ifindex_(ifindex) {}

    std::string interface_;
    std::uint32_t ifindex_;
    std::uint32_t program_id_ = 0;  ///< 0: not attached.
    bool has_made_qdisc_ = false;
};

}  // namespace sluice::kernel
