#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two instances on one machine, and what is left when their daemons are gone."""

import generation_case
from lab import rack, town
from lab.api import Api, Gone
from lab.instance import Instance
from lab.node import wait_for

SOCKET = "/run/sluice/second.sock"
CONFLICT = 5  # Exit status.


class Instances(generation_case.GenerationCase):
    """`default` has eth0 and eth1 and carries the load; `second` has eth2."""

    @classmethod
    def build(cls) -> None:
        super().build()
        node = cls.town.balancer.node
        cls.lab.link(cls.lab.node("other"), "eth0", node, "eth2")
        node.ip("addr add 10.2.0.2/24 dev eth2")
        cls.second = Instance(node, "second")

    def start_second(self):
        """Its daemon, once it says that a configuration is in force."""
        node, file = self.balancer.node, rack.CONFIG.with_name("second.yaml")
        document = self.document(name="second")
        document["node"]["interfaces"] = ["eth2"]
        self.balancer.write_to(file, document)
        daemon = node.spawn("second", self.binaries.sluiced, "-f", file, "--state-dir",
                            "/run/sluice/second", "--socket", SOCKET)
        api = Api(node, SOCKET)

        def is_ready() -> bool:
            try:
                return api.ask("GET", "/readyz")[0] == 200
            except Gone:
                return False
        wait_for(is_ready, "second instance", 20)
        api.close()
        return daemon

    def listed(self) -> dict:
        return {row["node"]: (row["in_use"], sorted(row["interfaces"]))
                for row in self.balancer.json("instance", "list")["instances"]}

    def test_instances_come_and_go_beside_each_other(self):
        first = (True, ["eth0", "eth1"])
        with self.load() as client:
            pins, program = self.instance.pins(), self.instance.live_program()
            second = self.start_second()
            self.assertEqual(self.listed(), {"default": first, "second": (True, ["eth2"])})
            in_use = self.balancer.sluice("instance", "remove", "second", check=False)
            self.assertEqual(in_use.returncode, CONFLICT, in_use)
            second.kill()
            self.assertEqual(self.listed(), {"default": first, "second": (False, ["eth2"])})
            self.assertNotEqual(self.balancer.loaded_interface("eth2"), {})
            self.balancer.sluice("instance", "remove", "second")
            self.assertEqual(self.listed(), {"default": first})
            self.assertEqual(self.balancer.loaded_interface("eth2"), {})
            self.assertEqual(self.second.pins(), set())
            missing = self.balancer.sluice("instance", "remove", "second", check=False)
            self.assertEqual(missing.returncode, CONFLICT, missing)
            self.assertEqual((self.instance.pins(), self.instance.live_program()), (pins, program))
            self.judge(client.report(), "with the second instance gone")
        self.figures_of_load("two instances")

    def test_detach_removes_everything(self):
        refused = self.balancer.sluice("detach", check=False)
        self.assertEqual(refused.returncode, CONFLICT, refused)
        self.assertNotEqual(self.instance.links(), {})
        self.balancer.daemon.stop()
        self.api.close()
        self.balancer.sluice("detach")
        self.assertEqual(self.listed(), {})
        self.assertEqual(self.instance.pins(), set())
        self.assertEqual([self.balancer.loaded_interface(name) for name in ("eth0", "eth1")],
                         [{}, {}])
        self.assertEqual(town.who_answers(self.town.client_node, town.VIP4, seconds=0.3), "")
        self.start()
        self.balancer.wait_resolved()
        self.assertIn(town.who_answers(self.town.client_node, town.VIP4), ("b1", "b2", "b3"))


if __name__ == "__main__":
    generation_case.main()
