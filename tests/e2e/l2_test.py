#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two balancers on one link, of which one has the VIPs: real keepalived decides, by VRRPv3.

      client --- router --- switch ---+--- lb1 10.0.0.2, lb2 10.0.0.3    sluiced, keepalived
                                      +--- b1, b2                        agents, servers
"""

import pathlib
import signal
import time

import case
from lab import peers, rack
from lab.node import wait_for
from lab.rack import Agent, Balancer

VIPS = {"10.0.0.100": "ipip", "fd00:10::100": "ipip"}
ADDRESSES = {1: ("10.0.0.2", "fd00:10::2"), 2: ("10.0.0.3", "fd00:10::3")}
SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging/keepalived/sluice-vrrp"
EXAMPLE = SCRIPT.with_name("keepalived.conf")


class Keepalived:
    """One on a node, with the example's configuration for the laboratory's addresses."""

    def __init__(self, balancer: Balancer, priority: int):
        self.balancer = balancer
        self.node = balancer.node
        self.process = None
        text = EXAMPLE.read_text()
        for before, after in (("/usr/libexec/sluice/sluice-vrrp", str(SCRIPT)),
                              ("    enable_script_security\n", ""), ("192.0.2.10/32", "10.0.0.100/32"),
                              ("2001:db8::10/128", "fd00:10::100/128"), ("fall 5", "fall 3"),
                              ("priority 100", f"priority {priority}")):
            assert before in text, before
            text = text.replace(before, after)
        self.text = text

    def start(self) -> None:
        config = self.node.lab_path("keepalived.conf")
        self.balancer.write_to(config, self.text)
        paths = [self.node.lab_path(f"{name}.pid") for name in ("main", "vrrp")]
        self.process = self.node.spawn(
            "keepalived", rack.tool("keepalived"), "--dont-fork", "--log-console", "--log-detail",
            "--vrrp", "--use-file", config, "--pid", paths[0], "--vrrp_pid", paths[1],
            env={"SLUICE": str(self.balancer.binaries.sluice)})

    def stop(self) -> None:
        """It says goodbye."""
        self.process.send(signal.SIGTERM)
        self.process.wait(10)

    def has_vips(self) -> bool:
        shown = self.node.run("ip", "address", "show", "dev", "eth0").stdout
        return all(f" {vip}/" in shown for vip in VIPS)

    def has_none(self) -> bool:
        shown = self.node.run("ip", "address", "show", "dev", "eth0").stdout
        return not any(f" {vip}/" in shown for vip in VIPS)


class OnOneLink(case.LabCase):
    """Priorities 100 and 90; who comes back waits."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab, backends=2, balancer=False)
        cls.agents = [Agent(node, cls.binaries, list(VIPS)) for node in cls.rack.backends.values()]
        cls.rack.serve()
        cls.balancers = {number: Balancer(cls.rack.add_server(f"lb{number}", *addresses),
                                          cls.binaries)
                         for number, addresses in ADDRESSES.items()}
        services = []
        for number, (vip, forward) in enumerate(VIPS.items()):
            services += rack.services(f"v{number}", vip, forward, "web4")
        for balancer in cls.balancers.values():
            balancer.write(rack.document(services, group_map=rack.groups(2)))
            balancer.start()
        cls.balancer = cls.balancers[1]
        for agent in cls.agents:
            agent.wait_attached()
        for balancer in cls.balancers.values():
            balancer.wait_resolved()
        cls.vrrp = {1: Keepalived(cls.balancers[1], 100), 2: Keepalived(cls.balancers[2], 90)}

    def setUp(self):
        """The first has the VIPs, and the second is there."""
        for number in (1, 2):
            self.vrrp[number].start()
            wait_for(lambda: self.vrrp[1].has_vips() and self.vrrp[2].has_none(), "the first", 20)
        self.addCleanup(self.stop)

    def stop(self) -> None:
        for each in self.vrrp.values():
            if each.process.poll() is None:
                each.stop()

    def ask(self) -> None:
        with self.rack.client.inside():
            for vip in VIPS:
                self.assertIn(peers.http_get(vip), ("b1", "b2"))

    def forwarded(self, number: int) -> int:
        return self.balancers[number].reasons()["forwarded"]

    def neighbour(self, vip: str) -> str:
        return self.rack.router.run("ip", "neigh", "show", vip, "dev", "rack").stdout

    def assert_active(self, number: int) -> None:
        """Traffic takes this one, and the router knows it."""
        before = {each: self.forwarded(each) for each in self.balancers}
        self.ask()
        self.assertGreater(self.forwarded(number), before[number])
        other = 3 - number
        self.assertEqual(self.forwarded(other), before[other])
        mac = self.balancers[number].node.mac("eth0")
        for vip in VIPS:
            self.assertIn(mac, self.neighbour(vip))

    def switch_over(self, how) -> dict:
        """Long connections through both VIPs, while `how` makes the second one active."""
        self.assert_active(1)
        talks = [peers.Conversation(self.rack.client, vip) for vip in VIPS]
        wait_for(lambda: all(talk.rounds() > 3 for talk in talks), "conversations")
        began = time.monotonic()
        how()
        wait_for(lambda: self.vrrp[2].has_vips(), "the second", 20)
        moved = time.monotonic() - began
        so_far = [talk.rounds() for talk in talks]
        wait_for(lambda: all(talk.rounds() > before + 3 for talk, before in zip(talks, so_far)),
                 "conversations through the second", 20)
        reports = [talk.finish() for talk in talks]
        for report in reports:
            self.assertIsNone(report["error"])
        self.assert_active(2)
        return {"moved_after_s": round(moved, 2),
                "longest_round_s": round(max(report["longest_s"] for report in reports), 2)}

    def test_who_is_stopped_hands_over(self):
        print(self.id(), self.switch_over(self.vrrp[1].stop))
        # Who comes back waits.
        self.vrrp[1].start()
        with self.rack.client.inside():
            peers.http_get("10.0.0.100")
        wait_for(lambda: "Entering BACKUP STATE" in self.vrrp[1].process.log(), "a standby", 10)
        self.assertTrue(self.vrrp[1].has_none())
        self.assert_active(2)

    def test_who_dies_is_replaced(self):
        def die():
            self.rack.switch.ip("link set dev p-lb1 down")
            self.addCleanup(self.rack.switch.ip, "link set dev p-lb1 up")
        print(self.id(), self.switch_over(die))

    def test_who_has_lost_sluiced_is_replaced_and_a_restart_moves_nothing(self):
        def lose():
            self.balancers[1].daemon.send(signal.SIGKILL)
            self.balancers[1].daemon.wait()
        lose()
        self.balancers[1].start()
        self.assert_active(1)
        self.addCleanup(self.balancers[1].start)
        lose()
        wait_for(lambda: self.vrrp[2].has_vips() and self.vrrp[1].has_none(), "the second", 20)
        self.ask()


if __name__ == "__main__":
    case.main()
