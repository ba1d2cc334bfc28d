# SPDX-License-Identifier: Apache-2.0
"""What the tests of captures share: `sluice capture` as a process, and tshark to read what it wrote."""

import collections
import json
import re
import signal

import flow_case
from lab import rack
from lab.node import wait_for

FIELDS = ("frame.number", "frame.time_epoch", "frame.interface_name", "frame.len", "frame.cap_len",
          "frame.packet_flags_direction", "frame.packet_id", "frame.drop_count",
          "frame.interface_queue", "frame.verdict.ebpf_xdp", "frame.comment")
IN, OUT = "0x00000001", "0x00000002"
XDP_ACTIONS = {"1": "drop", "2": "pass", "3": "tx", "4": "redirect"}

Frame = collections.namedtuple("Frame", [field.rpartition(".")[2] for field in FIELDS]
                               + ["words"])
Sums = collections.namedtuple("Sums", "matched written lost rest")


def words_of(comment: str) -> dict:
    """`key=value` words of a comment."""
    return dict(word.split("=", 1) for word in comment.split())


class Capture:
    """`sluice capture` on the balancer, begun: the tap is in the data plane."""

    def __init__(self, test, *words, file: bool = True):
        self._test = test
        self.balancer = test.balancer
        self.path = self.balancer.node.lab_path("capture.pcapng") if file else None
        began = test.taps_begun()
        if file:
            words = ("-w", self.path, *words)
        self.process = self.balancer.node.spawn("capture", self.balancer.binaries.sluice, "capture",
                                                *words)
        wait_for(lambda: test.taps_begun() > began or self.process.poll() is not None,
                 "a capture's begin", 30)
        test.assertIsNone(self.process.poll(), self.process.log())

    def stop(self, how: int = signal.SIGINT) -> Sums:
        self.process.send(how)
        return self.finish()

    def finish(self, seconds: float = 60.0) -> Sums:
        """Its own end; what it says of all packets."""
        self._test.assertEqual(self.process.wait(seconds), 0, self.process.log())
        return self.sums()

    def sums(self) -> Sums:
        last = self.process.log().strip().splitlines()[-1]
        found = re.fullmatch(r"(\d+) packets matched, (\d+) written, (\d+) lost(.*)", last)
        self._test.assertIsNotNone(found, self.process.log())
        return Sums(*(int(found[n]) for n in (1, 2, 3)), found[4])

    def frames(self, *options) -> list:
        return self._test.frames(self.path, *options)


class CaptureCase(flow_case.FlowCase):
    """A town, and captures on its balancer."""

    @classmethod
    def build(cls) -> None:
        super().build()
        cls.tshark = rack.tool("tshark")
        # Nobody solicits routers where packets are counted.
        cls.town.flood_node.sysctl(net_ipv6_conf_eth0_disable_ipv6=1)

    def taps_begun(self) -> int:
        return self.balancer.daemon.log().count("event=capture.began")

    def taps_ended(self) -> int:
        return self.balancer.daemon.log().count("event=capture.ended")

    def run_tool(self, *words) -> str:
        return self.balancer.node.run(*words, seconds=300).stdout

    def frames(self, path, *options) -> list:
        """What tshark reads of a file."""
        fields = [word for field in FIELDS for word in ("-e", field)]
        text = self.run_tool(self.tshark, "-r", path, *options, "-T", "fields", *fields)
        rows = [line.split("\t") for line in text.splitlines()]
        return [Frame(*row, words_of(row[-1])) for row in rows]

    def about(self, path) -> dict:
        """Numbers that capinfos tells of a whole file; it fails for one that is cut short."""
        text = self.run_tool(rack.tool("capinfos"), "-M", path)
        entries = [int(n) for n in re.findall(r"Number of stat entries = (\d+)", text)]
        packets = re.search(r"Number of packets: +(\d+)", text)
        return {"packets": int(packets[1]), "statistics": sum(entries)}

    def send(self, notations, rate: int = 5000) -> int:
        """Packets out of the flood's cable, into the balancer's eth1, one after the other."""
        path = self.town.flood_node.lab_path("packets")
        path.write_text("\n".join(notations) + "\n")
        said = self.town.flood_node.run(self.town.traffic, "frames", "--interface", "eth0", "--file",
                                        path, "--rate", rate, seconds=600).stdout
        return json.loads(said)["sent"]

    def reasons(self) -> dict:
        """Packets by reason, all of them, as `sluice reasons -j` tells."""
        return {row["reason"]: row["traffic"]["packets"]
                for row in self.balancer.json("reasons", "--all")["reasons"]}


main = flow_case.main
