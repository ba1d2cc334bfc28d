#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""VIPs announced by BGP sessions of our own, to a router's BIRD 2 and FRR, and what goes wrong on
the way."""

import socket

import case
from announce_case import (BALANCER4, BALANCER6, LONG_AS, OTHER4, OWN_AS, ROUTER4, ROUTER6,
                           ROUTER_AS, ROUTER_BIRD, VIP4, VIP6, AnnounceCase, bgp, bird_peer,
                           frr_config, peer)
from lab.node import wait_for
from lab.routers import Frr, RouteWatch, bgp_routes, pause

PASSWORD = "correct horse"


class SessionTest(AnnounceCase):
    """Sessions of our own, to the router's BIRD."""

    def test_an_external_session_says_all_attributes(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4))
        announcer = self.announcer(bgp(peer(), bgp={
            "communities": ["65001:7", "65001:1:2"], "med": 10, "prepend": 2}))
        announcer.want(announce=[VIP4, "198.51.100.0/24", VIP6], withdraw=[OTHER4])
        self.wait_routes(VIP4, "198.51.100.0/24", VIP6)
        self.assertEqual(bgp_routes(self.router),
                         {VIP4: [BALANCER4], "198.51.100.0/24": [BALANCER4], VIP6: [BALANCER6]})
        for vip in (VIP4, VIP6):
            said = far.say("show", "route", vip, "all")
            for line in ("BGP.origin: IGP", f"BGP.as_path: {OWN_AS} {OWN_AS} {OWN_AS}",
                         "BGP.med: 10", "BGP.community: (65001,7)",
                         "BGP.large_community: (65001, 1, 2)"):
                self.assertIn(line, said)
        announcer.want(drain=[VIP4], announce=[VIP6])
        wait_for(lambda: "(65535,0) (65001,7)" in far.say("show", "route", VIP4, "all") or
                 "(65001,7) (65535,0)" in far.say("show", "route", VIP4, "all"), "the drain")
        self.wait_routes(VIP4, VIP6)
        announcer.wait_state("draining", VIP4)
        self.assertEqual(announcer.end(), 0)
        self.wait_routes()
        self.assertIn("Administrative shutdown", far.log())

    def test_an_internal_session_has_an_empty_path_and_a_preference(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4, ROUTER_AS, ROUTER_AS))
        announcer = self.announcer(bgp(peer(), own_as=ROUTER_AS,
                                       bgp={"local_preference": 150, "prepend": 3}))
        announcer.want(announce=[VIP4, VIP6])
        self.wait_routes(VIP4, VIP6)
        for vip in (VIP4, VIP6):
            said = far.say("show", "route", vip, "all")
            self.assertIn("BGP.local_pref: 150", said)
            self.assertRegex(said, r"BGP\.as_path: *\n")
        announcer.want(drain=[VIP4], announce=[VIP6])
        wait_for(lambda: "BGP.local_pref: 0" in far.say("show", "route", VIP4, "all"), "the drain")

    def test_a_session_over_ipv6(self):
        self.router_bird(bird_peer("lb6", ROUTER6, BALANCER6))
        announcer = self.announcer(bgp(peer(ROUTER6)))
        announcer.want(announce=[VIP4, VIP6])
        self.wait_routes(VIP4, VIP6)
        announcer.wait_state("announced", VIP4, VIP6)

    def test_a_long_as_number_and_a_peer_that_knows_only_short_ones(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4, ROUTER_AS, LONG_AS),
                               bird_peer("lb6", ROUTER6, BALANCER6, ROUTER_AS, OWN_AS,
                                         "enable as4 off;"))
        announcer = self.announcer(bgp(peer(), own_as=LONG_AS))
        announcer.want(announce=[VIP4])
        self.wait_routes(VIP4)
        self.assertIn(f"BGP.as_path: {LONG_AS}", far.say("show", "route", VIP4, "all"))
        announcer.order(configure=bgp(peer(ROUTER6)))
        announcer.wait_state("announced", VIP4)
        wait_for(lambda: f"BGP.as_path: {OWN_AS}" in far.say("show", "route", "all"),
                 "a path of two octets")
        self.wait_routes(VIP4)

    def test_only_the_right_password_gets_a_session(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4,
                                         more=f'password "{PASSWORD}";'))
        password = self.balancer.lab_path("password")
        password.write_text("something else\n")
        announcer = self.announcer(bgp(peer(password_file=str(password))))
        announcer.want(announce=[VIP4])
        announcer.wait_way(f"bgp {ROUTER4}", lambda way: "this password" in way["last_error"],
                           "without the password")
        announcer.wait_state("failing", VIP4)
        self.assertEqual(bgp_routes(self.router), {})
        password.write_text(PASSWORD + "\n")
        announcer.wait_state("announced", VIP4)
        self.wait_routes(VIP4)
        self.assertIn("Established", far.say("show", "protocols"))

    def test_why_the_router_refuses_us_stays_visible(self):
        """BIRD only resets connections for a while after it has said why."""
        self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4, ROUTER_AS, 65099))
        announcer = self.announcer(bgp(peer()))
        announcer.want(announce=[VIP4])
        announcer.wait_way(f"bgp {ROUTER4}", lambda way: "before" in way["last_error"] and
                           "2/2 OPEN message error: bad peer AS" in way["last_error"],
                           "refused, and then reset")

    def test_gtsm_on_both_sides(self):
        self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4, more="ttl security on;"),
                         bird_peer("lb6", ROUTER6, BALANCER6, more="ttl security on;"))
        announcer = self.announcer(bgp(peer(ttl_security=True), peer(ROUTER6, ttl_security=True)))
        announcer.want(announce=[VIP4])
        announcer.wait_state("announced", VIP4)
        self.wait_routes(VIP4)

    def test_who_is_not_one_hop_away_gets_no_session_with_gtsm(self):
        with self.router.inside():
            listener = socket.create_server((ROUTER4, 179))
        self.addCleanup(listener.close)
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 254)
        announcer = self.announcer(bgp(peer(ttl_security=True)))
        announcer.want(announce=[VIP4])
        announcer.wait_way(f"bgp {ROUTER4}", lambda way: "no answer" in way["last_error"],
                           "ignored")

    def test_a_session_that_the_router_resets_comes_back(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4))
        announcer = self.announcer(bgp(peer()))
        announcer.want(announce=[VIP4])
        self.wait_routes(VIP4)
        way = f"bgp {ROUTER4}"
        far.say("disable", "lb4", '"maintenance"')
        self.wait_routes()
        announcer.wait_way(way, lambda it: not it["is_up"] and it["last_error"], "down")
        self.assertIn("6/2 cease: administrative shutdown", announcer.report()["ways"][way]["last_error"])
        announcer.wait_state("failing", VIP4)
        announcer.want(announce=[VIP4, OTHER4])
        far.say("enable", "lb4")
        self.wait_routes(VIP4, OTHER4)
        announcer.wait_state("announced", VIP4, OTHER4)
        self.assertGreaterEqual(announcer.report()["ways"][way]["resets"], 1)

    def test_a_router_that_is_killed_or_hangs_is_found_and_served_again(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4))
        announcer = self.announcer(bgp(peer(hold_time=3)))
        announcer.want(announce=[VIP4])
        announcer.wait_state("announced", VIP4)
        pause(far.process)
        announcer.wait_way(f"bgp {ROUTER4}", lambda it: "4/0" in it["last_error"], "hanging")
        far.process.kill()
        far.start()
        announcer.wait_state("announced", VIP4)
        self.wait_routes(VIP4)

    def test_routes_asked_for_again_are_said_again(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4))
        announcer = self.announcer(bgp(peer()))
        announcer.want(announce=[VIP4])
        self.wait_routes(VIP4)
        before = far.say("show", "protocols", "all", "lb4")
        far.say("reload", "in", "lb4")
        wait_for(lambda: far.say("show", "protocols", "all", "lb4") != before, "a refresh")
        self.wait_routes(VIP4)

    def test_a_killed_speaker_withdraws_unless_it_was_to_keep(self):
        self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4))
        for on_exit, stays in (("withdraw", False), ("keep", True)):
            with self.subTest(on_exit):
                announcer = self.announcer({**bgp(peer()), "on_daemon_exit": on_exit})
                announcer.want(announce=[VIP4, VIP6])
                self.wait_routes(VIP4, VIP6)
                watch = RouteWatch(self.router)
                self.addCleanup(watch.close)
                announcer.process.kill()
                if not stays:
                    watch.wait(VIP4, added=False)
                    continue
                following = self.announcer({**bgp(peer()), "on_daemon_exit": on_exit})
                following.want(announce=[VIP6])
                following.wait_state("announced", VIP6)
                watch.wait(VIP4, added=False)  # With the end of what it says, and not before.
                self.assertEqual(set(bgp_routes(self.router)), {VIP6})
                self.assertEqual(watch.seen_removed(VIP6), 0)

    def test_peers_come_and_go_with_the_configuration(self):
        self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4),
                         bird_peer("lb6", ROUTER6, BALANCER6))
        announcer = self.announcer(bgp(peer()))
        announcer.want(announce=[VIP4])
        announcer.wait_state("announced", VIP4)
        announcer.order(configure=bgp(peer(), peer(ROUTER6)))
        announcer.wait_way(f"bgp {ROUTER6}", lambda it: it["is_up"], "up")
        announcer.wait_state("announced", VIP4)
        self.assertEqual(announcer.report()["ways"][f"bgp {ROUTER4}"]["resets"], 0)
        announcer.order(configure=bgp(peer(ROUTER6)))
        wait_for(lambda: set(announcer.report()["ways"]) == {f"bgp {ROUTER6}"}, "one peer less")
        self.wait_routes(VIP4)
        announcer.order(configure={})
        self.wait_routes()
        announcer.wait_state("failing", VIP4)

    def test_many_prefixes_and_a_new_session(self):
        far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4))
        announcer = self.announcer(bgp(peer()))
        many = [f"198.18.{i // 250}.{i % 250}/32" for i in range(3000)] + \
            [f"2001:db8:3::{i:x}/128" for i in range(1, 1000)]
        announcer.want(announce=many)
        announcer.wait_state("announced", *many)
        self.wait_routes(*many)
        far.say("restart", "lb4")
        self.wait_routes(*many)


