#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Time from the wish to announce or withdraw a VIP until the router's kernel has its route or has
it no more: through the balancer's BIRD, and by sessions of our own to BIRD and to FRR.

usage: bench/announce.py [ROUNDS]
"""

import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/e2e"))

import announce_case as town  # noqa: E402
from lab import isolation  # noqa: E402
from lab.node import Lab, wait_for  # noqa: E402
from lab.routers import Announcer, Frr, RouteWatch, bgp_routes  # noqa: E402

MANY = [f"198.19.{i // 250}.{i % 250}/32" for i in range(1000)]


def measure(name: str, announcer: Announcer, router, rounds: int, new: bool, others=()) -> None:
    announcer.want(announce=others, withdraw=[town.VIP4])
    wait_for(lambda: len(bgp_routes(router)) == len(others), "the other routes", 60)
    announcer.wait_state("announced", *others)
    watch = RouteWatch(router)
    taken = {"announce": [], "withdraw": []}
    for number in range(rounds):
        prefix = f"198.18.{number // 250}.{number % 250}/32" if new else town.VIP4
        for wish, times in taken.items():
            begun = time.monotonic()
            announcer.order(change={prefix: wish})
            times.append((watch.wait(prefix, added=wish == "announce") - begun) * 1000)
            announcer.wait_state("announced" if wish == "announce" else "withdrawn", prefix)
    watch.close()
    for wish, times in taken.items():
        print(f"{name:44} {wish:9} median {statistics.median(times):6.2f} ms  least "
              f"{min(times):6.2f}  most {max(times):6.2f}  of {len(times)}", flush=True)


def through_bird(rounds: int) -> None:
    lab = Lab()
    balancer, router = town.build(lab)
    town.router_bird(router, town.bird_peer("lb4", town.ROUTER4, town.BALANCER4),
                     town.bird_peer("lb6", town.ROUTER6, town.BALANCER6))
    announcer = Announcer(balancer, town.by_bird(town.local_bird(balancer)))
    announcer.want(announce=[town.VIP4])
    wait_for(lambda: bgp_routes(router), "a session between the routers", 60)
    measure("through BIRD, a prefix that it knows", announcer, router, rounds, new=False)
    measure("through BIRD, a new prefix", announcer, router, rounds, new=True)
    measure("through BIRD, known, beside 1,000 others", announcer, router, rounds, False, MANY)
    measure("through BIRD, new, beside 1,000 others", announcer, router, rounds, True, MANY)
    lab.close()


def by_session(name: str, rounds: int, start) -> None:
    lab = Lab()
    balancer, router = town.build(lab)
    start(router)
    announcer = Announcer(balancer, town.bgp(town.peer()))
    announcer.want(announce=[town.VIP4])
    wait_for(lambda: bgp_routes(router), "a session", 60)
    measure(name, announcer, router, rounds, new=True)
    lab.close()


def run(rounds: int) -> int:
    through_bird(rounds)
    by_session("our own session to BIRD", rounds, lambda router: town.router_bird(
        router, town.bird_peer("lb4", town.ROUTER4, town.BALANCER4)))
    by_session("our own session to FRR", rounds,
               lambda router: Frr(router, town.frr_config()).start())
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 2 or not all(word.isdigit() for word in sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    sys.exit(isolation.run_isolated(lambda: run(int((sys.argv + ["100"])[1]))))
