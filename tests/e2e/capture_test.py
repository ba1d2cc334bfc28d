#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`sluice capture` on live traffic, read back by tshark: what it says of each packet, its filters, files
and ends, and that packets are forwarded whatever becomes of who captures.
"""

import collections
import contextlib
import os
import signal

import capture_case
from capture_case import IN, OUT, XDP_ACTIONS, Capture
from lab import town
from lab.instance import Instance
from lab.node import wait_for

CONFLICT, UNREACHABLE, FAILED, USAGE = 5, 4, 1, 64  # 5: not found, too.
LOAD_PPS, LOAD_LEN = 500_000, 100
LOAD_TIME = "5s" if capture_case.flow_case.LONG else "1s"


def _syn(number: int, port: int = town.PORT) -> str:
    return f"tcp 198.51.100.{number % 200 + 1}:{2000 + number} > {town.VIP4}:{port} syn"


class Live(capture_case.CaptureCase):
    """One town for all."""

    @classmethod
    def build(cls) -> None:
        super().build()
        cls.instance = Instance(cls.balancer.node)

    def test_real_connections_are_told_packet_by_packet(self):
        with self.clients(talk=20, brief_per_s=50, silent=0, datagrams=10) as client:
            capture = Capture(self, "-i", "eth0", "--service", "tcp4", "--service", "udp4")
            self.live(client, 1)
            sums = capture.stop()
        self.assertGreater(sums.written, 100)
        self.assertEqual((sums.matched, sums.lost, sums.rest), (sums.written, 0, ""))
        frames = capture.frames()
        pairs = collections.defaultdict(list)
        for frame in frames:
            pairs[frame.packet_id].append(frame)
        self.assertEqual(len(pairs), sums.written)
        for received, sent in pairs.values():
            self.assertEqual((received.packet_flags_direction, sent.packet_flags_direction),
                             (IN, OUT))
            self.assertEqual(received.comment, sent.comment)
            self.assertEqual(received.time_epoch, sent.time_epoch)
            self.assertEqual(XDP_ACTIONS[received.ebpf_xdp], received.words["verdict"])
            self.assertIn(received.words["verdict"], ("tx", "redirect"))
            self.assertIn(received.words["service"], ("tcp4", "udp4"))
            self.assertRegex(received.words["backend"], rf"^{town.GROUP}/10\.0\.0\.1[123]$")
            self.assertEqual(received.words["stage"], "forward")
            self.assertEqual(received.interface_name, "eth0")
            self.assertTrue(received.interface_queue.isdigit())
        self.assertTrue(any(int(frame.time_epoch[-3:]) for frame in frames), "no nanoseconds")
        self.assertEqual(self.about(capture.path)["statistics"], 1)

    def test_the_time_of_a_packet_is_the_wall_clock_s(self):
        before = int(self.run_tool("date", "+%s"))
        capture = Capture(self, "-i", "eth1", "-c", "1")
        self.send([_syn(1)])
        capture.finish()
        after = int(self.run_tool("date", "+%s")) + 1
        at = float(capture.frames()[0].time_epoch)
        self.assertTrue(before <= at <= after, (before, at, after))

    def test_only_what_is_asked_for_is_captured(self):
        mix = [_syn(n) for n in range(10)] + [_syn(n, 9) for n in range(20)]
        mix += [f"udp 203.0.113.{n + 1}:5 > {town.VIP4}:{town.PORT}" for n in range(30)]
        mix += [f"tcp 203.0.113.7:{n + 1} > {town.VIP4}:{town.PORT} ack" for n in range(7)]
        mix += [f"udp 203.0.113.{n + 1}:53 > 203.0.113.200:5" for n in range(40)]
        for words, want in ((("--verdict", "drop"), 20), (("--reason", "no_such_port"), 20),
                            (("--service", "udp4"), 30),
                            (("--service", "tcp4", "--service", "udp4"), 47),
                            (("--verdict", "pass"), 40), (("tcp", "port", "9"), 20),
                            (("host", "203.0.113.7"), 9),
                            (("--verdict", "forward", "src host 203.0.113.7 and udp"), 1),
                            (("--", "tcp[tcpflags]", "&", "tcp-ack", "!=", "0"), 7),
                            (("ip6",), 0), ((), 107)):
            with self.subTest(words=words):
                capture = Capture(self, "-i", "eth1", "--at", "entry", *words)
                self.assertEqual(self.send(mix), len(mix))
                sums = capture.stop()
                self.assertEqual(sums, (want, want, 0, ""))
                self.assertEqual(len(capture.frames()), want)

    def test_one_of_so_many_is_written_and_the_others_are_told(self):
        capture = Capture(self, "-i", "eth1", "--sample", "10", "--snap", "60", "--at", "entry")
        self.send([_syn(n) for n in range(1000)])
        sums = capture.stop()
        self.assertEqual((sums.matched, sums.lost), (1000, 0))
        # Each CPU counts its own.
        self.assertTrue(100 - os.cpu_count() < sums.written <= 100, sums)
        self.assertIn(f"{1000 - sums.written} left out", sums.rest)
        self.assertEqual({frame.cap_len for frame in capture.frames()}, {"54"})
        self.assertTrue(all("lost_before" not in frame.words for frame in capture.frames()))

    def test_a_pipe_carries_it_to_tshark(self):
        sluice = self.balancer.binaries.sluice
        began = self.taps_begun()
        reader = self.balancer.node.spawn(
            "pipe", "sh", "-c", f"{sluice} capture -i eth1 -c 20 -w - -- tcp | "
            f"{self.tshark} -l -r - -Y 'frame.comment contains \"reason=no_such_port\"'")
        wait_for(lambda: self.taps_begun() > began, "a capture's begin", 30)
        self.send([_syn(n, 9 if n % 2 else town.PORT) for n in range(20)])
        self.assertEqual(reader.wait(60), 0, reader.log())
        self.assertEqual(reader.log().count(" 198.51.100."), 10, reader.log())

    def test_a_ring_keeps_the_newest_files_each_of_them_whole(self):
        capture = Capture(self, "-i", "eth1", "--at", "entry", "--rotate-size", "20K", "--files", "3")
        self.send([_syn(n) for n in range(1000)])
        capture.stop()
        files = sorted(capture.path.parent.glob(f"{capture.path.stem}_*"))
        self.assertEqual(len(files), 3)
        numbers = []
        for file in files:
            self.assertLess(file.stat().st_size, 22_000)
            self.assertEqual(self.about(file)["statistics"], 1)
            numbers += [int(frame.packet_id) for frame in self.frames(file)]
        self.assertEqual(numbers, list(range(1001 - len(numbers), 1001)))
        self.assertGreater(len(numbers), 150)

    def test_a_full_disk_is_told_and_leaves_a_file_that_can_be_read(self):
        directory = "/run/sluice/small"
        self.run_tool("sh", "-c", f"mkdir -p {directory} && "
                      f"mount -t tmpfs -o size=64k none {directory}")
        self.addCleanup(self.run_tool, "umount", directory)
        capture = Capture(self, "-i", "eth1", "-w", f"{directory}/full.pcapng", file=False)
        self.send([_syn(n) for n in range(1000)])
        self.assertEqual(capture.process.wait(30), FAILED)
        self.assertIn("No space left on device", capture.process.log())
        copy = self.balancer.node.lab_path("full.pcapng")
        self.run_tool("cp", f"{directory}/full.pcapng", copy)
        self.assertGreater(self.about(copy)["packets"], 100)
        wait_for(lambda: self.taps_ended() == self.taps_begun(), "the tap's end")

    def test_there_is_one_at_a_time_and_anybody_may_end_it(self):
        capture = Capture(self, "-i", "eth1")
        second = self.balancer.sluice("capture", "-c", "1", check=False)
        self.assertEqual(second.returncode, CONFLICT, second)
        self.assertIn("another capture is under way", second.stderr)
        self.send([_syn(1)])
        self.balancer.sluice("capture", "--stop")
        sums = capture.finish()
        self.assertEqual((sums.matched, sums.written), (1, 1))
        self.assertIn("ended: it was asked to", sums.rest)
        self.assertEqual(self.balancer.sluice("capture", "--stop", check=False).returncode, CONFLICT)

    def test_it_follows_a_new_generation_and_says_so(self):
        capture = Capture(self, "-i", "eth1", "--at", "entry")
        self.send([_syn(1)])
        document = self.document() | {"version": 2}
        self.town.apply(document | {"node": document["node"] | {"icmp_rate": 77}})
        self.send([_syn(2)])
        self.town.apply(self.document())
        self.send([_syn(3)])
        capture.stop()
        generations = [int(frame.words["generation"]) for frame in capture.frames()]
        self.assertEqual(len(set(generations)), 3, generations)
        told = [frame.words.get("previous_generation") for frame in capture.frames()]
        self.assertEqual(told, [None, str(generations[0]), str(generations[1])])

    def forwarding(self) -> None:
        """Packets that come by eth1 are balanced."""
        before = self.balancer.reasons().get("forwarded", 0)
        self.send([_syn(n) for n in range(50)])
        self.assertGreaterEqual(self.balancer.reasons()["forwarded"] - before, 50)

    def test_a_killed_command_takes_its_tap_with_it(self):
        before = self.instance.pins(), self.instance.live_program()
        ended = self.taps_ended()
        with self.clients(talk=50, brief_per_s=100, silent=0, datagrams=20) as client:
            capture = Capture(self, "--at", "entry,exit")
            self.live(client, 0.5)
            capture.process.kill()
            wait_for(lambda: self.taps_ended() > ended, "the tap's end", 20)
            self.live(client, 0.5)
        self.assertEqual((self.instance.pins(), self.instance.live_program()), before)
        self.forwarding()

    def test_a_killed_daemon_leaves_packets_forwarded_and_a_file_that_can_be_read(self):
        before = self.instance.pins()
        with self.clients(talk=50, brief_per_s=100, silent=0, datagrams=20) as client:
            capture = Capture(self, "--at", "entry")
            self.live(client, 0.5)
            self.balancer.daemon.kill()
            self.assertEqual(capture.process.wait(20), UNREACHABLE, capture.process.log())
            self.assertIn("the daemon ended", capture.process.log())
            self.live(client, 0.5)
            self.balancer.start()
            self.live(client, 0.5)
        self.assertGreater(self.about(capture.path)["packets"], 50)
        self.assertGreater(self.about(capture.path)["statistics"], 0)
        self.assertEqual(self.instance.pins(), before)
        self.forwarding()

    @contextlib.contextmanager
    def flooded(self):
        """Packets of the issue's length and rate come by eth1; yields a dict that is filled with the
        flood's report."""
        flood = town.Tool(self.town.flood_node, self.town.traffic, "flood", interface="eth0",
                          to=town.VIP4, port=town.PORT, kind="udp", rate=LOAD_PPS,
                          mac=self.balancer.node.mac("eth1"), len=LOAD_LEN)
        report = {}
        try:
            yield report
        finally:
            report |= flood.finish()

    def accounted(self, name: str, *words) -> tuple:
        """A capture of all that comes by eth1 for a while: nothing of it may be missing."""
        with self.flooded() as report:
            before = sum(self.reasons().values())
            capture = Capture(self, "-i", "eth1", *words)
            sums = capture.finish(300)
            after = sum(self.reasons().values())
        self.assertGreater(sums.matched, 10_000)
        self.assertEqual(sums.matched, sums.written + sums.lost, sums)
        self.assertGreaterEqual(after - before, sums.matched)
        self.figures(name, sent_mpps=report["mpps"], matched=sums.matched, written=sums.written,
                     lost=sums.lost, seconds=words[1])
        return capture, sums

    def test_at_full_load_every_packet_is_accounted_for(self):
        capture, sums = self.accounted("capture at full load", "--time", LOAD_TIME)
        self.assertEqual(self.about(capture.path)["packets"], 2 * sums.written)
        frames = self.frames(capture.path, "-c", "1000")
        self.assertEqual({frame.len for frame in frames}, {str(LOAD_LEN)})

    def test_what_finds_no_room_is_told_where_it_is_missing(self):
        capture, sums = self.accounted("capture with a small buffer", "--time", "1s", "--buffer", "64K",
                                       "--at", "entry", "--snap", "64")
        self.assertGreater(sums.lost, 0)
        self.assertEqual(self.about(capture.path)["packets"], sums.written)
        gaps = self.frames(capture.path, "-Y", "frame.drop_count")
        told = sum(int(frame.drop_count) for frame in gaps)
        for frame in gaps:
            self.assertEqual(frame.words["lost_before"], frame.drop_count)
        # Behind the last packet of a CPU there is none that could tell.
        self.assertTrue(0 < told <= sums.lost, (told, sums))


