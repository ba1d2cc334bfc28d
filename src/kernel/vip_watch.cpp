// SPDX-License-Identifier: Apache-2.0
#include "kernel/vip_watch.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace sluice::kernel {
namespace {

using std::chrono::seconds;

constexpr std::size_t kMostAtOnce = 64;      ///< Frames of one process().
constexpr std::size_t kMostFiltered = 1000;  ///< VIPs of a family in the BPF program; else any.
constexpr seconds kLookEvery{10};            ///< At interfaces and their addresses.
constexpr std::uint32_t kSnap = 256;         ///< Bytes of a frame.

sock_filter statement(int code, std::uint32_t operand) {
    return {static_cast<std::uint16_t>(code), 0, 0, operand};
}

/// Ends the filter unless what was loaded is `operand`.
void require(std::vector<sock_filter>& out, std::uint32_t operand) {
    out.push_back({BPF_JMP | BPF_JEQ | BPF_K, 1, 0, operand});
    out.push_back(statement(BPF_RET | BPF_K, 0));
}

/// Lets through what speaks of one of `words`, which was loaded; anything, where they are too many.
void accept_any_of(std::vector<sock_filter>& out, const std::set<std::uint32_t>& words) {
    if (words.size() > kMostFiltered) {
        out.push_back(statement(BPF_RET | BPF_K, kSnap));
        return;
    }
    for (const std::uint32_t word : words) {
        out.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, word});
        out.push_back(statement(BPF_RET | BPF_K, kSnap));
    }
    out.push_back(statement(BPF_RET | BPF_K, 0));
}

std::uint32_t last_word(const IpAddress& address) {
    std::uint32_t out = 0;
    std::memcpy(&out, address.bytes.data() + address.bits() / 8 - 4, sizeof out);
    return ntohl(out);
}

std::set<std::uint32_t> words_of(const std::set<IpAddress>& vips, bool is_ip6) {
    std::set<std::uint32_t> out;
    for (const IpAddress& vip : vips)
        if (vip.is_ip6 == is_ip6) out.insert(last_word(vip));
    return out;
}

/// ARP whose sender's address is a VIP.
std::vector<sock_filter> arp_filter(const std::set<IpAddress>& vips) {
    std::vector<sock_filter> out{statement(BPF_LD | BPF_H | BPF_ABS, 12)};
    require(out, ETHERTYPE_ARP);
    out.push_back(statement(BPF_LD | BPF_W | BPF_ABS, 28));
    accept_any_of(out, words_of(vips, false));
    return out;
}

/// Neighbour advertisements whose target ends like a VIP.
std::vector<sock_filter> advertisement_filter(const std::set<IpAddress>& vips) {
    std::vector<sock_filter> out{statement(BPF_LD | BPF_H | BPF_ABS, 12)};
    require(out, ETHERTYPE_IPV6);
    out.push_back(statement(BPF_LD | BPF_H | BPF_ABS, 20));  // Next header, hop limit.
    require(out, 58 << 8 | 255);
    out.push_back(statement(BPF_LD | BPF_B | BPF_ABS, 54));
    require(out, 136);
    out.push_back(statement(BPF_LD | BPF_W | BPF_ABS, 74));
    accept_any_of(out, words_of(vips, true));
    return out;
}

Result<void> attach(int fd, std::vector<sock_filter> filter) {
    const sock_fprog program{static_cast<std::uint16_t>(filter.size()), filter.data()};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0) return {};
    return fail(sys_error(errno, "filter of a packet socket"));
}

Result<UniqueFd> packet_socket(std::uint16_t protocol) {
    // Without a protocol nothing is received before the filter is there.
    UniqueFd out(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int saved = errno;
    if (!out.valid()) return fail(sys_error(saved, "packet socket").advise("it needs CAP_NET_RAW"));
    if (protocol == 0) return out;
    SLC_CHECK(attach(out.get(), {statement(BPF_RET | BPF_K, 0)}), "packet socket");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    if (::bind(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail(sys_error(errno, "packet socket"));
    return out;
}

bool send_frame(int fd, int ifindex, std::span<const std::uint8_t> frame) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = ifindex;
    address.sll_halen = ETH_ALEN;
    std::copy_n(frame.begin(), ETH_ALEN, address.sll_addr);
    return ::sendto(fd, frame.data(), frame.size(), MSG_DONTWAIT,
                    reinterpret_cast<const sockaddr*>(&address),
                    sizeof address) == static_cast<ssize_t>(frame.size());
}

/// 00:00:5e:00:01:xx and 00:00:5e:00:02:xx.
bool is_of_vrrp(const MacAddress& mac) {
    static constexpr std::uint8_t kPrefix[] = {0, 0, 0x5e, 0};
    return std::equal(std::begin(kPrefix), std::end(kPrefix), mac.bytes.begin()) &&
           (mac.bytes[4] == 1 || mac.bytes[4] == 2);
}

/// What getifaddrs says, freed when done.
using Addresses = std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)>;

Addresses addresses_of_node() {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) list = nullptr;
    return {list, &::freeifaddrs};
}

