#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Interfaces are part of a configuration: added, removed and attached again in an apply, and when one of
them fails nothing has happened to any.
"""

import generation_case
from lab import town, xdp
from lab.api import Refused
from lab.node import wait_for

XDP_NATIVE, XDP_GENERIC = 1, 2  # As ip(8) tells them.


class Interfaces(generation_case.GenerationCase):
    """eth0 carries clients and backends, eth1 numbered packets; eth2 leads to another machine."""

    @classmethod
    def build(cls) -> None:
        super().build()
        cls.other = cls.lab.node("other")
        cls.plug()

    @classmethod
    def plug(cls) -> None:
        node = cls.town.balancer.node
        cls.lab.link(cls.other, "eth0", node, "eth2")
        cls.other.ip("addr add 10.2.0.1/24 dev eth0", f"route add {town.VIP4} via 10.2.0.2")
        node.ip("addr add 10.2.0.2/24 dev eth2")
        node.sysctl(net_ipv4_conf_all_rp_filter=0, net_ipv4_conf_eth2_rp_filter=0)

    def setUp(self):
        self.configure(self.on("eth0", "eth1"))

    @classmethod
    def on(cls, *interfaces: str) -> dict:
        out = cls.document()
        out["node"]["interfaces"] = list(interfaces)
        return out

    def attached(self) -> dict:
        """Interface -> what the kernel says of its program."""
        return {name: self.balancer.loaded_interface(name) for name in ("eth0", "eth1", "eth2")}

    def forwarded_from_other(self) -> bool:
        """Whether packets that come by eth2 are balanced."""
        before = self.balancer.reasons()["forwarded"]
        # Answers go another way: only that it is forwarded can be seen.
        town.who_answers(self.other, town.VIP4, seconds=0.3)
        return self.balancer.reasons()["forwarded"] > before

    def test_an_interface_is_added_and_removed(self):
        with self.clients(talk=100, brief_per_s=0, silent=0, datagrams=0):
            for _ in range(5 if generation_case.LONG else 1):
                links = self.instance.links()
                self.configure(self.on("eth0", "eth1", "eth2"))
                self.assertEqual(set(self.instance.links()), {"eth0", "eth1", "eth2"})
                self.assertNotEqual(self.attached()["eth2"], {})
                self.configure(self.on("eth0", "eth1"))
                self.assertEqual(self.instance.links(), links)
                self.assertEqual(self.attached()["eth2"], {})

    def test_packets_of_an_added_interface_are_balanced(self):
        self.configure(self.on("eth0", "eth1", "eth2"))
        self.assertTrue(self.forwarded_from_other())
        with self.load():
            self.configure(self.on("eth0", "eth1"))
            self.configure(self.on("eth0", "eth1", "eth2"))
        self.assertTrue(self.forwarded_from_other())
        self.figures_of_load("interfaces added and removed")

    def test_an_interface_that_was_made_anew_is_attached_again(self):
        self.configure(self.on("eth0", "eth1", "eth2"))
        self.other.ip("link del dev eth0")
        self.plug()
        with self.load():
            self.configure(self.on("eth0", "eth1", "eth2"))
            wait_for(lambda: self.attached()["eth2"], "a program on the new eth2")
        wait_for(self.forwarded_from_other, "packets from the new eth2", 10)

    def test_another_mode_attaches_anew(self):
        generic = self.on("eth0", "eth1", "eth2")
        generic["node"]["xdp_mode"] = "generic"
        plan = self.post("plan", document=generic)
        self.assertIn("xdp_mode", {change["field"] for change in plan["changes"]})
        self.configure(generic)
        self.assertEqual({link["mode"] for link in self.attached().values()}, {XDP_GENERIC})
        self.assertTrue(self.forwarded_from_other())
        self.configure(self.on("eth0", "eth1", "eth2"))
        self.assertEqual({link["mode"] for link in self.attached().values()}, {XDP_NATIVE})
        self.assertTrue(self.forwarded_from_other())

    def refused_whole(self, *interfaces: str, names: str) -> None:
        """With numbered packets on eth1: a refused change must not take it away for a moment."""
        before = (self.attached(), self.instance.links(), self.instance.pins(), self.shown(),
                  self.instance.live_program())
        with self.load():
            with self.assertRaises(Refused) as refused:
                self.configure(self.on(*interfaces))
        self.assertIn(names, refused.exception.what)
        self.assertEqual((self.attached(), self.instance.links(), self.instance.pins(),
                          self.shown(), self.instance.live_program()), before)

    def test_an_interface_that_is_missing_undoes_the_whole(self):
        self.refused_whole("eth0", "eth1", "eth2", "eth7", names="eth7")
        self.refused_whole("eth0", "eth7", names="eth7")

    def test_an_interface_of_somebody_else_undoes_the_whole(self):
        with self.balancer.node.inside():
            link = xdp.attach(xdp.load_pass("somebody_else"), "eth2")
        self.addCleanup(xdp.detach, link)
        before = self.balancer.loaded_interface("eth2")
        self.refused_whole("eth0", "eth1", "eth2", names="eth2")
        self.refused_whole("eth0", "eth2", names="eth2")
        self.assertEqual(self.balancer.loaded_interface("eth2"), before)


if __name__ == "__main__":
    generation_case.main()
