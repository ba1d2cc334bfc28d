#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""VIPs announced through the balancer's BIRD to a router's, and what goes wrong on the way."""

import case
from announce_case import (BALANCER4, BALANCER6, LOCAL_BIRD, OTHER4, ROUTER4, ROUTER6, VIP4, VIP6,
                           AnnounceCase, bird_peer, by_bird, local_bird)
from lab.node import wait_for
from lab.routers import RouteWatch, bgp_routes, pause, resume


class BirdTest(AnnounceCase):
    """Through the balancer's own BIRD."""

    def setUp(self):
        super().setUp()
        self.far = self.router_bird(bird_peer("lb4", ROUTER4, BALANCER4),
                                    bird_peer("lb6", ROUTER6, BALANCER6))
        self.bird = local_bird(self.balancer)

    def test_prefixes_come_drain_and_go(self):
        announcer = self.announcer(by_bird(self.bird))
        announcer.want(announce=[VIP4, VIP6], withdraw=[OTHER4])
        announcer.wait_state("announced", VIP4, VIP6)
        announcer.wait_state("withdrawn", OTHER4)
        self.wait_routes(VIP4, VIP6)
        announcer.want(announce=[VIP6, OTHER4], drain=[VIP4])
        announcer.wait_state("draining", VIP4)
        announcer.wait_state("announced", VIP6, OTHER4)
        self.wait_routes(VIP4, VIP6, OTHER4)
        wait_for(lambda: "(65535,0)" in self.far.say("show", "route", VIP4, "all"),
                 "the graceful-shutdown community")
        self.assertNotIn("(65535,0)", self.far.say("show", "route", OTHER4, "all"))
        announcer.want(withdraw=[VIP4], announce=[OTHER4])
        announcer.wait_state("withdrawn", VIP4)
        self.wait_routes(OTHER4)
        self.assertEqual(announcer.end(), 0)
        self.wait_routes()

    def test_keep_leaves_everything_and_the_next_daemon_takes_it_over(self):
        first = self.announcer({**by_bird(self.bird), "on_daemon_exit": "keep"})
        first.want(announce=[VIP4, VIP6])
        first.wait_state("announced", VIP4, VIP6)
        self.wait_routes(VIP4, VIP6)
        self.assertEqual(first.end(), 0)
        watch = RouteWatch(self.router)
        self.addCleanup(watch.close)
        second = self.announcer(by_bird(self.bird))
        second.want(announce=[VIP4])
        second.wait_state("announced", VIP4)
        watch.wait(VIP6, added=False)
        self.assertEqual(bgp_routes(self.router).keys(), {VIP4})

    def test_what_a_killed_daemon_left_is_removed_by_an_empty_wish(self):
        killed = self.announcer(by_bird(self.bird))
        killed.want(announce=[VIP4])
        killed.wait_state("announced", VIP4)
        self.wait_routes(VIP4)
        killed.process.kill()
        sweeper = self.announcer(by_bird(self.bird))
        sweeper.want()
        self.assertEqual(sweeper.end(), 0)
        self.wait_routes()

    def test_a_restarted_bird_announces_again(self):
        announcer = self.announcer(by_bird(self.bird))
        announcer.want(announce=[VIP4, VIP6])
        self.wait_routes(VIP4, VIP6)
        announcer.wait_state("announced", VIP4, VIP6)
        self.bird.process.kill()
        announcer.wait_way("bird", lambda way: not way["is_up"], "down")
        announcer.want(announce=[VIP4, OTHER4])
        self.bird.start()
        announcer.wait_state("announced", VIP4, OTHER4)
        self.wait_routes(VIP4, OTHER4)

    def test_a_hanging_bird_is_reported_and_gets_it_all_afterwards(self):
        announcer = self.announcer(by_bird(self.bird))
        announcer.want(announce=[VIP4])
        announcer.wait_state("announced", VIP4)
        pause(self.bird.process)
        announcer.want(announce=[OTHER4])
        announcer.wait_way("bird", lambda way: not way["is_up"] and
                           "does not answer" in way["last_error"], "hanging")
        announcer.wait_state("failing", OTHER4)
        resume(self.bird.process)
        announcer.wait_state("announced", OTHER4)
        self.wait_routes(OTHER4)

    def test_a_broken_bird_conf_is_reported_and_cannot_keep_a_prefix(self):
        announcer = self.announcer(by_bird(self.bird))
        announcer.want(announce=[VIP4, VIP6])
        announcer.wait_state("announced", VIP4, VIP6)
        self.wait_routes(VIP4, VIP6)
        whole = self.bird.config.read_text()
        self.bird.config.write_text(whole + "protocol nonsense {\n")
        announcer.want(announce=[VIP4, OTHER4])
        announcer.wait_state("failing", OTHER4)
        self.wait_routes(VIP4)
        report = announcer.report()
        self.assertRegex(report["prefixes"][OTHER4]["why"], r"8002 .*bird\.conf:\d+:\d+ ")
        self.assertEqual(report["prefixes"][VIP4]["state"], "announced")
        self.bird.config.write_text(whole)
        announcer.wait_state("announced", OTHER4)
        self.wait_routes(VIP4, OTHER4)

    def test_a_bird_conf_without_our_file_is_found(self):
        self.bird.write(LOCAL_BIRD.replace('include "sluice.conf";', ""))
        self.bird.say("configure")
        announcer = self.announcer(by_bird(self.bird))
        announcer.want(announce=[VIP4])
        announcer.wait_state("failing", VIP4)
        self.assertIn("does bird.conf include", announcer.report()["prefixes"][VIP4]["why"])

    def test_what_somebody_disables_is_enabled_again(self):
        announcer = self.announcer(by_bird(self.bird))
        announcer.want(announce=[VIP4])
        announcer.wait_state("announced", VIP4)
        self.wait_routes(VIP4)
        self.bird.say("disable", '"sluice4_*"')
        self.wait_routes()
        self.wait_routes(VIP4)

    def test_many_prefixes_at_once(self):
        announcer = self.announcer(by_bird(self.bird))
        many = [f"198.18.{i // 250}.{i % 250}/32" for i in range(1000)]
        announcer.want(announce=many)
        announcer.wait_state("announced", *many)
        self.wait_routes(*many)
        announcer.want(announce=many[:10], withdraw=many[10:])
        announcer.wait_state("withdrawn", *many[10:])
        self.wait_routes(*many[:10])

if __name__ == "__main__":
    case.main()
