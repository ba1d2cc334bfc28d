# SPDX-License-Identifier: Apache-2.0
"""Scene 1: one balancer, three backends, every forwarding mode over both families."""

import story
import traffic
from lab import peers, rack
from lab.rack import Agent, Balancer, Rack

PICTURE = """
    client ---- router ---- switch --+-- balancer   sluiced: XDP takes what is for a virtual address
   198.51.100.10              |      |-- b1         web servers with the virtual addresses on lo;
   2001:db8:c::10             |      |-- b2         `sluice agent` strips the tunnel headers in XDP
                              |      `-- b3
          ^------- answers ---'         and answers go straight back
"""

# Forwarding mode, number of its two VIPs, group of the IPv4 VIP, group of the IPv6 VIP.
MODES = (("ipip", 10, "web4", "web6"), ("gre", 11, "web6", "web4"), ("gue", 12, "web4", "web6"),
         ("l2", 13, "web4", "web6"), ("local", 14, "", ""))
REQUESTS = 40
BACKENDS = ("b1", "b2", "b3")
FAILED = "failed"


def _vips():
    """(mode, VIP, group) of all services."""
    for forward, number, group4, group6 in MODES:
        yield forward, rack.vip4(number), group4
        yield forward, rack.vip6(number), group6


def _document() -> dict:
    services = []
    for forward, vip, group in _vips():
        service = {"name": f"{forward}-{'six' if ':' in vip else 'four'}", "vip": vip,
                   "protocol": "tcp", "port": 80, "forward": forward}
        services.append(service | ({"group": group} if group else {}))
    return rack.document(services)


class RackScene:
    """See the picture."""

    entrance = "balancer"

    def __init__(self, lab, binaries):
        self._lab = lab
        self._binaries = binaries
        self._rack = None
        self._balancer = None
        self._tally = story.Tally([*BACKENDS, "balancer", FAILED])
        self._rates = story.Rates()

    def build(self) -> None:
        story.title("Scene 1: one balancer, three backends")
        story.say(PICTURE)
        with story.Step("client, router, switch, balancer and three backends are built"):
            self._rack = Rack(self._lab)
        balancer = self._rack.balancer
        with story.Step("web servers run on b1, b2, b3 and, for local delivery, on the balancer"):
            for forward, vip, _ in _vips():
                if forward == "local":
                    balancer.ip(f"addr add {vip} dev lo" + (" nodad" if ":" in vip else ""))
            self._rack.serve(*self._rack.backends.values(), balancer)
        with story.Step("`sluice agent run --apply` is ready on b1, b2 and b3"):
            vips = [vip for forward, vip, _ in _vips() if forward != "local"]
            agents = [Agent(node, self._binaries, vips) for node in self._rack.backends.values()]
            for agent in agents:
                agent.wait_attached()
        self._balancer = Balancer(balancer, self._binaries)
        with story.Step("sluiced is ready on the balancer"):
            self._balancer.write(_document())
            self._balancer.start()
            self._balancer.wait_resolved()
        interface = self._balancer.json("status")["interfaces"][0]
        story.passed(f"XDP program attached to {interface['name']} ({interface['driver']}, "
                     f"{interface['xdp_mode']} mode)")

    def check(self) -> bool:
        story.title(f"{REQUESTS} HTTP connections to each virtual address")
        good = True
        rows = []
        for forward, vip, group in _vips():
            answers, return_way, ok = self._ask(forward, vip)
            good = good and ok
            way = {"web4": "IPv4", "web6": "IPv6", "": "-"}[group]
            rows.append([forward, vip, way, answers, return_way, "ok" if ok else "FAIL"])
        header = ["forward", "virtual address", "backends by", "answered by",
                  "packets of answers", ""]
        story.say(story.table(header, rows))
        good &= story.check(good, "every request was answered, by every backend in turn, and no "
                                  "backend's answer passed the balancer")
        for vip in (rack.vip4(10), rack.vip6(10)):
            ping = self._rack.client.run("ping", "-c", "3", "-i", "0.05", "-W", "2", vip,
                                         check=False)
            good &= story.check(ping.returncode == 0, f"ping {vip} is answered by Sluice")
        return good

    def _ask(self, forward: str, vip: str):
        """Requests to one VIP: who answered, which way, and whether all is as it must be."""
        at_balancer = peers.Tap(self._rack.switch, "p-balancer", vip)
        at_client = peers.Tap(self._rack.router, "client", vip)
        answered = traffic.ask(self._rack.client, vip, REQUESTS)
        through_balancer, arrived = at_balancer.frames(), at_client.frames()
        at_balancer.close()
        at_client.close()
        is_local = forward == "local"
        ok = set(answered) == ({"balancer"} if is_local else set(BACKENDS))
        ok = ok and sum(answered.values()) == REQUESTS and arrived >= REQUESTS
        ok = ok and (through_balancer >= REQUESTS if is_local else through_balancer == 0)
        text = "  ".join(f"{name} {answered[name]}" for name in sorted(answered)) or "nobody"
        return text, f"{arrived}, {through_balancer} by way of the balancer", ok

    def start_traffic(self) -> None:
        self._rack.client.fork("stream", traffic.stream, [vip for _, vip, _ in _vips()],
                               self._tally, FAILED)

    def view(self) -> str:
        status = self._balancer.json("status")
        rows = [[row["name"], row["vip"], row["forward"],
                 f"{row['backends_ready']}/{row['backends_total']}" if row["group"] else "-",
                 row["traffic"]["packets"], self._rates.of(row["name"], row["traffic"]["packets"])]
                for row in status["services"]]
        services = story.table(["service", "vip", "forward", "ready", "packets", "a second"], rows,
                               right=(3, 4, 5))
        answers = self._tally.read()
        answers = story.table(["answered by", "requests", "a second"],
                              [[name, count, self._rates.of(("answers", name), count)]
                               for name, count in answers.items()], right=(1, 2))
        return "\n\n".join((story.bold(f"  Sluice {status['version']} on the balancer: "
                                       f"{status['state']}, generation {status['generation']}"),
                            services, answers, self._reasons(status)))

    def _reasons(self, status: dict) -> str:
        rows = [[row["reason"], row["outcome"], row["traffic"]["packets"],
                 self._rates.of(("reason", row["reason"]), row["traffic"]["packets"]), row["text"]]
                for row in status["reasons"] if row["traffic"]["packets"]]
        return story.table(["reason", "outcome", "packets", "a second", ""], rows, right=(2, 3))

    def diagnosis(self) -> str:
        return self._rack.diagnosis() if self._rack else ""
