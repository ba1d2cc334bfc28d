// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What ethtool knows and can change about one interface, by the old ioctl: every driver and kernel
/// answers it, and reading needs no privilege. Changing needs CAP_NET_ADMIN.
///
/// What can be changed is read with its error: Errc::unsupported alone says that the driver has no
/// such thing. Questions of which nothing depends are answered with nothing. Changes that are
/// refused are errors that name the change.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::kernel {

/// A device feature of ethtool. `fixed`: cannot be changed.
struct OffloadState {
    bool active = false;
    bool fixed = false;

    bool operator==(const OffloadState&) const = default;
};

/// Queues. A combined one receives and sends.
struct Channels {
    std::uint32_t rx = 0, tx = 0, other = 0, combined = 0;
    std::uint32_t max_rx = 0, max_tx = 0, max_combined = 0;

    [[nodiscard]] std::uint32_t receiving() const { return rx + combined; }
    bool operator==(const Channels&) const = default;
};

/// Descriptors of each queue.
struct RingSizes {
    std::uint32_t rx = 0, tx = 0;
    std::uint32_t max_rx = 0, max_tx = 0;

    bool operator==(const RingSizes&) const = default;
};

/// How packets are spread over receive queues.
struct ReceiveSpread {
    std::vector<std::uint32_t> table;  ///< Queue by hash; empty: the driver has none.
    std::vector<std::uint8_t> key;
    bool operator==(const ReceiveSpread&) const = default;
};

struct PauseFrames {
    bool autonegotiated = false;
    bool rx = false;  ///< The NIC obeys its peer's.
    bool tx = false;  ///< The NIC sends them when its own memory is full.
};

struct Coalescing {
    std::uint32_t rx_usecs = 0;
    std::uint32_t rx_frames = 0;
    bool adaptive_rx = false;
};

/// Kinds of packets whose hashed fields can be chosen.
enum class HashedFlow { tcp4, udp4, tcp6, udp6 };

class Ethtool {
 public:
    explicit Ethtool(std::string interface);

    /// "virtio_net"; empty if it does not say.
    [[nodiscard]] std::string driver() const;
    [[nodiscard]] Result<std::map<std::string, OffloadState>> features() const;
    [[nodiscard]] Result<Channels> channels() const;
    [[nodiscard]] Result<RingSizes> rings() const;
    [[nodiscard]] Result<ReceiveSpread> spread() const;
    /// The letters of ethtool's rx-flow-hash: s source address, d destination address, f and n the
    /// ports; sorted as "sdfn".
    [[nodiscard]] Result<std::string> hashed_fields(HashedFlow flow) const;
    [[nodiscard]] std::optional<PauseFrames> pause() const;
    [[nodiscard]] std::optional<Coalescing> coalescing() const;
    /// Names and values as `ethtool -S` shows them, in its order.
    [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> statistics() const;

    Result<void> set_feature(const std::string& name, bool on) const;
    /// What is not a maximum is set.
    Result<void> set_channels(const Channels& channels) const;
    Result<void> set_rings(const RingSizes& rings) const;
    /// An empty table is the driver's own: all queues alike.
    Result<void> set_spread_table(const std::vector<std::uint32_t>& table) const;
    Result<void> set_hashed_fields(HashedFlow flow, const std::string& letters) const;

 private:
    /// 0 or errno. `command` starts with its number, as all of ethtool's structures do.
    [[nodiscard]] int call(void* command) const;
    Result<void> run(void* command, const std::string& operation) const;
    [[nodiscard]] Result<std::uint32_t> set_size(std::uint32_t set) const;
    [[nodiscard]] Result<std::vector<std::string>> strings(std::uint32_t set) const;

    std::string interface_;
    UniqueFd fd_;
};

}  // namespace sluice::kernel
