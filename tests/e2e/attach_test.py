#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How sluiced takes an interface, shares it, runs without root, and lets go."""

import json

import case
from lab import peers, rack, xdp
from lab.node import wait_for
from lab.rack import Agent, Balancer

VIPS = [rack.vip4(10), rack.vip6(10)]
BPFFS = "/sys/fs/bpf"
NOBODY = 65534
CAPABILITIES = "+bpf,+net_admin,+perfmon,+net_raw"


def _document(**node_settings) -> dict:
    return rack.document(rack.services("four", VIPS[0], "ipip", "web4") +
                         rack.services("six", VIPS[1], "ipip", "web6"), **node_settings)


class Attach(case.LabCase):
    """Agents and servers stay; each test starts a sluiced of its own and must leave nothing."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab)
        cls.agents = [Agent(node, cls.binaries, VIPS) for node in cls.rack.backends.values()]
        cls.rack.serve()
        for agent in cls.agents:
            agent.wait_attached()
        cls.balancer = Balancer(cls.rack.balancer, cls.binaries)

    def tearDown(self):
        if self.balancer.daemon is not None and self.balancer.daemon.poll() is None:
            self.balancer.daemon.stop()
        self.detach()
        self.assertEqual(self.pins(), [])
        self.assertEqual(self.balancer.loaded_interface(), {})

    def detach(self):
        return self.balancer.node.run(self.binaries.sluiced, "-f", rack.CONFIG, "--state-dir",
                                      rack.STATE, "--detach")

    def pins(self) -> list:
        found = self.balancer.node.run("find", BPFFS, "-mindepth", "1", "-type", "f", "!", "-name",
                                       "*.debug").stdout.split()
        return found

    def start(self, *options, **settings):
        self.balancer.write(_document(**settings))
        self.balancer.start(*options)
        self.balancer.wait_resolved()

    def check_requests(self) -> None:
        everybody = {"b1", "b2", "b3"}
        with self.rack.client.inside():
            for vip in VIPS:
                answered = peers.answerers(lambda vip=vip: peers.http_get(vip), everybody)
                self.assertEqual(answered, everybody)
                with peers.connect(vip, peers.BULK_PORT) as sock:
                    peers.bulk_round(sock, 2_000_000, 2_000_000)

    def test_detach_removes_programs_and_pins(self):
        self.start()
        self.check_requests()
        self.assertEqual(self.balancer.daemon.stop(), 0)
        self.assertNotEqual(self.balancer.loaded_interface(), {})
        self.assertNotEqual(self.pins(), [])
        self.check_requests()
        self.assertEqual(self.detach().returncode, 0)
        self.assertEqual(self.balancer.loaded_interface(), {})
        self.assertEqual(self.pins(), [])
        with self.rack.client.inside(), self.assertRaises(OSError):
            peers.http_get(VIPS[0], seconds=0.5)

    def test_what_was_tuned_is_as_before_once_nothing_is_attached(self):
        def strips_tags() -> bool:
            found = self.balancer.node.run("ethtool", "-k", "eth0").stdout
            return "rx-vlan-offload: on" in found

        def sluice(*words):
            return self.balancer.node.run(self.binaries.sluice, *words)

        tune = ("node", "tune", "-i", "eth0", "--state-dir", rack.STATE)
        self.assertTrue(strips_tags())
        for detach in (self.detach, lambda: sluice("detach", "--state-dir", rack.STATE)):
            sluice(*tune, "--apply")
            self.assertFalse(strips_tags())
            self.start()
            drops = self.balancer.json("node", "drops", "--interval", "0s")
            self.assertEqual([one["name"] for one in drops["interfaces"]], ["eth0"])
            self.assertEqual(len(drops["layers"]), 5)
            self.balancer.daemon.stop()
            detach()
            self.assertTrue(strips_tags())

    def test_a_foreign_program_is_named_and_left_alone(self):
        foreign = xdp.load_pass("somebody_else")
        with self.rack.balancer.inside():
            link = xdp.attach(foreign, "eth0")
        try:
            before = self.balancer.loaded_interface()
            self.balancer.write(_document())
            daemon = self.balancer.start(ready=False)
            self.assertNotEqual(daemon.wait(15), 0)
            self.assertIn("eth0", daemon.log())
            self.assertIn("somebody_else", daemon.log())
            self.assertEqual(self.balancer.loaded_interface(), before)
            self.assertEqual(self.pins(), [])
        finally:
            xdp.detach(link)

    def test_the_next_program_receives_what_goes_to_linux(self):
        following = xdp.CountingProgram("next_counts")
        self.rack.balancer.fork("pin", xdp.pin, following.fd, f"{BPFFS}/next").wait()
        self.addCleanup(self.rack.balancer.run, "rm", "-f", f"{BPFFS}/next")
        self.start(next=f"{BPFFS}/next")
        self.check_requests()
        seen = following.count()
        self.rack.client.run("ping", "-c", "5", "-i", "0.02", "-W", "2", rack.BALANCER4)
        self.assertGreaterEqual(following.count() - seen, 5)
        passed = following.count()
        self.check_requests()
        self.assertLess(following.count() - passed, 20, "forwarded packets went to `next`, too")
        self.balancer.daemon.stop()
        self.detach()
        self.rack.balancer.run("rm", f"{BPFFS}/next")

    def test_generic_mode_by_choice(self):
        self.start(xdp_mode="generic")
        self.assertEqual(self.balancer.json("status")["interfaces"][0]["xdp_mode"], "generic")
        self.assertEqual(self.balancer.loaded_interface()["mode"], 2)
        self.check_requests()

    def test_native_mode_is_what_auto_chooses_here(self):
        self.start(xdp_mode="auto")
        self.assertEqual(self.balancer.json("status")["interfaces"][0]["xdp_mode"], "native")
        self.assertEqual(self.balancer.loaded_interface()["mode"], 1)

    def test_an_ordinary_user_with_four_capabilities_suffices(self):
        setpriv = rack.tool("setpriv")
        paths = ("/run/sluice/state", f"{BPFFS}/sluice")
        self.rack.balancer.run("mkdir", "-p", *paths)
        self.addCleanup(self.rack.balancer.run, "rm", "-rf", *paths)
        self.rack.balancer.run("chown", "-R", NOBODY, "/run/sluice", *paths)
        self.addCleanup(self.rack.balancer.run, "chown", "-R", "0", "/run/sluice")
        self.balancer.write(_document())
        self.balancer.start(wrapper=(setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}",
                                     "--clear-groups", f"--inh-caps={CAPABILITIES}",
                                     f"--ambient-caps={CAPABILITIES}",
                                     f"--bounding-set=-all,{CAPABILITIES}", "--no-new-privs"))
        self.balancer.wait_resolved()
        with open(f"/proc/{self.balancer.daemon.pid}/status", encoding="ascii") as status:
            fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual(fields["Uid"].split()[0], str(NOBODY))
        self.assertEqual(int(fields["CapEff"], 16), 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39)
        self.check_requests()
        self.balancer.sluice("reload", "--wait")
        self.check_requests()

    def test_missing_privileges_are_named(self):
        setpriv = rack.tool("setpriv")
        self.balancer.write(_document())
        daemon = self.balancer.start(ready=False, wrapper=(
            setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"))
        self.assertNotEqual(daemon.wait(15), 0)
        self.assertIn("CAP_BPF", daemon.log())

    def test_a_second_daemon_of_the_same_instance_is_refused(self):
        self.start()
        first = self.balancer.daemon
        second = self.balancer.start(ready=False)
        self.balancer.daemon = first
        self.assertNotEqual(second.wait(15), 0)
        self.check_requests()

    def test_a_missing_interface_is_named(self):
        self.balancer.write(_document(interfaces=["eth7"]))
        daemon = self.balancer.start(ready=False)
        self.assertNotEqual(daemon.wait(15), 0)
        self.assertIn("eth7", daemon.log())


class Leaks(case.LabCase):
    """What a whole life of sluiced and an agent leaves in the kernel: nothing."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab, backends=1)
        cls.balancer = Balancer(cls.rack.balancer, cls.binaries)

    def kernel_objects(self, node, *processes) -> set:
        """Programs, maps and links that these processes hold or that are pinned on the node."""
        reader = node.fork("pins", xdp.print_ids_below, BPFFS)
        self.assertEqual(reader.wait(), 0, reader.log())
        found = {tuple(pair) for pair in json.loads(reader.log())}
        for process in processes:
            found |= xdp.ids_of(process.pid)
        return found

    def test_programs_maps_and_links_are_gone_after_detach(self):
        seen = set()
        document = rack.document(rack.services("four", VIPS[0], "ipip", "web4"),
                                 group_map={"web4": {"backends": [rack.backend4(1)]}})
        for _ in range(2):
            agent = Agent(self.rack.backends[1], self.binaries, VIPS[:1])
            agent.wait_attached()
            self.balancer.write(document)
            self.balancer.start()
            seen |= self.kernel_objects(self.rack.balancer, self.balancer.daemon)
            self.balancer.sluice("reload", "--wait")
            seen |= self.kernel_objects(self.rack.balancer, self.balancer.daemon)
            seen |= self.kernel_objects(self.rack.backends[1], agent.process)
            self.assertEqual(self.balancer.daemon.stop(), 0)
            self.rack.balancer.run(self.binaries.sluiced, "-f", rack.CONFIG, "--detach")
            self.assertEqual(agent.process.stop(), 0)
        for kind in ("prog", "map", "link"):
            self.assertGreater(len([1 for each, _ in seen if each == kind]), 2, seen)
        wait_for(lambda: not xdp.alive(seen), "end of all programs, maps and links of Sluice")


if __name__ == "__main__":
    case.main()
