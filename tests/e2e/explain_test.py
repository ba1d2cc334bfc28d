#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `sluice explain` says of a packet is what becomes of that very packet on the wire: the same
reason, and the same bytes on the other side.
"""

import collections
import select
import socket
import time

import case
from lab import peers, rack
from lab.node import wait_for

CLIENT4, CLIENT6 = "198.51.100.7", "2001:db8:c::7"
PORT = peers.HTTP_PORT
ETH_P_ALL, OUTGOING = 3, 4
NARROW = 1580  # Longest IPv4 packet that still fits the rack with 20 bytes in front.

Row = collections.namedtuple("Row", "name packet reason")

_WAYS = (("ipip", 10, "ipip", "web4"), ("gre", 11, "gre", "web4"), ("gue", 12, "gue", "web4"),
         ("l2", 13, "l2", "web4"), ("ipip6", 14, "ipip", "web6"), ("gre6", 15, "gre", "web6"),
         ("gue6", 16, "gue", "web6"))


def _vips(number: int, forward: str, group: str) -> list:
    """An L2 backend must have the family of its VIP."""
    both = {4: rack.vip4(number), 6: rack.vip6(number)}
    return [both[family] for family in both if forward != "l2" or group == f"web{family}"]


def _services() -> list:
    rows = []
    for name, number, forward, group in _WAYS:
        for vip in _vips(number, forward, group):
            rows += rack.services(f"{name}-{6 if ':' in vip else 4}", vip, forward, group)
    return rows


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _client(vip: str) -> str:
    return CLIENT6 if ":" in vip else CLIENT4


def _flow(vip: str, port: int = PORT, client_port: int = 1234) -> str:
    return f"{_end(_client(vip), client_port)} > {_end(vip, port)}"


def _icmp(vip: str) -> str:
    return "icmp6" if ":" in vip else "icmp"


def _rows() -> list:
    rows = []
    for name, number, forward, group in _WAYS:
        for vip in _vips(number, forward, group):
            family = "6" if ":" in vip else "4"
            rows += [Row(f"{name}_syn_{family}", f"tcp {_flow(vip)} syn", "forwarded"),
                     Row(f"{name}_data_{family}", f"tcp {_flow(vip)} ack psh len=700 dscp=10 ecn=1",
                         "forwarded"),
                     Row(f"{name}_udp_{family}",
                         f"udp {_flow(vip, peers.ECHO_PORT)} len=333", "forwarded")]
    for vip in (rack.vip4(10), rack.vip6(14)):
        family, client, icmp = ("6" if ":" in vip else "4"), _client(vip), _icmp(vip)
        back = f"tcp {_end(vip, PORT)} > {_end(client, 1234)}"
        rows += [
            Row(f"range_{family}", f"tcp {_flow(vip, 7004)} syn", "forwarded"),
            Row(f"no_port_{family}", f"tcp {_flow(vip, 9)} syn", "no_such_port"),
            Row(f"flags_{family}", f"tcp {_flow(vip)} syn fin", "tcp_flags_invalid"),
            Row(f"protocol_{family}", f"sctp {_flow(vip)}", "protocol_unsupported"),
            Row(f"echo_{family}", f"{icmp} {client} > {vip} echo-request len=56", "echo_replied"),
            Row(f"bad_echo_{family}", f"{icmp} {client} > {vip} echo-request checksum=0x1234",
                "icmp_checksum"),
            Row(f"error_{family}", f"{icmp} {client} > {vip} time-exceeded of ( {back} )",
                "forwarded_icmp_error"),
            Row(f"lost_fragment_{family}",
                f"udp {client} > {vip} frag=1200 id=77 len=100", "frag_unknown"),
            Row(f"first_fragment_{family}",
                f"udp {_flow(vip, peers.ECHO_PORT)} frag=0+ id=78 len=1192", "forwarded"),
            Row(f"later_fragment_{family}",
                f"udp {client} > {vip} frag=1200 id=78 len=100", "forwarded_fragment"),
        ]
    rows += [
        Row("land", f"tcp {_end(rack.vip4(10), 1)} > {_end(rack.vip4(10), PORT)} syn", "land"),
        Row("options", f"tcp {_flow(rack.vip4(10))} ack ip_options=94040000", "forwarded"),
        Row("extensions", f"tcp {_flow(rack.vip6(14))} ack ext=hop-by-hop,destination",
            "forwarded"),
        Row("fits_4", f"tcp {_flow(rack.vip4(10))} ack df len={NARROW - 40}", "forwarded"),
        Row("too_big_4", f"tcp {_flow(rack.vip4(10))} ack df len={NARROW - 39}",
            "too_big_replied"),
        Row("too_big_df_clear", f"tcp {_flow(rack.vip4(10))} ack len={NARROW - 39}",
            "too_big_df_clear"),
        Row("too_big_6", f"tcp {_flow(rack.vip6(14))} ack len=1501", "too_big_replied"),
    ]
    return rows


ROWS = _rows()


class Explain(case.LabCase):
    """One configuration with every way of forwarding; packets are put on the balancer's wire."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab)
        vips = [vip for _, *way in _WAYS for vip in _vips(*way)]
        cls.start_sluice(rack.document(_services()), vips, agents=[])
        cls.balancer_mac = cls.rack.balancer.mac("eth0")
        cls.router_mac = cls.rack.router.mac("rack")
        with cls.rack.router.inside():
            cls.sender = cls._socket("rack")
        with cls.rack.switch.inside():
            cls.tap = cls._socket("p-balancer")
        cls.addClassCleanup(cls.sender.close)
        cls.addClassCleanup(cls.tap.close)

    @staticmethod
    def _socket(interface: str) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.bind((interface, ETH_P_ALL))
        return sock

    def explain(self, packet: str, *options) -> dict:
        return self.balancer.json("explain", packet, "--interface", "eth0", *options)

    def frame(self, notation: str) -> bytes:
        """As the router would send it to the balancer."""
        frame = bytes.fromhex(self.explain(notation)["packet"]["hex"])
        macs = (self.balancer_mac + self.router_mac).replace(":", "")
        return bytes.fromhex(macs) + frame[12:]

    def received(self, seconds: float) -> list:
        """Frames that the balancer has sent, the first until then and what is there by then."""
        sender = bytes.fromhex(self.balancer_mac.replace(":", ""))
        frames = []
        end = time.monotonic() + seconds
        while not frames or select.select([self.tap], [], [], 0)[0]:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.tap], [], [], left)[0]:
                break
            frame, address = self.tap.recvfrom(16384)
            if address[2] != OUTGOING and frame[6:12] == sender:
                frames.append(frame)
        return frames

    def drain(self) -> None:
        while select.select([self.tap], [], [], 0)[0]:
            self.tap.recv(16384)

    def check(self, row: Row) -> None:
        frame = self.frame(row.packet)
        before = self.balancer.reasons().get(row.reason, 0)
        told = self.explain(frame.hex())["now"]
        self.assertEqual(told["reason"], row.reason, told)
        self.assertEqual(self.balancer.reasons().get(row.reason, 0), before, "it was counted")
        self.drain()
        self.sender.send(frame)
        wait_for(lambda: self.balancer.reasons().get(row.reason, 0) == before + 1,
                 f"one more packet with {row.reason}")
        if told["verdict"] == "drop":
            self.assertIsNone(told["out"])
            self.assertEqual(self.ours(self.received(0.05), frame), [])
            return
        self.assertEqual(told["verdict"], "tx", told)
        wanted = told["out"]["hex"]
        self.assertIn(wanted, [sent.hex() for sent in self.received(5)])

    @staticmethod
    def ours(frames: list, frame: bytes) -> list:
        """Those that hold the end of the packet that came: what Linux sends of its own does not."""
        return [sent for sent in frames if frame[-24:] in sent]

    def test_asking_leaves_no_trace(self):
        packets = [row.packet for row in ROWS]
        before = self.quiet()
        for packet in packets:
            self.explain(packet)
        self.assertEqual(self.quiet(), before)

    def quiet(self) -> tuple:
        """What only packets for services change."""
        status = self.balancer.json("service", "list")["services"]
        reasons = {name: count for name, count in self.balancer.reasons().items()
                   if name not in ("not_ours", "not_ip", "neighbour_discovery")}
        flows = self.balancer.json("flow", "count")["matched"]
        return reasons, [(row["name"], row["traffic"]) for row in status], flows

    def test_against_a_planned_configuration(self):
        document = rack.document(_services(), group_map=rack.groups(1))
        path = rack.CONFIG.with_name("next.yaml")
        self.balancer.write_to(path, document)
        differing = 0
        for port in range(2000, 2020):
            packet = f"tcp {_flow(rack.vip4(10), client_port=port)} syn"
            done = self.balancer.sluice("explain", packet, "--against", path, "--detailed-exitcode",
                                        check=False)
            self.assertIn(done.returncode, (0, 2), done)
            moved = "planned web4/10.0.0.11" in done.stdout
            self.assertEqual(done.returncode, 2 if moved else 0, done.stdout)
            differing += moved
        self.assertTrue(0 < differing < 20, differing)
        shown = self.balancer.json("config", "history")["generations"]
        self.assertEqual(len(shown), 1, "nothing was applied")

    def test_packets_of_a_capture_and_of_standard_input(self):
        frame = self.frame(f"tcp {_flow(rack.vip4(10))} syn")
        head = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
        size = len(frame).to_bytes(4, "little")
        path = rack.CONFIG.with_name("one.pcap")
        writer = self.balancer.node.fork("write", path.write_bytes,
                                         head + bytes(8) + size + size + frame)
        self.assertEqual(writer.wait(), 0)
        wanted = self.explain(frame.hex())["now"]["out"]
        captured = self.balancer.json("explain", "--pcap", path, "--frame", "1")["now"]["out"]
        self.assertEqual(captured, wanted)
        typed = self.balancer.sluice("explain", "-", "-o", "wide", stdin=frame.hex() + "\n").stdout
        self.assertIn(wanted["text"], typed)


def _add_tests() -> None:
    for number, row in enumerate(ROWS):
        def test(self, row=row):
            self.check(row)
        # In their order: a later fragment comes behind its first one.
        setattr(Explain, f"test_row_{number:02}_{row.name}", test)


_add_tests()
if __name__ == "__main__":
    case.main()
