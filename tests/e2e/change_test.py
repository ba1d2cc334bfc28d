#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic goes on while the configuration, the daemon and the network change."""

import contextlib
import signal

import case
from lab import peers, rack
from lab.node import wait_for

VIPS = [rack.vip4(10), rack.vip6(10)]
LATER_VIP = rack.vip4(20)


def _document(extra=()) -> dict:
    return rack.document(rack.services("four", VIPS[0], "ipip", "web4") +
                         rack.services("six", VIPS[1], "gue", "web6") + list(extra))


class Running(case.LabCase):
    """Changes under connections that must not notice."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab)
        cls.start_sluice(_document(), VIPS + [LATER_VIP])

    def setUp(self):
        self.balancer.write(_document())
        self.balancer.sluice("reload", "--wait")

    @contextlib.contextmanager
    def unbroken_traffic(self):
        """Six connections, three of each family, transfer all the while and must stay whole."""
        talks = [peers.Conversation(self.rack.client, vip) for vip in VIPS * 3]
        for talk in talks:
            wait_for(lambda talk=talk: talk.rounds() >= 2, "first rounds of a connection")
        try:
            yield talks
            rounds = [talk.rounds() for talk in talks]
            for talk, seen in zip(talks, rounds):
                wait_for(lambda talk=talk, seen=seen: talk.rounds() >= seen + 2,
                         "rounds after the change", 20)
        finally:
            reports = [talk.finish() for talk in talks]
        for report in reports:
            self.assertIsNone(report["error"], report)
            self.assertLess(report["longest_s"], 3.0, report)

    def generation(self) -> int:
        return self.balancer.json("status")["generation"]

    def test_reloads_break_no_connection(self):
        extra = rack.services("later", LATER_VIP, "gre", "web4")
        with self.unbroken_traffic():
            for round_number in range(4):
                before = self.generation()
                self.balancer.write(_document(extra if round_number % 2 == 0 else ()))
                self.balancer.sluice("reload", "--wait")
                self.assertGreater(self.generation(), before)
                if round_number % 2 == 0:
                    with self.rack.client.inside():
                        self.assertIn(peers.http_get(LATER_VIP), ("b1", "b2", "b3"))

    def test_sighup_reads_the_file_again(self):
        extra = rack.services("later", LATER_VIP, "ipip", "web6")
        with self.unbroken_traffic():
            self.balancer.write(_document(extra))
            self.balancer.daemon.send(signal.SIGHUP)
            wait_for(lambda: len(self.balancer.json("service", "list")["services"]) == 9,
                     "nine services after SIGHUP")
            with self.rack.client.inside():
                self.assertIn(peers.http_get(LATER_VIP), ("b1", "b2", "b3"))

    def test_a_faulty_file_is_refused_and_traffic_goes_on(self):
        before = self.generation()
        with self.unbroken_traffic():
            self.balancer.write("version: 1\nnode: {interfaces: [eth0]}\nservices: [{name: x}]\n")
            refused = self.balancer.sluice("reload", "--wait", check=False)
            self.assertEqual(refused.returncode, 3, refused)
            self.assertRegex(refused.stderr, r"sluice\.yaml:3:\d+: ")
            status = self.balancer.json("status")
            self.assertFalse(status["reload"]["success"])
            self.assertEqual(status["state"], "degraded")
            self.assertEqual(status["generation"], before)
            self.assertEqual(len(status["services"]), 6)

    def test_a_killed_daemon_leaves_traffic_running_and_its_successor_adopts_it(self):
        program = self.balancer.loaded_interface()
        with self.unbroken_traffic() as talks:
            self.balancer.daemon.kill()
            seen = [talk.rounds() for talk in talks]
            for talk, rounds in zip(talks, seen):
                wait_for(lambda talk=talk, rounds=rounds: talk.rounds() >= rounds + 2,
                         "traffic without a daemon")
            self.assertEqual(self.balancer.loaded_interface(), program)
            self.balancer.start()
            self.balancer.wait_resolved()
        with self.rack.client.inside():
            for vip in VIPS:
                self.assertIn(peers.http_get(vip), ("b1", "b2", "b3"))

    def test_a_stopped_daemon_leaves_traffic_running(self):
        with self.unbroken_traffic():
            self.assertEqual(self.balancer.daemon.stop(), 0)
            self.balancer.start()

    def test_a_backend_in_maintenance_takes_no_new_connection(self):
        document = _document()
        document["groups"]["web4"]["backends"][0] = {"address": rack.backend4(1), "state": "maint"}
        self.balancer.write(document)
        self.balancer.sluice("reload", "--wait")
        with self.rack.client.inside():
            self.assertEqual({peers.http_get(VIPS[0]) for _ in range(60)}, {"b2", "b3"})
            everybody = {"b1", "b2", "b3"}
            self.assertEqual(peers.answerers(lambda: peers.http_get(VIPS[1]), everybody), everybody)

    def test_descriptors_of_the_daemon_do_not_grow_with_reloads(self):
        def reload(count: int) -> None:
            for _ in range(count):
                self.balancer.sluice("reload", "--wait")
        reload(5)
        settled = self.balancer.daemon.open_fds()
        reload(10)
        # The last command's connection may be there for a moment still.
        wait_for(lambda: self.balancer.daemon.open_fds() <= settled, "no more descriptors than before")


class Network(case.LabCase):
    """Backends that move."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab)
        balancer = cls.rack.balancer
        cls.far = cls.lab.node("far")
        cls.far.sysctl(net_ipv4_conf_all_rp_filter=0, net_ipv4_conf_default_rp_filter=0)
        cls.lab.link(balancer, "eth1", cls.far, "eth0", cls.rack.rack_mtu)
        cls.lab.link(cls.far, "front", cls.rack.router, "far", cls.rack.mtu)
        balancer.ip("addr add 10.9.0.1/24 dev eth1", "addr add fd00:9::1/64 dev eth1")
        cls.far.ip("addr add 10.9.0.2/24 dev eth0", "addr add fd00:9::2/64 dev eth0",
                   "addr add 10.8.0.2/24 dev front", "addr add fd00:8::2/64 dev front",
                   "route add default via 10.8.0.1", "route add default via fd00:8::1")
        cls.rack.router.ip("addr add 10.8.0.1/24 dev far", "addr add fd00:8::1/64 dev far")
        near = cls.rack.backends[1]
        cls.far_vips = [rack.vip4(21), rack.vip6(21)]
        groups = {"near4": {"backends": [rack.backend4(1)]},
                  "near6": {"backends": [rack.backend6(1)]},
                  "far4": {"backends": ["10.9.0.2"]}, "far6": {"backends": ["fd00:9::2"]}}
        cls.start_sluice(
            rack.document(rack.services("four", VIPS[0], "ipip", "near4") +
                          rack.services("six", VIPS[1], "gre", "near6") +
                          rack.services("far-four", cls.far_vips[0], "gue", "far4") +
                          rack.services("far-six", cls.far_vips[1], "ipip", "far6"),
                          group_map=groups),
            VIPS + cls.far_vips, agents=[near, cls.far])

    def test_a_backend_behind_a_second_interface_is_served(self):
        for vip in self.far_vips:
            with self.rack.client.inside(), peers.connect(vip, peers.BULK_PORT) as sock:
                self.assertEqual(peers.bulk_round(sock, 10_000_000, 10_000_000), "far")

    def test_a_new_mac_address_of_a_backend_is_followed(self):
        near = self.rack.backends[1]
        talks = [peers.Conversation(self.rack.client, vip) for vip in VIPS]
        for talk in talks:
            wait_for(lambda talk=talk: talk.rounds() >= 2, "first rounds of a connection")
        near.ip("link set dev eth0 address 02:00:00:00:00:99")
        near.ip(f"route replace default via 10.0.0.1 dev eth0 mtu {self.rack.mtu}",
                f"route replace default via fd00:10::1 dev eth0 mtu {self.rack.mtu}")
        near.run("ping", "-c", "1", "-W", "3", rack.BALANCER4)  # Makes its new address known.
        near.run("ping", "-c", "1", "-W", "3", rack.BALANCER6)
        near.run("ping", "-c", "1", "-W", "3", "10.0.0.1")
        near.run("ping", "-c", "1", "-W", "3", "fd00:10::1")
        wait_for(self._macs_followed, "new MAC in both next hops")
        seen = [talk.rounds() for talk in talks]
        for talk, rounds in zip(talks, seen):
            wait_for(lambda talk=talk, rounds=rounds: talk.rounds() >= rounds + 2,
                     "rounds after the move", 15)
            self.assertIsNone(talk.finish()["error"])

    def _macs_followed(self) -> bool:
        macs = {row["next_mac"] for row in self.balancer.json("backend", "list")["backends"]
                if row["group"].startswith("near")}
        return macs == {"02:00:00:00:00:99"}

    def test_a_link_that_goes_and_comes_back_is_followed(self):
        def hop() -> set:
            return {row["next_hop"] for row in self.balancer.json("backend", "list")["backends"]
                    if row["group"].startswith("far")}
        self.far.ip("link set dev eth0 down")
        wait_for(lambda: "resolved" not in hop(), "far backends not resolved")
        before = self.balancer.reasons()["backend_unresolved"]
        with self.rack.client.inside(), self.assertRaises(TimeoutError):
            peers.connect(self.far_vips[0], peers.HTTP_PORT, seconds=0.3)
        self.assertGreater(self.balancer.reasons()["backend_unresolved"], before)
        self.far.ip("link set dev eth0 up", "addr replace fd00:9::2/64 dev eth0")
        wait_for(lambda: hop() == {"resolved"}, "far backends resolved again", 15)
        for vip in self.far_vips:
            with self.rack.client.inside():
                self.assertEqual(peers.http_get(vip), "far")


if __name__ == "__main__":
    case.main()
