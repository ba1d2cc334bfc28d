# SPDX-License-Identifier: Apache-2.0
"""A counter at both ends: packets with numbers, sent as fast as the way to the switch lets them
through (or as `rate` says) and counted where they arrive.

    flood eth0 --numbered--> balancer eth1 | sluiced's program | eth0 --> p-balancer (the filter)

So many packets are on their way at any time that no queue can be too short for them, however slow the
machine: what was sent and does not arrive was lost by the balancer.
"""

import subprocess

from . import town as towns
from .node import LabError

WINDOW, FLOWS = 32, 4096
FULL = 20_000_000  # More than any machine sends: the window sets the speed.


class Counted:
    """Numbered packets of both families to a town's VIPs, from now until `finish`. `rate`: at most
    so many a second and family."""

    def __init__(self, town: towns.Town, rate: int = FULL, window: int = WINDOW,
                 flows: int = FLOWS, vips=(towns.VIP4, towns.VIP6)):
        self._town = town
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
        out["lost"] = out["sent"] - out["arrived"]
        out["same"] = all(report["same"] for report in reports)
        out["mpps"] = round(sum(report["mpps"] for report in reports), 3)
        out["longest_gap_ms"] = max(report["longest_gap_ms"] for report in reports)
        return out

    def queues(self) -> str:
        """What the kernel's own queues dropped, for a run that lost something."""
        lines = []
        for node, interface in ((self._town.balancer.node, "eth0"),
                                (self._town.balancer.node, "eth1"),
                                (self._town.switch, "p-balancer"),
                                (self._town.flood_node, "eth0")):
            try:
                shown = node.run("ethtool", "-S", interface).stdout
            except (LabError, subprocess.TimeoutExpired) as error:
                shown = str(error)
            lines += [f"{node.name} {interface} {line.strip()}" for line in shown.splitlines()
                      if ("drop" in line or "error" in line) and not line.endswith(" 0")]
        return "\n".join(lines)
