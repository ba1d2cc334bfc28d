#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Packets of nearly every reason, mixed: each of them has the comment that it must have, and every counter
has moved by as many as there were.

Left out are reasons that no packet can provoke on a sound node (none, tail_missed, map_missed), that
only a driver gives (headroom), and those of changes in progress (forwarded_previous).
"""

import collections
import random

import capture_case
from capture_case import IN, OUT, XDP_ACTIONS, Capture
from lab import rack, town

PACKETS = 10_000
VIP, VIP6 = town.VIP4, town.VIP6
OWNED, PASSING, LOCAL = rack.vip4(20), rack.vip4(11), rack.vip4(31)
TUNNEL_END, PEER = rack.BALANCER4, "10.255.0.9"
# Others than the mix come by eth0 meanwhile: neighbours keep in touch.
SHARED = ("not_ip", "not_ours", "neighbour_discovery")

Kind = collections.namedtuple("Kind", "packets reasons verdict words")


def kind(packets, reasons, verdict="drop", **words) -> Kind:
    """Packets that are sent one behind the other; all may leave for one of these reasons, and the last
    one says `words`."""
    if isinstance(packets, str):
        packets = [packets]
    return Kind(packets, reasons.split(), verdict, words)


OWNERS = {"customer": "acme", "policy": "edge"}  # Of a VIP with all that is on it.
WEB = {"service": "web"} | OWNERS
ETHER = "02000000000a02000000000b"  # Addresses, for frames that are written out.
QUOTED = f"tcp {OWNED}:80 > 198.51.100.7:1234"

KINDS = [
    kind("tcp {c} > {w}:80 syn", "forwarded", "forward", **WEB),
    kind("tcp {c} > {w}:9 syn", "no_such_port", **OWNERS),
    kind("tcp {c6} > {v6}:80 syn", "forwarded", "forward", service="web6"),
    kind(["tcp {c} > {v}:81 syn", "tcp {c} > {v}:81 ack"], "forwarded forwarded_remembered", "forward",
         service="kept"),
    kind("tcp {c} > {v}:82 ack server_id=2", "forwarded_server_id", "forward", service="named",
         backend="ids/10.0.0.12"),
    kind("udp {c} > {v}:83 quic=000002aabbccdd", "forwarded_connection_id", "forward",
         service="quic", backend="ids/10.0.0.12"),
    kind("tcp {c} > {v}:84 syn", "no_backend", service="empty"),
    kind("tcp {c} > {v}:85 syn", "backend_unresolved", service="far", backend="far/10.0.0.99"),
    kind("udp {c} > {v}:87 len=1470 df", "too_big_replied too_big_unanswered", "", service="big"),
    kind("udp {c} > {v}:87 len=1470", "too_big_df_clear", service="big"),
    kind("tcp {c} > " + LOCAL + ":80 syn", "delivered_local", "pass", service="here"),
    kind("tcp {c} > " + PASSING + ":9 syn", "port_passed", "pass"),
    kind("tcp {c} > {v}:9 syn", "no_such_port"),
    kind("sctp {c} > {v}:9", "protocol_unsupported"),
    kind("udp {c} > 203.0.113.77:53", "not_ours", "pass", customer="umbrella"),
    kind("udp {c} > 203.0.114.77:53", "not_ours", "pass"),
    kind("ether 0x88cc len=60", "not_ip", "pass"),
    kind("tcp {c} > {v}:80 syn vlan=1,2,3", "vlan_depth", "pass"),
    kind("icmp6 {a6} > {v6} neighbour-solicitation", "neighbour_discovery", "pass"),
    kind("tcp {c} > {v}:80 syn cut=30", "hdr_truncated"),
    kind("hex:" + ETHER + "080065" + "00" * 60, "ip_version"),
    kind("hex:" + ETHER + "080044000028000100004006" + "0000" + "c6336407" + "c000020a" + "00" * 20,
         "ip_header_len"),
    kind("tcp {c} > {v}:80 syn ip_len=2000", "ip_total_len"),
    kind("tcp 127.0.0.1:{p} > {v}:80 syn", "ip_source_invalid"),
    kind("tcp {v}:{p} > {v}:80 syn", "land"),
    kind("tcp {c6} > {v6}:80 syn ext=destination,hop-by-hop", "ext_header_chain"),
    kind("tcp {c} > {v}:80 tcp_words=4", "tcp_header_len"),
    kind("tcp {c} > {v}:80 syn fin", "tcp_flags_invalid"),
    kind("udp {c} > {v}:83 udp_len=4", "udp_len"),
    kind("tcp {a} > {v} frag=8 len=64", "frag_tiny"),
    kind("udp {a} > {v} frag=1480 id={p} len=64", "frag_unknown"),
    kind(["udp {c} > {v}:83 frag=0+ id={p} len=64", "udp {a} > {v} frag=72 id={p} len=8"],
         "forwarded forwarded_fragment", "forward", service="quic"),
    kind("icmp {a} > {v} echo-request frag=0+ len=64", "frag_icmp"),
    kind("icmp {a} > {v} type=13", "icmp_type"),
    kind("icmp {a} > {v} echo-request", "echo_replied icmp_rate", ""),
    kind("icmp {a} > {v} echo-request checksum=1", "icmp_checksum icmp_rate"),
    kind("icmp {a} > {w} frag-needed mtu=1400 of ( " + QUOTED + " )", "forwarded_icmp_error",
         "forward", **WEB),
    kind("icmp {a} > {v} frag-needed mtu=1400 quote=24 of ( tcp {v}:80 > 198.51.100.7:1234 )",
         "icmp_quote_truncated"),
    kind("icmp {a} > {v} frag-needed mtu=1400 of ( tcp 203.0.114.1:80 > 198.51.100.7:1234 )",
         "icmp_quote_mismatch"),
    kind("icmp {a} > {v} frag-needed mtu=1400 of ( udp {v} > 198.51.100.7 frag=1480 len=64 )",
         "icmp_quote_undecided"),
    kind("icmp {a} > {v} frag-needed mtu=1400 of ( tcp {v}:82 > 198.51.100.7:1234 )",
         "forwarded_icmp_unsure", "forward", service="named"),
    kind("ipip " + PEER + " > " + TUNNEL_END + " { tcp {c} > {v}:80 syn }", "decapsulated", "pass"),
    kind("ipip 10.99.0.9 > " + TUNNEL_END + " { tcp {c} > {v}:80 syn }", "decap_source_refused",
         "pass"),
    kind("ipip " + PEER + " > " + TUNNEL_END + " { tcp {c} > 203.0.114.5:80 syn }",
         "decap_unknown_vip"),
    kind("ipip " + PEER + " > " + TUNNEL_END + " ecn=3 { tcp {c} > {v}:80 syn }", "decap_ecn"),
    kind("ipip " + PEER + " > " + TUNNEL_END + " frag=0+ { tcp {c} > {v}:80 syn len=64 }",
         "decap_fragment", "pass"),
    kind("hex:" + ETHER + "0800" + "450000200001000040" + "2f" + "0000" + "0aff0009" + "0a000002"
         + "20000800" + "00000001" + "00" * 4, "decap_header"),
]

VERDICTS = {"drop": {"drop"}, "pass": {"pass"}, "forward": {"tx", "redirect"},
            "": {"drop", "tx", "redirect"}}


def filled(packet: str, number: int) -> str:
    address = f"198.51.{100 + number // 200 % 100}.{number % 200 + 1}"
    port = 1024 + number % 60000
    for key, value in (("{c}", f"{address}:{port}"), ("{a}", address), ("{p}", str(port)),
                       ("{v}", VIP), ("{w}", OWNED), ("{v6}", VIP6), ("{a6}", f"2001:db8:c::{number % 9999 + 1}"),
                       ("{c6}", f"[2001:db8:c::{number % 9999 + 1}]:{port}")):
        packet = packet.replace(key, value)
    return packet.replace(f"> {VIP6}:80", f"> [{VIP6}]:80")


class Attribution(capture_case.CaptureCase):
    """A configuration with something for everybody."""

    far: tuple = ()  # What does not answer: at first nobody, so that the others can be waited for.

    @classmethod
    def build(cls) -> None:
        super().build()
        cls.far = ("10.0.0.99",)
        cls.town.apply(cls.document())

    @classmethod
    def document(cls, backends=None, **settings) -> dict:
        ids = [{"address": rack.backend4(n), "server_id": n} for n in (1, 2)]
        group_map = {"web": {"backends": [rack.backend4(n) for n in (1, 2, 3)]},
                     "ids": {"backends": ids},
                     "empty": {"backends": [{"address": rack.backend4(1), "weight": 0}]},
                     "far": {"backends": list(cls.far) or [rack.backend4(1)]}}

        def service(name, protocol, port, group, **more):
            return {"name": name, "vip": VIP, "protocol": protocol, "port": port, "forward": "ipip",
                    "group": group, "tracking": "never"} | more
        quic = {"quic-lb": {"server_id_length": 2}}
        services = [
            service("web", "tcp", 80, "web", vip=OWNED, **OWNERS),
            service("plain", "tcp", 80, "web"),
            service("web6", "tcp", 80, "web", vip=VIP6),
            service("kept", "tcp", 81, "web", tracking="always"),
            service("named", "tcp", 82, "ids", route_by="tcp-server-id"),
            service("quic", "udp", 83, "ids", route_by=quic),
            service("empty", "tcp", 84, "empty"), service("far", "tcp", 85, "far"),
            service("big", "udp", 87, "web"),
            service("passing", "tcp", 80, "web", vip=PASSING, unmatched="pass"),
            {"name": "here", "vip": LOCAL, "protocol": "tcp", "port": 80, "forward": "local"}]
        out = rack.document(services, interfaces=("eth0", "eth1"), group_map=group_map, icmp_rate=40,
                            decap={"from": ["10.255.0.0/24"], "addresses": [TUNNEL_END]})
        out["protected"] = [{"prefix": "203.0.113.0/24", "customer": "umbrella"}]
        return out

    def mix(self) -> list:
        """(kind, notation) in the order of sending; kinds of several packets stay together."""
        turns = [each for each in KINDS for _ in range(PACKETS // len(KINDS))]
        # Each has its own: the last turns make the number whole.
        random.Random(capture_case.flow_case.SEED).shuffle(turns)
        out = []
        for number, each in enumerate(turns):
            out += [(each, filled(packet, number)) for packet in each.packets]
        return out

    def judge_frame(self, each: Kind, notation: str, frame, is_last: bool) -> list:
        """What is wrong with it."""
        words = frame.words
        wrong = []
        if words["reason"] not in each.reasons:
            wrong.append(f"reason {words['reason']}, not one of {each.reasons}")
        if words["verdict"] not in VERDICTS[each.verdict]:
            wrong.append(f"verdict {words['verdict']}")
        if XDP_ACTIONS[frame.ebpf_xdp] != words["verdict"]:
            wrong.append(f"verdict option {frame.ebpf_xdp}")
        expected = each.words if is_last else {}
        wrong += [f"{key} {words.get(key)}, not {value}" for key, value in expected.items()
                  if words.get(key) != value]
        if is_last and not wrong and len(each.packets) == 1:
            wrong += [f"{key} {words[key]}" for key in ("service", "customer", "policy")
                      if key in words and key not in expected]
        return [f"{notation}: {what}; {frame.comment}" for what in wrong]

    def test_every_packet_is_told_and_counted_for_its_reason(self):
        mix = self.mix()
        self.assertGreaterEqual(len(mix), PACKETS)
        capture = Capture(self)
        before = self.reasons()
        self.assertEqual(self.send([notation for _, notation in mix], rate=4000), len(mix))
        after = self.reasons()
        sums = capture.stop()
        self.assertEqual((sums.matched, sums.lost), (sums.written, 0))
        frames = capture.frames()
        ours = [frame for frame in frames
                if frame.interface_name == "eth1" and frame.packet_flags_direction == IN]
        self.assertEqual(len(ours), len(mix))
        wrong = []
        for number, ((each, notation), frame) in enumerate(zip(mix, ours)):
            is_last = number + 1 == len(mix) or mix[number + 1][0] is not each or \
                len(each.packets) == 1 or notation.split()[:4] != mix[number + 1][1].split()[:4]
            wrong += self.judge_frame(each, notation, frame, is_last)
        kinds = collections.Counter(line.split(": ", 1)[1] for line in wrong)
        self.assertEqual(len(wrong), 0, "\n".join(wrong[:20] + [str(kinds.most_common(20))]))
        self.judge_counters(before, after, ours, frames)
        self.judge_sent(frames)
        self.figures("attribution", packets=len(mix), frames=len(frames),
                     reasons=len({frame.words["reason"] for frame in ours}))

    def judge_counters(self, before, after, ours, frames) -> None:
        told = collections.Counter(frame.words["reason"] for frame in ours)
        others = collections.Counter(frame.words["reason"] for frame in frames
                                     if frame.interface_name != "eth1"
                                     and frame.packet_flags_direction == IN)
        moved = {reason: after[reason] - before.get(reason, 0) for reason in after
                 if after[reason] != before.get(reason, 0)}
        self.assertLessEqual(set(others), set(SHARED))
        for reason in set(told) | set(moved):
            with self.subTest(reason=reason):
                if reason in SHARED:
                    self.assertTrue(told[reason] <= moved.get(reason, 0)
                                    <= told[reason] + others[reason])
                else:
                    self.assertEqual(moved.get(reason, 0), told[reason])

    def judge_sent(self, frames) -> None:
        """What left is there as it was sent, and nothing of what was dropped."""
        sent = {frame.packet_id: frame for frame in frames if frame.packet_flags_direction == OUT}
        for frame in frames:
            if frame.packet_flags_direction != IN:
                continue
            out = sent.get(frame.packet_id)
            self.assertEqual(out is None, frame.words["verdict"] == "drop", frame)
            if frame.words["reason"] == "forwarded" and "service" in frame.words:
                self.assertEqual(int(out.len), int(frame.len) + 20, frame)


if __name__ == "__main__":
    capture_case.main()
