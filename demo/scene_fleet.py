# SPDX-License-Identifier: Apache-2.0
"""Scene 2: four servers, each balancer and backend at once; the router spreads over two of them."""

import collections

import story
import traffic
from lab import peers, rack
from lab.fleet import ENTRIES, SERVERS, Fleet, moved

PICTURE = """
    client ---- router ==ECMP==+== s1    each server: sluiced with `node.decap`, the virtual
   198.51.100.10               `== s2    addresses on lo, web servers. s1 and s2 take what the
   2001:db8:c::10                  s3    router gives them and deliver it, or send it on in a
                                   s4    tunnel; what comes out of a tunnel is never balanced again
"""

REQUESTS = 60
NAMES = [f"s{number}" for number in SERVERS]
FAILED = "failed"


class FleetScene:
    """See the picture."""

    entrance = "s1"

    def __init__(self, lab, binaries):
        self._lab = lab
        self._binaries = binaries
        self._fleet = None
        self._tally = story.Tally([*NAMES, FAILED])
        self._rates = story.Rates()

    def build(self) -> None:
        story.title("Scene 2: every server a balancer")
        story.say(PICTURE)
        with story.Step("client, router and four servers are built; ECMP to s1 and s2"):
            self._fleet = Fleet(self._lab, self._binaries)
        with story.Step("web servers and sluiced are ready on all four"):
            self._fleet.start()

    def check(self) -> bool:
        story.title(f"{REQUESTS} HTTP connections to each virtual address")
        router = self._fleet.rack.router
        taps = [peers.Tap(router, "rack", client) for client in (rack.CLIENT4, rack.CLIENT6)]
        before = self._fleet.reasons()
        answered = collections.Counter()
        for vip in self._fleet.vips:
            answers = traffic.ask(self._fleet.rack.client, vip, REQUESTS)
            counts = "  ".join(f"{name} {answers[name]}" for name in sorted(answers))
            story.say(f"  {vip:<18}{counts}")
            answered += answers
        after = self._fleet.reasons()
        entered = sum(tap.frames() for tap in taps)
        for tap in taps:
            tap.close()
        forwarded = moved(before, after, "forwarded")
        local = moved(before, after, "delivered_local")
        by_entry = [moved(before, after, "forwarded", [number]) +
                    moved(before, after, "delivered_local", [number]) for number in ENTRIES]
        stripped = moved(before, after, "decapsulated")
        good = story.check(set(answered) == set(NAMES) and sum(answered.values()) == 2 * REQUESTS,
                           "every request was answered, by all four servers in turn")
        good &= story.check(all(by_entry), f"ECMP reached both entries: s1 took {by_entry[0]} "
                                           f"packets, s2 took {by_entry[1]}")
        good &= story.check(forwarded + local == entered,
                            f"nothing looped: {entered} packets entered, {forwarded} were sent on "
                            f"and {local} delivered where they arrived, each once")
        good &= story.check(stripped == forwarded,
                            f"all {forwarded} that were sent on came out of their tunnel")
        return good

    def start_traffic(self) -> None:
        self._fleet.rack.client.fork("stream", traffic.stream, self._fleet.vips, self._tally,
                                     FAILED)

    def view(self) -> str:
        counters = self._fleet.reasons()
        answers = self._tally.read()
        rows = []
        for number in SERVERS:
            name, reasons = f"s{number}", counters[number]
            row = [name, "router" if number in ENTRIES else "servers only"]
            for reason in ("forwarded", "delivered_local", "decapsulated"):
                row += [reasons[reason], self._rates.of((number, reason), reasons[reason])]
            rows.append([*row, answers[name], self._rates.of(name, answers[name])])
        header = ["server", "reached by", "sent on", "/s", "delivered", "/s", "from tunnels", "/s",
                  "requests answered", "/s"]
        return "\n\n".join((story.bold("  Four servers, each a balancer and a backend"),
                            story.table(header, rows, right=tuple(range(2, 10))),
                            f"  requests that failed: {answers[FAILED]}"))

    def diagnosis(self) -> str:
        return self._fleet.rack.diagnosis() if self._fleet else ""
