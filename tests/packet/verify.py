#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Judges every frame of a pcapng file with scapy, which shares no code with Sluice.

Each frame carries a comment "name; layers=eth,ip4,udp,raw; sums=yes" (tests/packet/pcap.h). The
layers that scapy decodes must be those, every length must equal what is there, and every checksum
at every layer must be right: outer and inner, IPv4 headers, TCP, UDP, ICMP, ICMPv6, SCTP. Packets
quoted in ICMP errors are excluded (they are cut), and so are transport sums of fragments, and inner
transport sums of frames whose input was wrong on purpose (sums=outer).

  verify.py FILE             exit 0: all good, 1: something is wrong, 77: no such file
  verify.py --self-test FILE damages good frames byte by byte; a damage that no check sees is an error
"""
import logging
import os
import struct
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.config import conf  # noqa: E402

conf.ipv6_enabled = True
from scapy.fields import BitField, ByteField, ShortField, StrLenField  # noqa: E402
from scapy.layers.inet import ICMP, IP, TCP, UDP, in4_chksum  # noqa: E402
from scapy.layers.inet6 import (IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,  # noqa: E402
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, in6_chksum)
from scapy.layers.ipsec import AH  # noqa: E402
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.layers.sctp import SCTP, crc32c  # noqa: E402
from scapy.packet import Packet, Raw, bind_layers  # noqa: E402
from scapy.utils import checksum  # noqa: E402

GUE_PORT = 6080
SHORTEST_FRAME = 60


class GUE(Packet):
    """draft-ietf-intarea-gue, variant 0."""
    name = "GUE"
    fields_desc = [BitField("version", 0, 2), BitField("control", 0, 1), BitField("hlen", 0, 5),
                   ByteField("proto", 4), ShortField("flags", 0),
                   StrLenField("extra", b"", length_from=lambda pkt: pkt.hlen * 4)]

    def guess_payload_class(self, payload):
        return {4: IP, 41: IPv6}.get(self.proto, Raw)


bind_layers(UDP, GUE, dport=GUE_PORT)
bind_layers(AH, TCP, nh=6)
bind_layers(AH, UDP, nh=17)
bind_layers(AH, IPv6ExtHdrDestOpt, nh=60)

NAMES = [(Ether, "eth"), (Dot1AD, "vlan"), (Dot1Q, "vlan"), (IP, "ip4"), (IPv6, "ip6"),
         (IPv6ExtHdrHopByHop, "ext0"), (IPv6ExtHdrRouting, "ext43"), (IPv6ExtHdrDestOpt, "ext60"),
         (AH, "ext51"), (IPv6ExtHdrFragment, "frag6"), (TCP, "tcp"), (UDP, "udp"), (SCTP, "sctp"),
         (ICMP, "icmp4"), (GRE, "gre"), (GUE, "gue")]


def read_frames(path):
    """(frame, comment) of every enhanced packet block of a little-endian pcapng file."""
    data = open(path, "rb").read()
    at = 0
    while at + 12 <= len(data):
        kind, total = struct.unpack_from("<II", data, at)
        if total < 12 or total % 4 or at + total > len(data):
            raise ValueError(f"{path}: broken block at {at}")
        if kind == 6:
            size = struct.unpack_from("<I", data, at + 20)[0]
            frame = data[at + 28:at + 28 + size]
            option = at + 28 + (size + 3) // 4 * 4
            code, length = struct.unpack_from("<HH", data, option)
            comment = data[option + 4:option + 4 + length].decode() if code == 1 else ""
            yield frame, comment
        at += total


def name_of(layer):
    if "error" in type(layer).__name__:  # the packet that an ICMP error quotes
        return None
    for kind, name in NAMES:
        if isinstance(layer, kind):
            return name
    if type(layer).__name__.startswith("ICMPv6"):
        return "icmp6"
    return None


def decode(frame):
    """(name, layer, offset) of the layers that scapy decodes, down to the first that is data."""
    out, layer, at = [], Ether(frame), 0
    while layer and name_of(layer):
        out.append((name_of(layer), layer, at))
        if out[-1][0] in ("icmp4", "icmp6", "tcp", "sctp"):
            break
        at += len(layer.raw_packet_cache)
        layer = layer.payload
    return out


class Checker:
    """Collects what is wrong with one frame."""

    def __init__(self, frame, comment):
        self.frame, self.errors, self.sums = frame, [], 0
        facts = dict(part.strip().split("=", 1) for part in comment.split(";") if "=" in part)
        self.want = [n for n in facts.get("layers", "").split(",") if n and n not in ("raw", "pad")]
        self.outer_only = facts.get("sums") == "outer"
        self.padded = "pad" in facts.get("layers", "")

    def wrong(self, text):
        self.errors.append(text)

    def run(self):
        decoded = decode(self.frame)
        names = [name for name, _, _ in decoded]
        if names[:len(self.want)] != self.want:
            self.wrong(f"layers {names}, expected {self.want}")
        end, ip, fragment, depth = len(self.frame), None, False, 0
        for name, layer, at in decoded:
            if name in ("ip4", "ip6"):
                depth += 1
                end, fragment = self.ip_header(name, layer, at, end, depth)
                ip = layer
            elif name == "frag6":
                fragment = fragment or layer.m == 1 or layer.offset != 0
            elif ip is not None and not fragment:
                self.transport(name, layer, ip, self.frame[at:end],
                               self.outer_only and layer is decoded[-1][1])
        return self.errors

    def ip_header(self, name, layer, at, end, depth):
        size = layer.len if name == "ip4" else layer.plen + 40
        short = depth == 1 and (len(self.frame) <= SHORTEST_FRAME or self.padded)
        if at + size > end or (at + size != end and not short):
            self.wrong(f"{name} length {size}, there are {end - at} bytes")
        if layer.version != (4 if name == "ip4" else 6):
            self.wrong(f"{name} version {layer.version}")
        fragment = False
        if name == "ip4":
            self.sums += 1
            if layer.ihl < 5 or checksum(self.frame[at:at + layer.ihl * 4]) != 0:
                self.wrong("ip4 header checksum")
            fragment = bool(layer.flags.MF) or layer.frag != 0
        return min(end, at + size), fragment

    def transport(self, name, layer, ip, data, excused):
        if excused:
            return
        if name == "udp" and (layer.len != len(data) or len(data) < 8):
            self.wrong(f"udp length {layer.len}, there are {len(data)} bytes")
        if name == "gre" and bytes(data[:2]) != b"\0\0":
            self.wrong("gre flags")
        if name not in ("tcp", "udp", "icmp4", "icmp6", "sctp"):
            return
        self.sums += 1
        if name == "sctp":
            if crc32c(data[:8] + b"\0\0\0\0" + data[12:]) != layer.chksum:
                self.wrong("sctp checksum")
        elif name == "icmp4":
            if checksum(data) != 0:
                self.wrong("icmp4 checksum")
        elif name == "udp" and layer.chksum == 0:
            if isinstance(ip, IPv6):
                self.wrong("udp over ip6 without a checksum")
        else:
            proto = {"tcp": 6, "udp": 17, "icmp6": 58}[name]
            six = isinstance(ip, IPv6)
            total = in6_chksum(proto, ip, data) if six else in4_chksum(proto, ip, data)
            if total not in (0, 0xffff):
                self.wrong(f"{name} checksum")


def judge(frame, comment):
    checker = Checker(frame, comment)
    try:
        checker.run()
    except Exception as error:  # scapy gave up: that is a finding too
        checker.wrong(f"cannot be decoded: {error!r}")
    return checker


def check_all(path):
    frames = bad = sums = 0
    for frame, comment in read_frames(path):
        frames += 1
        checker = judge(frame, comment)
        sums += checker.sums
        if checker.errors:
            bad += 1
            print(f"frame {frames} ({comment}): {'; '.join(checker.errors)}")
            print(frame.hex())
    print(f"{path}: {frames} frames, {sums} checksums, {bad} frames wrong")
    return 1 if bad or frames == 0 else 0


def self_test(path):
    """Every damage to a checksummed or length byte must be seen."""
    tried = missed = kinds = 0
    seen = set()
    for frame, comment in read_frames(path):
        layers = comment.split("layers=")[-1].split(";")[0]
        if layers in seen or "pad" in layers or "sums=outer" in comment or judge(frame, comment).errors:
            continue
        seen.add(layers)
        kinds += 1
        for at in covered(frame):
            damaged = bytearray(frame)
            damaged[at] ^= 0x10
            tried += 1
            if not judge(bytes(damaged), comment).errors:
                missed += 1
                print(f"damage at byte {at} of {comment} was not seen")
    print(f"self-test: {kinds} kinds of packet, {tried} damages, {missed} not seen")
    return 1 if missed or tried == 0 else 0


def covered(frame):
    """Offsets that some check must protect: IPv4 headers, and what a transport sum covers."""
    fragment, out = False, set()
    for name, layer, at in decode(frame):
        if name == "ip4":
            out.update(range(at, at + layer.ihl * 4))
            fragment = bool(layer.flags.MF) or layer.frag != 0
        elif name == "ip6":
            out.update((at, at + 4, at + 5))  # version and length
            fragment = False
        elif name == "frag6":
            fragment = layer.m == 1 or layer.offset != 0
        elif name in ("tcp", "udp", "icmp4", "icmp6") and not fragment:
            if name == "udp" and layer.chksum == 0:
                out.update((at + 4, at + 5))
            else:
                out.update(range(at, min(len(frame), at + 24)))
    return sorted(o for o in out if o < len(frame))


def main(args):
    testing = args[:1] == ["--self-test"]
    if testing:
        args = args[1:]
    if len(args) != 1:
        print(__doc__)
        return 64
    if not os.path.exists(args[0]):
        print(f"skipped: {args[0]} was not written (the packet tests did not run)")
        return 77
    return self_test(args[0]) if testing else check_all(args[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
