#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Packets of every size arrive: path MTU discovery, fragments, jumbo frames."""

import re

import case
from lab import peers, rack

MEGABYTE = 1_000_000
PAIRS = (("4in4", rack.vip4(10), "web4"), ("6in4", rack.vip6(11), "web4"),
         ("4in6", rack.vip4(12), "web6"), ("6in6", rack.vip6(13), "web6"))
OUTER_LEN = {"4in4": 20, "6in4": 20, "4in6": 40, "6in6": 40}


def _services() -> list:
    rows = []
    for name, vip, group in PAIRS:
        rows += rack.services(f"ipip-{name}", vip, "ipip", group)
    return rows


class SizeCase(case.LabCase):
    """A rack of the sizes that `sizes` says, with one ipip service for each pair of families."""

    sizes = {}

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab, **cls.sizes)
        cls.start_sluice(rack.document(_services()), [vip for _, vip, _ in PAIRS])

    def transfer(self, vip: str, up: int, down: int) -> str:
        with self.rack.client.inside(), peers.connect(vip, peers.BULK_PORT) as sock:
            return peers.bulk_round(sock, up, down)

    def learned_mtu(self, node, address: str) -> int:
        route = node.run("ip", "route", "get", address).stdout
        found = re.search(r"\bmtu (\d+)", route)
        return int(found[1]) if found else 0


class NarrowRack(SizeCase):
    """The rack takes 1500 bytes like the client: a full packet and an outer header do not fit."""

    sizes = {"mtu": 1500, "rack_mtu": 1500}

    def test_a_client_learns_from_sluice_what_fits_and_its_upload_completes(self):
        for name, vip, _ in PAIRS:
            with self.subTest(name):
                before = self.balancer.reasons()["too_big_replied"]
                self.transfer(vip, 5 * MEGABYTE, MEGABYTE)
                self.assertEqual(self.learned_mtu(self.rack.client, vip), 1500 - OUTER_LEN[name])
                self.assertGreater(self.balancer.reasons()["too_big_replied"], before)

    def test_a_datagram_that_may_be_fragmented_arrives_in_fragments_that_fit(self):
        for name, vip, _ in PAIRS:
            with self.subTest(name):
                self.transfer(vip, 100_000, 0)  # The client learns the path.
                with self.rack.client.inside():
                    self.assertIn(peers.udp_echo(vip, b"frag" * 1000), ("b1", "b2", "b3"))


class WideRack(SizeCase):
    """The usual case: the rack has room for the outer header."""

    def test_a_router_on_the_way_to_the_client_tells_the_right_backend_what_fits(self):
        # The answers meet a narrow link behind the router, which tells the VIP: the balancer must
        # find the one backend whose connection it is.
        self.rack.router.ip("route replace 198.51.100.0/24 dev client mtu lock 1400",
                            "route replace 2001:db8:c::/64 dev client metric 256 mtu 1400")
        self.addCleanup(self.rack.router.ip, "route replace 198.51.100.0/24 dev client",
                        "route replace 2001:db8:c::/64 dev client metric 256")
        before = self.balancer.reasons()["forwarded_icmp_error"]
        for name, vip, _ in PAIRS:
            with self.subTest(name):
                everybody = {"b1", "b2", "b3"}
                servers = peers.answerers(lambda vip=vip: self.transfer(vip, 1000, MEGABYTE),
                                          everybody)
                self.assertEqual(servers, everybody)
        for node in self.rack.backends.values():
            self.assertEqual(self.learned_mtu(node, rack.CLIENT4), 1400)
            self.assertEqual(self.learned_mtu(node, rack.CLIENT6), 1400)
        self.assertGreaterEqual(self.balancer.reasons()["forwarded_icmp_error"] - before, 6)

    def test_fragmented_datagrams_reach_one_backend_and_come_back_whole(self):
        before = self.balancer.reasons()
        for name, vip, _ in PAIRS:
            with self.subTest(name), self.rack.client.inside():
                for size in (1473, 2000, 4000, 9000, 30000):
                    self.assertIn(peers.udp_echo(vip, b"\x5a" * size), ("b1", "b2", "b3"))
        after = self.balancer.reasons()
        # 30 fragments that are not their datagram's first, for each pair.
        self.assertGreaterEqual(after["forwarded_fragment"] - before["forwarded_fragment"], 120)
        self.assertEqual(after["frag_unknown"], before["frag_unknown"])


class JumboRack(SizeCase):
    """9000 bytes for the client, 9100 in the rack: XDP sees packets of several buffers."""

    sizes = {"mtu": 9000, "rack_mtu": 9100}

    def test_jumbo_frames_pass_in_both_directions(self):
        for name, vip, _ in PAIRS:
            with self.subTest(name):
                self.transfer(vip, 20 * MEGABYTE, 20 * MEGABYTE)
                with self.rack.client.inside():
                    self.assertIn(peers.udp_echo(vip, b"\xa5" * 8900), ("b1", "b2", "b3"))

    def test_ping_of_jumbo_size_is_answered(self):
        for vip in (PAIRS[0][1], PAIRS[3][1]):
            self.rack.client.run("ping", "-c", "2", "-i", "0.05", "-W", "2", "-s", 8000, vip)


if __name__ == "__main__":
    case.main()