std::optional<MacAddress> mac_in(const ifaddrs& entry) {
    if (entry.ifa_addr == nullptr || entry.ifa_addr->sa_family != AF_PACKET) return std::nullopt;
    const auto* link = reinterpret_cast<const sockaddr_ll*>(entry.ifa_addr);
    MacAddress out;
    if (link->sll_halen != out.bytes.size()) return std::nullopt;
    std::copy_n(link->sll_addr, out.bytes.size(), out.bytes.begin());
    return out;
}

std::optional<IpAddress> ip_in(const sockaddr* address) {
    if (address == nullptr) return std::nullopt;
    if (address->sa_family == AF_INET)
        return IpAddress::from_ip4(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
    if (address->sa_family == AF_INET6)
        return IpAddress::from_ip6(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
    return std::nullopt;
}

std::optional<IpPrefix> subnet_in(const ifaddrs& entry) {
    const auto address = ip_in(entry.ifa_addr);
    const auto mask = ip_in(entry.ifa_netmask);
    if (!address || !mask || address->is_ip6 != mask->is_ip6) return std::nullopt;
    int len = 0;
    for (const std::uint8_t byte : mask->bytes) len += std::popcount(byte);
    return IpPrefix{*address, static_cast<std::uint8_t>(len)};
}

}  // namespace

Result<std::unique_ptr<VipWatch>> VipWatch::open(VipWatchOptions options) {
    std::unique_ptr<VipWatch> out(new VipWatch(options));
    SLC_CHECK(out->open_sockets(), "watch VIPs");
    return out;
}

Result<void> VipWatch::open_sockets() {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_.valid()) return fail(sys_error(errno, "epoll"));
    arp_ = SLC_TRY(packet_socket(ETH_P_ARP), "ARP");
    discovery_ = SLC_TRY(packet_socket(ETH_P_IPV6), "neighbour discovery");
    for (const int fd : {arp_.get(), discovery_.get()}) {
        epoll_event event{};
        event.events = EPOLLIN;
        if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            return fail(sys_error(errno, "epoll"));
    }
    return {};
}

Result<void> VipWatch::filter() {
    SLC_CHECK(attach(arp_.get(), arp_filter(vips_)), "ARP");
    return attach(discovery_.get(), advertisement_filter(vips_));
}

Result<void> VipWatch::follow(std::vector<std::string> interfaces, std::vector<IpAddress> vips,
                              Time now) {
    std::set<IpAddress> wanted(vips.begin(), vips.end());
    const bool is_same = names_ == interfaces && vips_ == wanted;
    names_ = std::move(interfaces);
    vips_ = std::move(wanted);
    SLC_CHECK(filter(), "watch VIPs");
    std::erase_if(kept_, [&](const auto& entry) {
        return !vips_.contains(entry.first.vip) ||
               std::find(names_.begin(), names_.end(), entry.first.interface) == names_.end();
    });
    if (!is_same) questions_.clear();
    look_at_interfaces(now);
    return {};
}

void VipWatch::look_at_interfaces(Time now) {
    looked_at_ = now;
    interfaces_.clear();
    own_.clear();
    const Addresses list = addresses_of_node();
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        if (const auto mac = mac_in(*entry); mac && !mac->is_zero()) {
            own_.insert(*mac);
            if ((entry->ifa_flags & IFF_UP) == 0 ||
                std::find(names_.begin(), names_.end(), entry->ifa_name) == names_.end())
                continue;
            Interface& interface = interfaces_[entry->ifa_name];
            interface.mac = *mac;
            interface.index = reinterpret_cast<const sockaddr_ll*>(entry->ifa_addr)->sll_ifindex;
        }
    }
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        const auto found = interfaces_.find(entry->ifa_name);
        const auto subnet = subnet_in(*entry);
        if (found == interfaces_.end() || !subnet) continue;
        const IpAddress& own = subnet->address;
        IpAddress& source = found->second.source6;
        // A VIP as the source would be an announcement.
        if (own.is_ip6 && !vips_.contains(own) && (source.is_unspecified() || own.is_link_local()))
            source = own;
        if (!subnet->is_host()) found->second.subnets.push_back(*subnet);
    }
    plan_questions(now);
}

bool VipWatch::is_asked(const Interface& interface, const IpAddress& vip) const {
    if (vip.is_ip6 && interface.source6.is_unspecified()) return false;
    return options_.asks_everywhere ||
           std::any_of(interface.subnets.begin(), interface.subnets.end(),
                       [&](const IpPrefix& subnet) { return subnet.contains(vip); });
}

/// Those that were there keep their turn.
void VipWatch::plan_questions(Time now) {
    if (options_.asks_per_second == 0) return;
    std::map<std::pair<std::string, IpAddress>, Time> due;
    for (const Question& question : questions_)
        due.emplace(std::pair(question.interface, question.vip), question.due);
    questions_.clear();
    for (const auto& [name, interface] : interfaces_)
        for (const IpAddress& vip : vips_) {
            if (!is_asked(interface, vip)) continue;
            const auto found = due.find({name, vip});
            questions_.push_back({name, vip, found != due.end() ? found->second : now});
        }
    std::stable_sort(
        questions_.begin(), questions_.end(),
        [](const Question& left, const Question& right) { return left.due < right.due; });
    next_question_ = 0;
}

