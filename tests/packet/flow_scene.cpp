// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/flow_scene.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/packet/dissect.h"

namespace sluice::packet {
namespace {

constexpr std::uint64_t kUsed = 20;  // entries on the accounts before

std::uint16_t port_of(const std::string& tracking) {
    if (tracking == "marked") return 8001;
    if (tracking == "always") return 8002;
    return tracking == "never" ? 8003 : 8004;
}

bool is_part(Sent sent) {
    return sent >= Sent::first_part_of_syn;
}

std::string service_of(const Situation& situation) {
    return situation.tracking + (situation.six ? "-6" : "-4");
}

std::uint32_t member_of(const Bench& bench, Role role) {
    if (role == Role::nobody) return 0;
    return bench.member_of(role == Role::other ? "other" : "web",
                           kBackendOf[static_cast<int>(role)]);
}

Role role_of(const Bench& bench, std::uint32_t member) {
    for (const Role role : {Role::current, Role::previous, Role::third, Role::other})
        if (member_of(bench, role) == member) return role;
    return Role::nobody;
}

Role role_of(const Bytes& frame) {
    const auto destination = destination_of(frame);
    for (int role = 1; destination && role <= static_cast<int>(Role::other); ++role)
        if (destination->text() == kBackendOf[role]) return static_cast<Role>(role);
    return Role::nobody;
}

std::uint64_t hash_of(const Bench& bench, const Situation& situation) {
    return bench.hash_of(flow_of(situation), bench.affinity_of(service_of(situation)));
}

slc_flow_bucket& bucket_of(const kernel::FlowTable& table, std::uint64_t hash) {
    return table.buckets()[slc_flow_bucket_of(hash, table.geometry.log2)];
}

slc_u64 entry_of(const Bench& bench, const kernel::FlowTable& table, std::uint64_t hash,
                 const Kept& kept) {
    const auto expiry = static_cast<slc_u8>(table.tick() + static_cast<std::uint32_t>(kept.left));
    return slc_flow_entry(hash, kept.flow_class, member_of(bench, kept.role), expiry);
}

/// Live flows of others in every place from `first` on.
void fill(const Bench& bench, const kernel::FlowTable& table, std::uint64_t hash,
          std::size_t first) {
    for (std::size_t i = first; i < SLC_FLOW_WAYS; ++i)
        bucket_of(table, hash).entry[i] =
            entry_of(bench, table, hash ^ (i + 1) << 50, {.role = Role::current, .left = 200});
}

std::vector<Kept> kept_in(const Bench& bench, const kernel::FlowTable& table, std::uint64_t hash) {
    std::vector<Kept> out;
    for (const slc_u64 entry : bucket_of(table, hash).entry) {
        if (entry == 0 || ((entry ^ hash) & SLC_FLOW_FINGERPRINT_MASK) != 0) continue;
        int left = slc_flow_left(entry, table.tick());
        if (left > SLC_FLOW_MAX_TICKS) left -= 256;
        out.push_back({SLC_FLOW_CLASS_OF(entry), role_of(bench, SLC_FLOW_MEMBER_OF(entry)), left});
    }
    return out;
}

std::string text_of(const std::vector<Kept>& kept) {
    std::string out;
    for (const Kept& entry : kept)
        out += fmt::format(" [class {} {} {} left]", entry.flow_class, name_of(entry.role),
                           entry.left);
    return out.empty() ? " none" : out;
}

/// Ticks of all tables in use.
std::pair<std::uint32_t, std::uint32_t> now(Bench& bench) {
    kernel::FlowMap& flows = bench.flows();
    return {flows.current().tick(), flows.leaving() ? flows.leaving()->tick() : 0};
}

}  // namespace

const char* name_of(Role role) {
    constexpr const char* kNames[] = {"nobody", "current", "previous", "third", "other"};
    return kNames[static_cast<int>(role)];
}

const char* name_of(Sent sent) {
    constexpr const char* kNames[] = {"syn",
                                      "syn_ack",
                                      "ack",
                                      "fin",
                                      "rst",
                                      "udp",
                                      "error_about_tcp",
                                      "error_about_udp",
                                      "first_part_of_syn",
                                      "first_part_of_tcp",
                                      "first_part_of_udp"};
    return kNames[static_cast<int>(sent)];
}

bool is_udp(Sent sent) {
    return sent == Sent::udp || sent == Sent::error_about_udp || sent == Sent::first_part_of_udp;
}

bool is_syn(Sent sent) {
    return sent == Sent::syn || sent == Sent::first_part_of_syn;
}

bool is_error(Sent sent) {
    return sent == Sent::error_about_tcp || sent == Sent::error_about_udp;
}

std::string text_of(const Situation& it) {
    const auto entry = [](const std::optional<Kept>& kept) {
        return kept ? text_of(std::vector<Kept>{*kept}) : std::string(" none");
    };
    return fmt::format(
        "{} to {}-{}, slot {} {} flags {:x}, kept{}, in the old table{}, dead {}, "
        "room {}",
        name_of(it.sent), it.tracking, it.six ? 6 : 4, name_of(it.current), name_of(it.previous),
        it.flags >> 40, entry(it.kept), entry(it.kept_in_old), name_of(it.dead),
        static_cast<int>(it.room));
}

std::string text_of(const Seen& it) {
    return fmt::format(
        "to {}, {}, kept{}, {} places, in the old table{}, {}, {}, used {:+}, "
        "pool {:+}",
        name_of(it.role), label_of(it.reason), text_of(it.kept), it.places, text_of(it.kept_in_old),
        it.refused ? "refused" : "not refused", text_of(it.counts), it.used, it.pool);
}

Flow flow_of(const Situation& it) {
    return {.src = it.six ? kClient6 : kClient4,
            .dst = it.six ? kVip6 : kVip4,
            .dport = port_of(it.tracking),
            .proto = is_udp(it.sent) ? std::uint8_t{17} : std::uint8_t{6}};
}

Packet packet_of(const Situation& it) {
    const std::uint16_t port = port_of(it.tracking);
    if (is_error(it.sent)) {
        const Packet quoted =
            (it.six ? ip6({.src = kVip6, .dst = kClient6}) : ip4({.src = kVip4, .dst = kClient4})) /
            (is_udp(it.sent) ? udp({.sport = port, .dport = 40000})
                             : tcp({.sport = port, .dport = 40000, .flags = kAck}));
        return it.six ? eth() / ip6({.src = "2001:db8:f::1"}) / icmp6({.type = 1}) / quote(quoted)
                      : eth() / ip4({.src = "203.0.113.1"}) / icmp4({.type = 3}) / quote(quoted);
    }
    std::uint8_t flags = kAck;
    if (is_syn(it.sent)) flags = kSyn;
    if (it.sent == Sent::syn_ack) flags = kSyn | kAck;
    if (it.sent == Sent::fin) flags = kFin | kAck;
    if (it.sent == Sent::rst) flags = kRst;
    const Packet whole =
        eth() / (it.six ? ip6() : ip4()) /
        (is_udp(it.sent) ? udp({.dport = port}) : tcp({.dport = port, .flags = flags})) /
        payload(is_part(it.sent) ? 2000 : 20);
    return is_part(it.sent) ? fragments(whole, 1200)[0] : whole;
}

void arrange(Bench& bench, const Situation& it) {
    bench.reset_state();
    const slc_u64 word =
        SLC_SLOT_MAKE(member_of(bench, it.current), member_of(bench, it.previous), it.flags);
    for (std::uint64_t& slot : bench.generation().slots()) slot = word;
    if (it.dead != Role::nobody) bench.generation().set_down(member_of(bench, it.dead), true);
    const std::uint64_t hash = hash_of(bench, it);
    const kernel::FlowTable& table = bench.flows().current();
    if (it.kept) bucket_of(table, hash).entry[0] = entry_of(bench, table, hash, *it.kept);
    if (it.room == Room::bucket_full) fill(bench, table, hash, it.kept ? 1 : 0);
    if (it.kept_in_old) {
        const kernel::FlowTable& old = bench.flows().leaving().value();
        bucket_of(old, hash).entry[3] = entry_of(bench, old, hash, *it.kept_in_old);
    }
    const std::span<slc_account> accounts = bench.generation().accounts();
    for (slc_account& account : accounts) account.used = kUsed;
    if (it.room == Room::group_full) accounts[1].ceiling = kUsed;
    if (it.room == Room::pool_full) accounts[0].ceiling = kUsed;
}

Seen see(Bench& bench, const Situation& it) {
    const std::uint64_t hash = hash_of(bench, it);
    Seen out;
    for (int attempt = 0; attempt < 5; ++attempt) {
        const auto before = now(bench);
        arrange(bench, it);
        const Outcome got = bench.run(packet_of(it).bytes());
        out.reason = got.reasons.size() == 1 ? got.reasons[0].reason : Reason::NONE;
        out.role = got.run.verdict == Verdict::tx ? role_of(got.run.frame) : Role::nobody;
        out.counts = got.counts;
        out.kept = kept_in(bench, bench.flows().current(), hash);
        out.places =
            static_cast<int>(std::ranges::count_if(bucket_of(bench.flows().current(), hash).entry,
                                                   [](slc_u64 entry) { return entry != 0; }));
        if (bench.flows().leaving())
            out.kept_in_old = kept_in(bench, *bench.flows().leaving(), hash);
        const std::uint64_t slot = bench.slot_of(service_of(it), hash);
        out.refused = (slot & SLC_SLOT_REFUSED) != 0;
        out.used = static_cast<int>(bench.generation().accounts()[1].used - kUsed);
        out.pool = static_cast<int>(bench.generation().accounts()[0].used - kUsed);
        if (now(bench) == before) return out;
    }
    std::fprintf(stderr, "ticks pass too fast\n");
    std::abort();
}

}  // namespace sluice::packet
