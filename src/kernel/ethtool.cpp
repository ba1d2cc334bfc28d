// SPDX-License-Identifier: Apache-2.0
#include "kernel/ethtool.h"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace sluice::kernel {
namespace {

/// Of strings, tables and keys: what a driver says about itself is not believed beyond this.
constexpr std::uint32_t kMaxItems = 1u << 16;
/// The kernel writes as many strings and values as the driver has at that moment, whatever the
/// caller has room for: queues that were added since they were counted must find room.
constexpr std::size_t kRoomForMore = std::size_t{1} << 18;

/// One of ethtool's structures with what follows it, read and written at any alignment.
template <typename Header>
class Block {
 public:
    Block(std::uint32_t command, std::size_t extra_len) : bytes_(sizeof(Header) + extra_len) {
        Header header{};
        header.cmd = command;
        set(header);
    }
    [[nodiscard]] Header header() const {
        Header out;
        std::memcpy(&out, bytes_.data(), sizeof out);
        return out;
    }
    void set(const Header& header) { std::memcpy(bytes_.data(), &header, sizeof header); }
    std::uint8_t* extra() { return bytes_.data() + sizeof(Header); }
    void* data() { return bytes_.data(); }

    template <typename T>
    [[nodiscard]] T item(std::size_t index) const {
        T out;
        std::memcpy(&out, bytes_.data() + sizeof(Header) + index * sizeof out, sizeof out);
        return out;
    }

 private:
    std::vector<std::uint8_t> bytes_;
};

std::uint32_t number_of(HashedFlow flow) {
    switch (flow) {
        case HashedFlow::tcp4:
            return TCP_V4_FLOW;
        case HashedFlow::udp4:
            return UDP_V4_FLOW;
        case HashedFlow::tcp6:
            return TCP_V6_FLOW;
        case HashedFlow::udp6:
            return UDP_V6_FLOW;
    }
    return 0;
}

struct HashedField {
    char letter;
    std::uint64_t bit;
};
constexpr HashedField kFields[] = {
    {'s', RXH_IP_SRC}, {'d', RXH_IP_DST}, {'f', RXH_L4_B_0_1}, {'n', RXH_L4_B_2_3}};

}  // namespace

Ethtool::Ethtool(std::string interface)
    : interface_(std::move(interface)), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

int Ethtool::call(void* command) const {
    ifreq request{};
    if (interface_.size() >= sizeof request.ifr_name) return ENODEV;
    std::copy(interface_.begin(), interface_.end(), request.ifr_name);
    request.ifr_data = static_cast<char*>(command);
    if (!fd_.valid()) return EBADF;
    return ::ioctl(fd_.get(), SIOCETHTOOL, &request) == 0 ? 0 : errno;
}

Result<void> Ethtool::run(void* command, const std::string& operation) const {
    const int error = call(command);
    if (error != 0) return fail(sys_error(error, interface_ + ": " + operation));
    return {};
}

std::string Ethtool::driver() const {
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    if (call(&info) != 0) return {};
    info.driver[sizeof info.driver - 1] = '\0';
    return info.driver;
}

Result<std::uint32_t> Ethtool::set_size(std::uint32_t set) const {
    Block<ethtool_sset_info> block(ETHTOOL_GSSET_INFO, sizeof(std::uint32_t));
    ethtool_sset_info info = block.header();
    info.sset_mask = 1ull << set;
    block.set(info);
    SLC_CHECK(run(block.data(), "count names"), "ethtool");
    if (block.header().sset_mask == 0) return std::uint32_t{0};
    return std::min(block.item<std::uint32_t>(0), kMaxItems);
}

Result<std::vector<std::string>> Ethtool::strings(std::uint32_t set) const {
    const std::uint32_t count = SLC_TRY(set_size(set), "names");
    Block<ethtool_gstrings> block(ETHTOOL_GSTRINGS,
                                  std::size_t{count} * ETH_GSTRING_LEN + kRoomForMore);
    ethtool_gstrings header = block.header();
    header.string_set = set;
    header.len = count;
    block.set(header);
    std::vector<std::string> out;
    if (count == 0) return out;
    SLC_CHECK(run(block.data(), "read names"), "ethtool");
    for (std::uint32_t i = 0; i < std::min(count, block.header().len); ++i) {
        const auto* text =
            reinterpret_cast<const char*>(block.extra()) + std::size_t{i} * ETH_GSTRING_LEN;
        out.emplace_back(text, ::strnlen(text, ETH_GSTRING_LEN));
    }
    return out;
}

