#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluiced announces its VIPs to a router: while packets for them are handled, while somebody serves
them and the node wants traffic; and what becomes of that when it ends, in every way.

    balancer xdp0 ----------------------------------------- xdp0 router
             eth0 10.0.0.2, fd00:10::2 --- 10.0.0.1, fd00:10::1 eth0

The data plane is attached to xdp0, so that it can go while the sessions stay.
"""

import json
import signal
import socket

import case
from announce_case import (BALANCER4, BALANCER6, OWN_AS, ROUTER4, ROUTER6, ROUTER_AS,
                           VIP4, VIP6, AnnounceCase, bird_peer, frr_config, local_bird)
from lab import rack
from lab.node import wait_for
from lab.routers import Frr, RouteWatch, bgp_routes, pause, resume

PORT = 8080
SHUTDOWN = "(65535,0)"


class SluicedCase(AnnounceCase):
    """sluiced on the balancer, and what it announces."""

    def setUp(self):
        super().setUp()
        self.plug()
        self.sluiced = rack.Balancer(self.balancer, rack.Binaries())

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and getattr(self, "sluiced", None):
            print(self.sluiced.daemon and self.sluiced.daemon.log()[-6000:])

    def plug(self) -> None:
        self.lab.link(self.balancer, "xdp0", self.router, "xdp0")

    def document(self, vips=(VIP4, VIP6), group=None, announced=None, **announce) -> dict:
        services = [{"name": f"s{number}", "vip": vip, "protocol": "tcp", "port": PORT,
                     "forward": "gue", "group": "web"} for number, vip in enumerate(vips)]
        return {"version": 2,
                "node": {"interfaces": ["xdp0"], "xdp_mode": "native", "ring_secret": rack.SECRET,
                         "tunnel_source": {"ipv4": rack.TUNNEL4, "ipv6": rack.TUNNEL6}},
                "announce": {**(announced or self.way()), "drain": "2s", **announce},
                "groups": {"web": {"backends": [ROUTER4], **(group or {})}},
                "services": services}

    def way(self) -> dict:
        raise NotImplementedError

    def start(self, *options, **settings) -> None:
        self.sluiced.write(self.document(**settings))
        self.sluiced.start(*options)

    def reload(self, **settings) -> None:
        self.sluiced.write(self.document(**settings))
        self.sluiced.sluice("reload", "--wait")

    def end(self, how=signal.SIGTERM) -> None:
        self.sluiced.daemon.send(how)
        status = self.sluiced.daemon.wait(20)
        self.assertEqual(status, 0 if how == signal.SIGTERM else -how)

    def page(self) -> dict:
        return self.sluiced.json("announce", "list")

    def states(self) -> dict:
        return {row["vip"]: row["state"] for row in self.page()["announcements"]}

    def wait_states(self, **wanted) -> None:
        """wait_states(announced=[...], withdrawn=[...])"""
        rows = {vip.partition("/")[0]: state for state, vips in wanted.items() for vip in vips}
        try:
            wait_for(lambda: self.states() == rows, f"{rows}", 20)
        except Exception:
            print(json.dumps(self.page(), indent=1))
            raise

    def events(self, *names) -> list:
        return [line for line in self.sluiced.daemon.log().splitlines()
                if any(f"event={name} " in line for name in names)]


class ByBird(SluicedCase):
    """Through the balancer's own BIRD to the router's."""

    def setUp(self):
        super().setUp()
        self.far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4),
                                    bird_peer("lb6", ROUTER6, BALANCER6))
        self.bird = local_bird(self.balancer)

    def way(self) -> dict:
        return {"bird": {"socket": str(self.bird.socket), "include": str(self.bird.include)}}

    def far_says(self, what: str) -> bool:
        return what in self.far.say("show", "route", VIP4, "all")

    def withdraw(self) -> None:
        """As the service unit does after a daemon that was killed."""
        self.balancer.run(self.sluiced.binaries.sluiced, "--withdraw", "-f", rack.CONFIG,
                          "--state-dir", rack.STATE)

    def test_vips_are_announced_while_the_data_plane_is_attached(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        self.wait_states(announced=[VIP4, VIP6])
        self.assertEqual(self.sluiced.json("status")["node_state"]["state"], "ready")
        metrics = self.sluiced.sluice("metrics", "--match", "sluice_vip_announced").stdout
        self.assertIn(f'sluice_vip_announced{{vip="{VIP4[:-3]}"}} 1', metrics)
        self.balancer.ip("link delete xdp0")
        self.wait_routes()
        self.wait_states(withdrawn=[VIP4, VIP6])
        self.assertEqual({row["why"] for row in self.page()["announcements"]},
                         {"the data plane is attached to no interface"})
        self.plug()
        self.wait_routes(VIP4, VIP6)
        self.assertEqual(len(self.events("vip.announced")), 4)
        self.assertEqual(len(self.events("vip.withdrawn")), 2)
        self.assertEqual(len(self.events("announce.way_up")), 1)

    def test_a_changed_configuration_changes_announcements_alone(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        program = self.sluiced.loaded_interface("xdp0")
        watch = RouteWatch(self.router)
        self.addCleanup(watch.close)
        self.reload(vips=(VIP4, VIP6), on_daemon_exit="keep")
        self.assertEqual(self.sluiced.loaded_interface("xdp0"), program)
        self.reload(vips=(VIP4,), on_daemon_exit="keep")
        watch.wait(VIP6, added=False)
        self.wait_routes(VIP4)
        self.assertEqual(watch.seen_removed(VIP4), 0)
        self.end()
        self.assertEqual(set(bgp_routes(self.router)), {VIP4}, "it was told to keep them")

    def test_a_configuration_without_announcements_withdraws_all(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        document = self.document()
        del document["announce"]
        self.sluiced.write(document)
        self.sluiced.sluice("reload", "--wait")
        self.wait_routes()
        refused = self.sluiced.sluice("node", "drain", check=False)
        self.assertEqual(refused.returncode, 5)
        self.reload()
        self.wait_routes(VIP4, VIP6)

    def test_a_daemon_that_is_stopped_withdraws_unless_it_is_to_keep(self):
        for on_exit, left in (("withdraw", ()), ("keep", (VIP4, VIP6))):
            with self.subTest(on_exit):
                self.start(on_daemon_exit=on_exit)
                self.wait_routes(VIP4, VIP6)
                self.end()
                self.wait_routes(*left)
        watch = RouteWatch(self.router)
        self.addCleanup(watch.close)
        self.start(vips=(VIP4,), on_daemon_exit="keep")
        watch.wait(VIP6, added=False)
        self.wait_states(announced=[VIP4])
        self.assertEqual(watch.seen_removed(VIP4), 0, "taken over")

    def test_what_a_killed_daemon_left_is_withdrawn_unless_it_is_to_be_kept(self):
        for on_exit, left in (("withdraw", ()), ("keep", (VIP4, VIP6))):
            with self.subTest(on_exit):
                self.start(on_daemon_exit=on_exit)
                self.wait_routes(VIP4, VIP6)
                self.end(signal.SIGKILL)
                self.assertEqual(set(bgp_routes(self.router)), {VIP4, VIP6}, "nobody says no")
                self.withdraw()
                self.wait_routes(*left)

    def test_detaching_withdraws_whatever_was_to_be_kept(self):
        binaries = self.sluiced.binaries
        for command in ((binaries.sluiced, "--detach", "-f", rack.CONFIG),
                        (binaries.sluice, "detach")):
            with self.subTest(command[0].name):
                self.start(on_daemon_exit="keep")
                self.wait_routes(VIP4, VIP6)
                self.end()
                self.assertEqual(set(bgp_routes(self.router)), {VIP4, VIP6})
                self.balancer.run(*command, "--state-dir", rack.STATE)
                self.wait_routes()

    def test_a_node_is_drained_and_ready_again(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        self.sluiced.sluice("node", "drain")
        self.wait_states(draining=[VIP4, VIP6])
        wait_for(lambda: self.far_says(SHUTDOWN), "the graceful-shutdown community")
        self.wait_routes()
        self.wait_states(withdrawn=[VIP4, VIP6])
        self.assertIn("node drained since", self.sluiced.sluice("status", check=False).stdout)
        self.end()
        self.sluiced.start()
        self.assertEqual(self.states(), {"192.0.2.1": "withdrawn", "2001:db8:2::1": "withdrawn"})
        self.assertEqual(bgp_routes(self.router), {}, "a restart does not bring it back")
        self.sluiced.sluice("node", "ready", "--wait")
        self.wait_routes(VIP4, VIP6)
        wait_for(lambda: not self.far_says(SHUTDOWN), "no community")
        self.assertEqual(len(self.events("node.state")), 1)

    def test_waiting_for_a_drain_returns_when_all_is_withdrawn(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        self.sluiced.sluice("node", "drain", "--wait", "--for", "8s")
        self.assertEqual(set(self.states().values()), {"withdrawn"})
        self.wait_routes(VIP4, VIP6)
        self.assertEqual(self.sluiced.json("status")["node_state"]["state"], "ready")

    def test_a_vip_without_healthy_backends_is_withdrawn(self):
        server = self.router.fork("server", _listen, PORT)
        wait_for(lambda: "ready" in server.log(), "the server")
        check = {"type": "tcp", "via": "direct", "port": PORT, "interval": "200ms",
                 "timeout": "100ms", "rise": 1, "fall": 2}
        self.start(group={"health": {"checks": [check], "when_none": "withdraw"}})
        self.wait_routes(VIP4, VIP6)
        server.kill()
        self.wait_routes()
        self.assertIn("has no healthy backend", self.page()["announcements"][0]["why"])
        server = self.router.fork("server", _listen, PORT)
        self.wait_routes(VIP4, VIP6)

    def test_a_restarted_bird_announces_again(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        self.bird.process.kill()
        wait_for(lambda: not self.page()["ways"][0]["up"], "BIRD to be missed")
        self.assertEqual(self.sluiced.sluice("status", check=False).returncode, rack.DEGRADED)
        self.bird.start()
        self.wait_states(announced=[VIP4, VIP6])
        self.wait_routes(VIP4, VIP6)
        self.assertEqual(self.page()["ways"][0]["resets"], 1)
        self.assertEqual(len(self.events("announce.way_down")), 1)

    def test_a_hanging_bird_keeps_nothing_else_from_going_on(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        pause(self.bird.process)
        self.reload(vips=(VIP4, "192.0.2.2/32"))
        wait_for(lambda: self.states().get("192.0.2.2") == "failing", "a failing VIP", 20)
        self.assertEqual(self.sluiced.json("status")["generation"], 2)
        resume(self.bird.process)
        self.wait_states(announced=[VIP4, "192.0.2.2"])
        self.wait_routes(VIP4, "192.0.2.2/32")


class BySession(SluicedCase):
    """By sessions of sluiced's own to the router's FRR."""

    def setUp(self):
        super().setUp()
        self.frr = Frr(self.router, frr_config())
        self.frr.start()

    def way(self) -> dict:
        hops = {"ipv4": BALANCER4, "ipv6": BALANCER6}
        return {"bgp": {"as": OWN_AS, "peers": [
            {"address": address, "as": ROUTER_AS, "retry": "1s", "next_hop": hops}
            for address in (ROUTER4, ROUTER6)]}}

    def test_a_node_is_drained_and_ready_again(self):
        self.start()
        self.wait_states(announced=[VIP4, VIP6])
        self.wait_routes(VIP4, VIP6)
        self.sluiced.sluice("node", "drain")
        wait_for(lambda: "graceful-shutdown" in self.frr.say(
            f"show bgp ipv4 unicast {VIP4} json"), "the drain")
        self.wait_routes()
        self.sluiced.sluice("node", "ready")
        self.wait_routes(VIP4, VIP6)
        self.assertEqual([way["resets"] for way in self.page()["ways"]], [0, 0])

    def test_a_killed_daemon_withdraws_unless_it_is_to_keep(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        self.end(signal.SIGKILL)
        self.wait_routes()
        self.start(on_daemon_exit="keep")
        self.wait_routes(VIP4, VIP6)
        watch = RouteWatch(self.router)
        self.addCleanup(watch.close)
        self.end(signal.SIGKILL)
        self.start(vips=(VIP4, VIP6, "192.0.2.2/32"), on_daemon_exit="keep")
        watch.wait("192.0.2.2/32", added=True)
        self.assertEqual(watch.seen_removed(VIP4), 0)
        self.assertEqual(watch.seen_removed(VIP6), 0)

    def test_other_attributes_need_no_other_session(self):
        self.start()
        self.wait_routes(VIP4, VIP6)
        way = self.way()
        way["bgp"]["med"] = 77
        self.reload(announced=way)
        wait_for(lambda: '"metric":77' in self.frr.say(
            f"show bgp ipv4 unicast {VIP4} json").replace(" ", ""), "the attribute")
        self.assertEqual([way["resets"] for way in self.page()["ways"]], [0, 0])

    def test_a_session_that_the_router_clears_is_told_and_comes_back(self):
        self.start()
        self.wait_states(announced=[VIP4, VIP6])
        self.frr.say("clear bgp *")
        wait_for(lambda: all(way["resets"] == 1 and way["up"] for way in self.page()["ways"]),
                 "new sessions")
        self.wait_states(announced=[VIP4, VIP6])
        self.wait_routes(VIP4, VIP6)


class ByKernel(SluicedCase):
    """As addresses, and as blackhole routes, that another daemon redistributes."""

    def way(self) -> dict:
        return {"kernel": {}}

    def addresses(self) -> set:
        shown = self.balancer.json("ip", "-j", "address", "show", "dev", "lo")
        return {f"{row['local']}/{row['prefixlen']}" for row in shown[0]["addr_info"]}

    def blackholes(self) -> set:
        return {line.split()[1] for family in ("-4", "-6")
                for line in self.balancer.run("ip", family, "route", "show", "table", "77",
                                              check=False).stdout.splitlines()
                if line.startswith("blackhole")}

    def test_addresses_come_and_go(self):
        self.start()
        wait_for(lambda: {VIP4, VIP6} <= self.addresses(), "addresses")
        self.wait_states(announced=[VIP4, VIP6])
        self.end()
        self.assertFalse({VIP4, VIP6} & self.addresses())

    def test_what_a_killed_daemon_left_is_withdrawn(self):
        self.start()
        wait_for(lambda: {VIP4, VIP6} <= self.addresses(), "addresses")
        self.end(signal.SIGKILL)
        self.balancer.run(self.sluiced.binaries.sluiced, "--withdraw", "-f", rack.CONFIG,
                          "--state-dir", rack.STATE)
        self.assertFalse({VIP4, VIP6} & self.addresses())

    def test_neighbours_are_told_of_addresses_on_their_link(self):
        for vip in (VIP4, VIP6):
            self.router.ip(f"neigh replace {vip.partition('/')[0]} dev eth0 nud stale "
                           "lladdr 02:00:00:00:00:01")
        mac = self.balancer.json("ip", "-j", "link", "show", "dev", "eth0")[0]["address"]
        self.start(announced={"kernel": {"interface": "eth0"}})
        wait_for(lambda: self.neighbours() == {VIP4[:-3]: mac, VIP6[:-4]: mac}, "neighbours", 20)

    def neighbours(self) -> dict:
        """Of the router: where it would send packets for the VIPs."""
        rows = [row for family in ("-4", "-6")
                for row in self.router.json("ip", family, "-j", "neigh", "show", "dev", "eth0")]
        return {row["dst"]: row.get("lladdr") for row in rows
                if row["dst"] in (VIP4[:-3], VIP6[:-4])}

    def test_what_was_kept_ends_with_its_way(self):
        """A daemon that comes back by another way, or by none, leaves nothing of the one before."""
        for announced in ({"kernel": {"table": 77}}, None):
            with self.subTest(announced):
                self.start(on_daemon_exit="keep")
                wait_for(lambda: {VIP4, VIP6} <= self.addresses(), "addresses")
                self.end()
                self.assertLessEqual({VIP4, VIP6}, self.addresses())
                document = self.document(announced=announced)
                if announced is None:
                    del document["announce"]
                self.sluiced.write(document)
                self.sluiced.start()
                self.assertFalse({VIP4, VIP6} & self.addresses())
                self.end()

    def test_another_way_in_the_kernel_takes_over(self):
        self.start()
        wait_for(lambda: {VIP4, VIP6} <= self.addresses(), "addresses")
        self.reload(announced={"kernel": {"table": 77}})
        wait_for(lambda: self.blackholes() == {VIP4[:-3], VIP6[:-4]}, "routes")
        self.assertFalse({VIP4, VIP6} & self.addresses())


def _listen(port: int) -> None:
    """Takes connections and ends them."""
    listener = socket.create_server(("", port))
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.close()


if __name__ == "__main__":
    case.main()
