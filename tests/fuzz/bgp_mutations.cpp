// SPDX-License-Identifier: Apache-2.0

/// usage: bgp_mutations COUNT [SEED]
///
/// The short form of bgp_fuzz: good messages of every kind, changed in places where it hurts. The
/// same count and seed make the same inputs.

#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/fuzz/bgp_fuzz.h"

namespace {

using namespace sluice;
using namespace sluice::announce;

std::vector<Bytes> seeds() {
    const IpPrefix vip4 = *IpPrefix::parse("192.0.2.1/32");
    const IpPrefix vip6 = *IpPrefix::parse("2001:db8::1/128");
    BgpOpen open{.as = 65000, .hold_time_s = 9, .router_id = 1};
    BgpRoute route;
    route.next_hop = *IpAddress::parse("10.0.0.1");
    route.own_as = 65000;
    route.med = 1;
    route.communities = {{{65000, 1, 0}, false}, {{65000, 1, 2}, true}};
    BgpRoute route6 = route;
    route6.next_hop = *IpAddress::parse("fd00::1");
    std::vector<Bytes> out = {
        write_open(open),
        write_keepalive(),
        write_notification({6, 2, {3, 'b', 'y', 'e'}}),
        write_announcement(route, std::vector{vip4}),
        write_announcement(route6, std::vector{vip6}),
        write_withdrawal(BgpFamily::ip4, std::vector{vip4}),
        write_withdrawal(BgpFamily::ip6, std::vector{vip6}),
        write_end_of_rib(BgpFamily::ip6),
    };
    open.restart = BgpRestart{};
    out.push_back(write_open(open));
    open.restart.reset();
    open.has_as4 = open.has_families = open.has_refresh = false;
    out.push_back(write_open(open));
    Bytes refresh = write_keepalive();
    refresh[17] = 23;
    refresh[18] = 5;
    refresh.insert(refresh.end(), {0, 1, 0, 1});
    out.push_back(refresh);
    return out;
}

class Mutator {
 public:
    explicit Mutator(unsigned seed) : random_(seed) {}

    Bytes next() {
        Bytes out;
        for (std::size_t i = 0, count = 1 + below(3); i < count; ++i) {
            Bytes one = seeds_[below(seeds_.size())];
            for (std::size_t changes = below(4); changes > 0; --changes) change(one);
            // Most of the time the header stays right, so that the body is read.
            if (below(4) != 0 && one.size() >= kBgpHeader) {
                one[16] = static_cast<std::uint8_t>(one.size() >> 8);
                one[17] = static_cast<std::uint8_t>(one.size());
            }
            out.insert(out.end(), one.begin(), one.end());
        }
        return out;
    }

 private:
    std::size_t below(std::size_t limit) { return random_() % limit; }

    void change(Bytes& bytes) {
        // Behind the marker, mostly.
        const std::size_t first = bytes.size() > 18 && below(20) != 0 ? 16 : 0;
        if (bytes.size() <= first) return;
        const std::size_t at = first + below(bytes.size() - first);
        const auto where = bytes.begin() + static_cast<std::ptrdiff_t>(at);
        switch (below(5)) {
            case 0:
                bytes[at] ^= static_cast<std::uint8_t>(1U << below(8));
                break;
            case 1: {
                constexpr std::uint8_t kTelling[] = {0, 1, 2, 4, 16, 32, 33, 127, 128, 255};
                bytes[at] = kTelling[below(std::size(kTelling))];
                break;
            }
            case 2:
                bytes.resize(at);
                break;
            case 3:
                bytes.insert(where, static_cast<std::uint8_t>(random_()));
                break;
            default:
                bytes.erase(where);
        }
    }

    std::mt19937 random_;
    std::vector<Bytes> seeds_ = seeds();
};

}  // namespace

int main(int count, char** words) {
    if (count < 2 || count > 3) {
        std::fprintf(stderr, "usage: bgp_mutations COUNT [SEED]\n");
        return 64;
    }
    Mutator mutator(count == 3 ? static_cast<unsigned>(std::atoi(words[2])) : 1);
    for (const Bytes& seed : seeds()) fuzz::check_bgp(seed);
    for (long i = std::atol(words[1]); i > 0; --i) fuzz::check_bgp(mutator.next());
    return 0;
}