void VipWatch::ask(const Question& question) {
    const auto found = interfaces_.find(question.interface);
    if (found == interfaces_.end()) return;
    const Interface& interface = found->second;
    const auto frame = question.vip.is_ip6
                           ? neighbour_solicitation(interface.mac, interface.source6, question.vip)
                           : arp_probe(interface.mac, question.vip);
    ++(send_frame(arp_.get(), interface.index, frame) ? counts_.asked : counts_.unsent);
}

VipWatch::Time VipWatch::tick(Time now) {
    if (now - looked_at_ >= kLookEvery) look_at_interfaces(now);
    std::erase_if(
        kept_, [&](const auto& entry) { return now - entry.second.last >= options_.forget_after; });
    Time next = looked_at_ + kLookEvery;
    if (questions_.empty()) return next;
    Question& question = questions_[next_question_];
    if (question.due <= now) {
        ask(question);
        question.due = now + options_.ask_every;
        next_question_ = (next_question_ + 1) % questions_.size();
        const auto pause = std::chrono::nanoseconds(seconds(1)) / options_.asks_per_second;
        questions_[next_question_].due = std::max(questions_[next_question_].due, now + pause);
    }
    return std::min(next, questions_[next_question_].due);
}

bool VipWatch::may_look(Time now) {
    if (now - second_ >= seconds(1)) {
        second_ = now;
        looked_ = 0;
    }
    return looked_++ < options_.most_per_second;
}

std::vector<VipConflict> VipWatch::process(Time now) {
    std::vector<VipConflict> fresh;
    std::array<std::uint8_t, kSnap> frame{};
    for (const int fd : {arp_.get(), discovery_.get()})
        for (std::size_t i = 0; i < kMostAtOnce; ++i) {
            sockaddr_ll from{};
            socklen_t from_len = sizeof from;
            const ssize_t len = ::recvfrom(fd, frame.data(), frame.size(), MSG_DONTWAIT,
                                           reinterpret_cast<sockaddr*>(&from), &from_len);
            if (len < 0) break;
            // Of others are frames of VLANs that this node is not in, too.
            if (from.sll_pkttype == PACKET_OUTGOING || from.sll_pkttype == PACKET_OTHERHOST)
                continue;
            if (!may_look(now)) {
                ++counts_.skipped;
                continue;
            }
            if (const auto claim = claim_of(std::span(frame).first(static_cast<std::size_t>(len))))
                hear(*claim, from.sll_ifindex, now, fresh);
        }
    return fresh;
}

void VipWatch::hear(const NeighbourClaim& claim, int ifindex, Time now,
                    std::vector<VipConflict>& fresh) {
    if (!vips_.contains(claim.address)) return;
    ++counts_.heard;
    if (own_.contains(claim.mac) || is_of_vrrp(claim.mac)) return;
    const auto by = std::find_if(interfaces_.begin(), interfaces_.end(),
                                 [&](const auto& entry) { return entry.second.index == ifindex; });
    if (by == interfaces_.end()) return;
    const Key key{claim.address, by->first, claim.mac};
    auto found = kept_.find(key);
    const bool is_new = found == kept_.end();
    if (is_new) {
        if (kept_.size() >= options_.most_conflicts) {
            ++counts_.unkept;
            return;
        }
        found = kept_.emplace(key, Kept{}).first;
    }
    Kept& kept = found->second;
    kept.last = now;
    kept.conflict.last = std::chrono::system_clock::now();
    kept.conflict.kind = claim.kind;
    ++kept.conflict.count;
    if (!is_new) return;
    kept.conflict.vip = claim.address;
    kept.conflict.interface = by->first;
    kept.conflict.mac = claim.mac;
    kept.conflict.since = kept.conflict.last;
    fresh.push_back(kept.conflict);
}

std::vector<VipConflict> VipWatch::conflicts() const {
    std::vector<VipConflict> out;
    out.reserve(kept_.size());
    for (const auto& [key, kept] : kept_) out.push_back(kept.conflict);
    return out;
}

Result<void> announce_to_neighbours(const std::string& interface, std::span<const IpAddress> vips,
                                    const MacAddress& mac) {
    const Addresses list = addresses_of_node();
    MacAddress own = mac;
    int index = 0;
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next) {
        const auto found = mac_in(*entry);
        if (!found || interface != entry->ifa_name) continue;
        index = reinterpret_cast<const sockaddr_ll*>(entry->ifa_addr)->sll_ifindex;
        if (own.is_zero()) own = *found;
    }
    if (index == 0) return fail(Errc::not_found, "no interface " + interface + " of Ethernet");
    const UniqueFd fd = SLC_TRY(packet_socket(0), interface);
    for (const IpAddress& vip : vips)
        for (const auto& frame : announcements(own, vip))
            if (!send_frame(fd.get(), index, frame))
                return fail(sys_error(errno, interface + ": announce " + vip.text()));
    return {};
}

}  // namespace sluice::kernel
