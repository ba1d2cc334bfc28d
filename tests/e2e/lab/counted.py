# SPDX-License-Identifier: Apache-2.0
"""A counter at both ends: packets with numbers, sent as fast as the way to the switch lets them
through (or as `rate` says) and counted where they arrive.

    flood eth0 --numbered--> balancer eth1 | sluiced's program | eth0 --> p-balancer (the filter)

So few packets are on their way at any time that no queue is too short for them alone. Other packets
share the queues of the cables: what a full one refuses there, the kernel counts, and nothing else may
be missing. What was sent, has not arrived and is in no such counter was lost by the balancer.
"""

from . import town as towns
WINDOW, FLOWS = 32, 4096
FULL = 20_000_000  # More than any machine sends: the window sets the speed.


class Counted:
    """Numbered packets of both families to a town's VIPs, from now until `finish`. `rate`: at most
    so many a second and family."""

    def __init__(self, town: towns.Town, rate: int = FULL, window: int = WINDOW,
                 flows: int = FLOWS, vips=(towns.VIP4, towns.VIP6)):
        self._town = town
        self._refused_before = sum(self._refusals().values())
        arrived = town.filter.report()["arrived_map"]
        mac = town.balancer.node.mac("eth1")
        self._floods = [towns.Tool(town.flood_node, town.traffic, "flood", interface="eth0", to=vip,
                                   port=towns.PORT, kind="udp", rate=rate, mac=mac, flows=flows,
                                   window=window, arrived=arrived) for vip in vips]

    def sent(self) -> int:
        return sum(flood.report()["sent"] for flood in self._floods)

    def finish(self) -> dict:
        """What both ends have counted, all VIPs together."""
        reports = [flood.finish() for flood in self._floods]
        out = {name: sum(report[name] for report in reports) for name in ("sent", "arrived")}
        out["queue_full"] = sum(self._refusals().values()) - self._refused_before
        out["lost"] = out["sent"] - out["arrived"] - out["queue_full"]
        out["same"] = all(report["same"] for report in reports)
        out["mpps"] = round(sum(report["mpps"] for report in reports), 3)
        out["longest_gap_ms"] = max(report["longest_gap_ms"] for report in reports)
        return out

    def _refusals(self) -> dict:
        """Packets that found no room in a queue on the way of the numbered ones: between the flood
        and eth1, and between eth0, where only they are redirected to, and the switch."""
        counted = (("flood", self._town.flood_node, "eth0", "xdp_xmit_errors"),
                   ("balancer", self._town.balancer.node, "eth1", "_drops"),
                   ("balancer", self._town.balancer.node, "eth0", "xdp_xmit_errors"))
        out = {}
        for name, node, interface, which in counted:
            for line in node.run("ethtool", "-S", interface).stdout.splitlines():
                counter, _, value = line.strip().partition(": ")
                # What a program drops is its verdict, no queue's.
                if counter.endswith(which) and not counter.endswith("xdp_drops"):
                    out[f"{name} {interface} {counter}"] = int(value)
        return out

    def queues(self) -> str:
        """Where packets found no room, since the cables were made; for a run that lost some."""
        return "\n".join(f"{name}: {value}" for name, value in self._refusals().items())
