#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every forwarding mode in every combination of families carries real traffic unchanged.

"4in6" is an IPv4 VIP whose backends are reached over IPv6. Each combination has a VIP of its own;
all of them run at once.
"""

import collections

import case
from lab import peers, rack

MEGABYTE = 1_000_000
TRANSFER = 50 * MEGABYTE

Combination = collections.namedtuple("Combination", "name forward vip group")

_PAIRS = (("4in4", rack.vip4, "web4"), ("6in4", rack.vip6, "web4"),
          ("4in6", rack.vip4, "web6"), ("6in6", rack.vip6, "web6"))


def _combinations() -> list:
    rows = []
    for forward in ("ipip", "gre", "gue"):
        for pair, vip, group in _PAIRS:
            rows.append(Combination(f"{forward}_{pair}", forward, vip(10 + len(rows)), group))
    rows.append(Combination("l2_ip4", "l2", rack.vip4(30), "web4"))
    rows.append(Combination("l2_ip6", "l2", rack.vip6(30), "web6"))
    rows.append(Combination("local_ip4", "local", rack.vip4(31), ""))
    rows.append(Combination("local_ip6", "local", rack.vip6(31), ""))
    return rows


COMBINATIONS = _combinations()


class Modes(case.LabCase):
    """One rack, one configuration with all combinations."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab)
        balancer = cls.rack.balancer
        services = []
        for row in COMBINATIONS:
            services += rack.services(row.name.replace("_", "-"), row.vip, row.forward, row.group)
            if row.forward == "local":
                balancer.ip(f"addr add {row.vip} dev lo" + (" nodad" if ":" in row.vip else ""))
        cls.rack.serve(balancer)
        cls.start_sluice(rack.document(services),
                         [row.vip for row in COMBINATIONS if row.forward != "local"])

    def servers_of(self, row: Combination) -> set:
        return {"balancer"} if row.forward == "local" else {"b1", "b2", "b3"}

    def check_bulk(self, row: Combination) -> None:
        """50 MB each way, compared by digest; no answer passes the balancer."""
        tap = peers.Tap(self.rack.switch, "p-balancer", row.vip)
        self.addCleanup(tap.close)
        with self.rack.client.inside(), peers.connect(row.vip, peers.BULK_PORT) as sock:
            server = peers.bulk_round(sock, TRANSFER, TRANSFER)
        self.assertIn(server, self.servers_of(row))
        if row.forward != "local":
            self.assertEqual(tap.frames(), 0, "answers went through the balancer")

    def check_small(self, row: Combination) -> None:
        """Requests reach every backend, datagrams come back, ping is answered."""
        expected = self.servers_of(row)
        with self.rack.client.inside():
            answered = peers.answerers(lambda: peers.http_get(row.vip), expected)
            echoed = peers.answerers(lambda: peers.udp_echo(row.vip, b"echo" * 300), expected)
            for size in (0, 1, 2, 17, 1471, 1472):
                peers.udp_echo(row.vip, b"x" * size)
        self.assertEqual(answered, expected)
        self.assertEqual(echoed, expected)
        self.rack.client.run("ping", "-c", "3", "-i", "0.02", "-W", "2", row.vip)


def _add_tests() -> None:
    for row in COMBINATIONS:
        for kind in ("bulk", "small"):
            def test(self, row=row, kind=kind):
                getattr(self, f"check_{kind}")(row)
            test.__doc__ = None
            setattr(Modes, f"test_{row.name}_{kind}", test)


class Others(case.LabCase):
    """What is no VIP, or no service of one."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab)
        cls.vips = [rack.vip4(10), rack.vip6(10)]
        cls.start_sluice(rack.document(rack.services("four", cls.vips[0], "ipip", "web4") +
                                       rack.services("six", cls.vips[1], "ipip", "web6")),
                         cls.vips)

    def test_ping_to_a_vip_is_answered_by_sluice_with_every_size_that_fits(self):
        before = self.balancer.reasons()["echo_replied"]
        for vip in self.vips:
            for size in (0, 1, 56, 1000, 1440):
                self.rack.client.run("ping", "-c", "2", "-i", "0.02", "-W", "2", "-s", size, vip)
        self.assertEqual(self.balancer.reasons()["echo_replied"] - before, 20)

    def test_ping_and_tcp_to_the_balancers_own_address_reach_linux(self):
        self.rack.serve(self.rack.balancer)
        before = self.balancer.reasons()
        for address in (rack.BALANCER4, rack.BALANCER6):
            self.rack.client.run("ping", "-c", "3", "-i", "0.02", "-W", "2", address)
            with self.rack.client.inside():
                self.assertEqual(peers.http_get(address), "balancer")
        after = self.balancer.reasons()
        self.assertEqual(after["echo_replied"], before["echo_replied"])
        self.assertGreaterEqual(after["not_ours"] - before["not_ours"], 6)

    def test_a_port_without_a_service_is_a_counted_drop(self):
        before = self.balancer.reasons()["no_such_port"]
        for vip in self.vips:
            with self.rack.client.inside(), self.assertRaises(TimeoutError):
                peers.connect(vip, 9999, seconds=0.3)
        self.assertEqual(self.balancer.reasons()["no_such_port"] - before, 2)

    def test_counters_of_backends_add_up_to_those_of_their_services(self):
        with self.rack.client.inside():
            for vip in self.vips:
                for _ in range(10):
                    peers.http_get(vip)
        services = self.balancer.json("service", "list")["services"]
        backends = self.balancer.json("backend", "list")["backends"]
        self.assertGreater(sum(row["traffic"]["packets"] for row in services), 100)
        self.assertEqual(
            sum(row["traffic"]["packets"] - row["dropped"]["packets"] for row in services),
            sum(row["traffic"]["packets"] for row in backends))


_add_tests()
if __name__ == "__main__":
    case.main()