Result<std::map<std::string, OffloadState>> Ethtool::features() const {
    std::map<std::string, OffloadState> out;
    const auto names = SLC_TRY(strings(ETH_SS_FEATURES), "features");
    const auto blocks = static_cast<std::uint32_t>((names.size() + 31) / 32);
    Block<ethtool_gfeatures> states(ETHTOOL_GFEATURES, blocks * sizeof(ethtool_get_features_block));
    ethtool_gfeatures header = states.header();
    header.size = blocks;
    states.set(header);
    if (names.empty()) return out;
    SLC_CHECK(run(states.data(), "read features"), "ethtool");
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto block = states.item<ethtool_get_features_block>(i / 32);
        const std::uint32_t bit = 1u << (i % 32);
        const bool changeable = (block.available & bit) != 0 && (block.never_changed & bit) == 0;
        out[names[i]] = {(block.active & bit) != 0, !changeable};
    }
    return out;
}

Result<void> Ethtool::set_feature(const std::string& name, bool on) const {
    const auto names = SLC_TRY(strings(ETH_SS_FEATURES), "features");
    const auto found = std::find(names.begin(), names.end(), name);
    const std::string operation = (on ? "turn on " : "turn off ") + name;
    if (found == names.end())
        return fail(Errc::unsupported, interface_ + ": " + operation + ": no such feature");
    const auto index = static_cast<std::size_t>(found - names.begin());
    const auto blocks = static_cast<std::uint32_t>((names.size() + 31) / 32);
    Block<ethtool_sfeatures> change(ETHTOOL_SFEATURES, blocks * sizeof(ethtool_set_features_block));
    ethtool_sfeatures header = change.header();
    header.size = blocks;
    change.set(header);
    ethtool_set_features_block block{};
    block.valid = 1u << (index % 32);
    block.requested = on ? block.valid : 0;
    std::memcpy(change.extra() + index / 32 * sizeof block, &block, sizeof block);
    SLC_CHECK(run(change.data(), operation), "ethtool");
    // The kernel takes a wish that it cannot fulfil: a feature that another one needs stays.
    const auto now = SLC_TRY(features(), "ethtool");
    const auto state = now.find(name);
    if (state == now.end() || state->second.active != on)
        return fail(Errc::unsupported, interface_ + ": " + operation + ": the driver did not");
    return {};
}

Result<Channels> Ethtool::channels() const {
    ethtool_channels raw{};
    raw.cmd = ETHTOOL_GCHANNELS;
    SLC_CHECK(run(&raw, "read channels"), "ethtool");
    return Channels{raw.rx_count, raw.tx_count, raw.other_count, raw.combined_count,
                    raw.max_rx,   raw.max_tx,   raw.max_combined};
}

Result<void> Ethtool::set_channels(const Channels& channels) const {
    ethtool_channels raw{};
    raw.cmd = ETHTOOL_GCHANNELS;
    SLC_CHECK(run(&raw, "read channels"), "ethtool");
    raw.cmd = ETHTOOL_SCHANNELS;
    raw.rx_count = channels.rx;
    raw.tx_count = channels.tx;
    raw.other_count = channels.other;
    raw.combined_count = channels.combined;
    return run(&raw, "set channels");
}

Result<RingSizes> Ethtool::rings() const {
    ethtool_ringparam raw{};
    raw.cmd = ETHTOOL_GRINGPARAM;
    SLC_CHECK(run(&raw, "read ring sizes"), "ethtool");
    return RingSizes{raw.rx_pending, raw.tx_pending, raw.rx_max_pending, raw.tx_max_pending};
}

Result<void> Ethtool::set_rings(const RingSizes& rings) const {
    ethtool_ringparam raw{};
    raw.cmd = ETHTOOL_GRINGPARAM;
    SLC_CHECK(run(&raw, "read ring sizes"), "ethtool");
    raw.cmd = ETHTOOL_SRINGPARAM;
    raw.rx_pending = rings.rx;
    raw.tx_pending = rings.tx;
    return run(&raw, "set ring sizes");
}

