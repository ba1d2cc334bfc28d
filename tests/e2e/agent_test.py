#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The backend's agent: what it strips, what it refuses, how it starts and ends."""

import socket
import struct

import case
from lab import peers, rack
from lab.node import wait_for
from lab.rack import Agent

VIP = rack.vip4(10)
TRUSTED, STRANGER = "10.255.0.9", "10.0.0.1"
IPIP, GRE, UDP = 4, 47, 17


def _sum16(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack("!H", _sum16(head)) + head[12:] + payload


def udp(source_port: int, port: int, payload: bytes) -> bytes:
    """Without a checksum, which IPv4 allows."""
    return struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload


def question(vip: str = VIP) -> bytes:
    """What a client sends to the echo service of a VIP."""
    return ip4(rack.CLIENT4, vip, UDP, udp(5555, peers.ECHO_PORT, b"hello"))


class AgentCase(case.LabCase):
    """One backend; the router sends what a balancer, or somebody else, would."""

    @classmethod
    def build(cls) -> None:
        cls.rack = rack.Rack(cls.lab, backends=1, balancer=False)
        cls.backend = cls.rack.backends[1]
        cls.rack.serve()

    def setUp(self):
        self.agent = Agent(self.backend, self.binaries, [VIP])
        self.agent.wait_attached()
        self.addCleanup(self.agent.process.stop)
        with self.rack.client.inside():
            self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.client.close)
        self.client.bind(("0.0.0.0", 5555))
        self.client.settimeout(2)

    def send(self, packet: bytes) -> None:
        with self.rack.router.inside(), \
                socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            sock.sendto(packet, (rack.backend4(1), 0))

    def tunnelled(self, source: str, protocol: int, payload: bytes) -> bytes:
        return ip4(source, rack.backend4(1), protocol, payload)

    def counted(self, reason: str, packet: bytes) -> None:
        before = self.agent.reasons()[reason]
        self.send(packet)
        wait_for(lambda: self.agent.reasons()[reason] == before + 1, f"one packet {reason}")

    def answered(self) -> str:
        data, sender = self.client.recvfrom(100)
        self.assertEqual(sender, (VIP, peers.ECHO_PORT))
        return data.decode()

    def test_tunnels_of_a_balancer_are_stripped_and_delivered(self):
        gue = udp(40000, 6080, b"\x00\x04\x00\x00" + question())
        gue_direct = udp(40000, 6080, question())
        for protocol, payload in ((IPIP, question()), (GRE, b"\0\0\x08\0" + question()), (UDP, gue),
                                  (UDP, gue_direct)):
            self.counted("decapsulated", self.tunnelled(TRUSTED, protocol, payload))
            self.assertEqual(self.answered(), "b1 hello")

    def test_a_tunnel_of_a_stranger_is_not_stripped(self):
        self.counted("decap_source_refused", self.tunnelled(STRANGER, IPIP, question()))
        self.client.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            self.answered()

    def test_an_address_that_is_no_vip_is_refused(self):
        self.counted("decap_unknown_vip", self.tunnelled(TRUSTED, IPIP, question(rack.vip4(77))))

    def test_a_tunnel_header_with_options_is_refused(self):
        gre_with_key = b"\x20\0\x08\0" + bytes(4) + question()
        self.counted("decap_header", self.tunnelled(TRUSTED, GRE, gre_with_key))

    def test_what_is_no_tunnel_passes(self):
        with self.rack.client.inside():
            self.assertEqual(peers.http_get(rack.backend4(1)), "b1")

    def test_print_names_what_apply_has_done(self):
        printed = self.backend.run(self.binaries.sluice, "agent", "print", "--interface", "eth0",
                                   "--vip", VIP, "--from", rack.TUNNEL4).stdout
        self.assertIn(VIP, printed)
        addresses = self.backend.run("ip", "-4", "addr", "show", "dev", "lo").stdout
        self.assertIn(f"{VIP}/32", addresses)
        for name in ("arp_ignore", "arp_announce"):
            self.assertIn(name, printed)

    def test_the_agent_takes_its_program_with_it(self):
        self.assertEqual(self.agent.process.stop(), 0)
        link = self.backend.json("ip", "-j", "-d", "link", "show", "dev", "eth0")[0]
        self.assertNotIn("xdp", link)


if __name__ == "__main__":
    case.main()