class FrrTest(AnnounceCase):
    """Sessions of our own to FRR."""

    def test_external_and_internal_sessions_with_password_and_gtsm(self):
        for own_as in (OWN_AS, ROUTER_AS):
            with self.subTest(own_as):
                more = [f"password {PASSWORD.replace(' ', '_')}"]
                if own_as != ROUTER_AS:
                    more.append("ttl-security hops 1")
                frr = Frr(self.router, frr_config(remote_as=own_as, more=more))
                frr.start()
                password = self.balancer.lab_path("password")
                password.write_text(PASSWORD.replace(" ", "_"))
                safety = {"password_file": str(password), "ttl_security": own_as != ROUTER_AS}
                announcer = self.announcer(bgp(peer(**safety), peer(ROUTER6, **safety),
                                               own_as=own_as, bgp={"communities": ["65001:7"]}))
                announcer.want(announce=[VIP4, VIP6])
                announcer.wait_state("announced", VIP4, VIP6)
                self.wait_routes(VIP4, VIP6)
                announcer.want(drain=[VIP4], announce=[VIP6])
                wait_for(lambda: "graceful-shutdown" in frr.say(
                    f"show bgp ipv4 unicast {VIP4} json"), "the drain")
                self.assertEqual(announcer.end(), 0)
                self.wait_routes()
                frr.stop()

    def test_a_session_that_the_router_clears_comes_back(self):
        frr = Frr(self.router, frr_config())
        frr.start()
        announcer = self.announcer(bgp(peer(), peer(ROUTER6)))
        announcer.want(announce=[VIP4, VIP6])
        self.wait_routes(VIP4, VIP6)
        announcer.wait_state("announced", VIP4, VIP6)
        frr.say("clear bgp *")
        announcer.wait_way(f"bgp {ROUTER4}", lambda it: it["resets"] >= 1, "reset")
        announcer.wait_state("announced", VIP4, VIP6)
        self.wait_routes(VIP4, VIP6)

    def test_keep_survives_a_killed_speaker(self):
        Frr(self.router, frr_config()).start()
        keep = {**bgp(peer()), "on_daemon_exit": "keep"}
        announcer = self.announcer(keep)
        announcer.want(announce=[VIP4])
        self.wait_routes(VIP4)
        watch = RouteWatch(self.router)
        self.addCleanup(watch.close)
        announcer.process.kill()
        following = self.announcer(keep)
        following.want(announce=[VIP4, OTHER4])
        watch.wait(OTHER4, added=True)
        self.assertEqual(watch.seen_removed(VIP4), 0)

if __name__ == "__main__":
    case.main()