Result<ReceiveSpread> Ethtool::spread() const {
    constexpr const char* kOperation = "read the receive table";
    Block<ethtool_rxfh> sizes(ETHTOOL_GRSSH, 0);
    SLC_CHECK(run(sizes.data(), kOperation), "ethtool");
    const std::uint32_t entries = std::min(sizes.header().indir_size, kMaxItems);
    const std::uint32_t key_len = std::min(sizes.header().key_size, kMaxItems);
    Block<ethtool_rxfh> all(ETHTOOL_GRSSH, entries * sizeof(std::uint32_t) + key_len);
    ethtool_rxfh header = all.header();
    header.indir_size = entries;
    header.key_size = key_len;
    all.set(header);
    SLC_CHECK(run(all.data(), kOperation), "ethtool");
    ReceiveSpread out;
    for (std::uint32_t i = 0; i < entries; ++i) out.table.push_back(all.item<std::uint32_t>(i));
    const std::uint8_t* key = all.extra() + entries * sizeof(std::uint32_t);
    out.key.assign(key, key + key_len);
    return out;
}

Result<void> Ethtool::set_spread_table(const std::vector<std::uint32_t>& table) const {
    Block<ethtool_rxfh> all(ETHTOOL_SRSSH, table.size() * sizeof(std::uint32_t));
    ethtool_rxfh header = all.header();
    header.indir_size = static_cast<std::uint32_t>(table.size());  // 0: the driver's own.
    all.set(header);
    if (!table.empty())
        std::memcpy(all.extra(), table.data(), table.size() * sizeof(std::uint32_t));
    return run(all.data(), "set the receive table");
}

Result<std::string> Ethtool::hashed_fields(HashedFlow flow) const {
    ethtool_rxnfc raw{};
    raw.cmd = ETHTOOL_GRXFH;
    raw.flow_type = number_of(flow);
    SLC_CHECK(run(&raw, "read what is hashed"), "ethtool");
    std::string out;
    for (const HashedField& field : kFields)
        if ((raw.data & field.bit) != 0) out += field.letter;
    return out;
}

Result<void> Ethtool::set_hashed_fields(HashedFlow flow, const std::string& letters) const {
    ethtool_rxnfc raw{};
    raw.cmd = ETHTOOL_SRXFH;
    raw.flow_type = number_of(flow);
    for (const HashedField& field : kFields)
        if (letters.find(field.letter) != std::string::npos) raw.data |= field.bit;
    return run(&raw, "hash over " + letters);
}

std::optional<PauseFrames> Ethtool::pause() const {
    ethtool_pauseparam raw{};
    raw.cmd = ETHTOOL_GPAUSEPARAM;
    if (call(&raw) != 0) return std::nullopt;
    return PauseFrames{raw.autoneg != 0, raw.rx_pause != 0, raw.tx_pause != 0};
}

std::optional<Coalescing> Ethtool::coalescing() const {
    ethtool_coalesce raw{};
    raw.cmd = ETHTOOL_GCOALESCE;
    if (call(&raw) != 0) return std::nullopt;
    return Coalescing{raw.rx_coalesce_usecs, raw.rx_max_coalesced_frames,
                      raw.use_adaptive_rx_coalesce != 0};
}

std::vector<std::pair<std::string, std::uint64_t>> Ethtool::statistics() const {
    const auto names = strings(ETH_SS_STATS).value_or(std::vector<std::string>());
    Block<ethtool_stats> block(ETHTOOL_GSTATS, names.size() * sizeof(std::uint64_t) + kRoomForMore);
    ethtool_stats header = block.header();
    header.n_stats = static_cast<std::uint32_t>(names.size());
    block.set(header);
    std::vector<std::pair<std::string, std::uint64_t>> out;
    if (names.empty() || call(block.data()) != 0) return out;
    if (block.header().n_stats != names.size()) return out;  // Changed meanwhile: no names fit.
    for (std::size_t i = 0; i < names.size(); ++i)
        out.emplace_back(names[i], block.item<std::uint64_t>(i));
    return out;
}

}  // namespace sluice::kernel