class Command(capture_case.CaptureCase):
    """What needs no packets."""

    def test_a_capture_is_refused_with_what_is_wrong(self):
        for words, status, said in (
                (("--service", "wob"), CONFLICT, "there is no service wob"),
                (("--reason", "wob"), CONFLICT, "'wob' is no reason"),
                (("-i", "eth7"), CONFLICT, "eth7"),
                (("port", "and"), USAGE, "syntax error"),
                (("--rotate-size", "1M"), USAGE, "only files are rotated"),
                (("-w", "/nowhere/x.pcapng"), CONFLICT, "No such file or directory")):
            with self.subTest(words=words):
                done = self.balancer.sluice("capture", *words, check=False)
                self.assertEqual(done.returncode, status, done)
                self.assertIn(said, done.stderr)
        # Whatever was refused has left nothing behind.
        wait_for(lambda: self.taps_begun() == self.taps_ended(), "the tap off the wire")

    def test_sigterm_ends_it_in_order(self):
        capture = Capture(self, "-i", "eth1")
        self.send([_syn(n) for n in range(3)])
        self.assertEqual(capture.stop(signal.SIGTERM), (3, 3, 0, ""))
        self.assertEqual(len(capture.frames()), 6)


if __name__ == "__main__":
    capture_case.main()
