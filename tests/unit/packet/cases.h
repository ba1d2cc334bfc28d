// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Packets in the notation: what is right in every sum and length, and what is wrong on purpose.

namespace sluice::packet {

/// Whole and right: judged by scapy too (tests/packet/verify.py).
inline constexpr const char* kRightPackets[] = {
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443",
    "tcp 198.51.100.7:1234>192.0.2.10:443 syn+ack",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 psh ack data=48656c6c6f",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 none",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn+fin+rst+psh+ack+urg+ece+cwr",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=1400 ttl=3 dscp=46 ecn=1 df",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack server_id=4294967295",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn options=020405b40402080a0000000100000000",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack options=0101080a0000000100000002 data=00 len=9",
    "tcp [2001:db8::1]:1234 > [2001:db8::2]:443 syn",
    "tcp [2001:db8::1]:1 > [2001:db8::2]:65535 rst len=9001 dscp=63",
    "udp 198.51.100.7:1234 > 192.0.2.10:53",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 len=1",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 len=33 ttl=255",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 data=c0ffee len=80 ip_options=94040000",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 checksum=0 len=3",
    "udp [2001:db8::1]:1234 > [2001:db8::2]:53 data=ff",
    "udp [2001:db8::1]:1 > [2001:db8::2]:53 ext=hop-by-hop,destination,routing,auth len=5",
    "udp 198.51.100.7:1234 > 192.0.2.10:443 quic=0102030405060708",
    "udp 198.51.100.7:1234 > 192.0.2.10:443 quic_initial=0102030405060708",
    "udp [2001:db8::1]:1234 > [2001:db8::2]:443 quic_handshake=0102030405060708 len=200",
    "udp 198.51.100.7:1234 > 192.0.2.10:443 quic_0rtt=00112233445566778899aabbccddeeff00112233",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 frag=0+ id=7 len=1480",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 frag=1480 id=7 len=20",
    "udp 198.51.100.7 > 192.0.2.10 frag=65528 id=65535 data=01",
    "udp [2001:db8::1]:1234 > [2001:db8::2]:53 frag=0+ id=4294967295 len=1224",
    "udp [2001:db8::1] > [2001:db8::2] frag=1232+ id=4294967295 len=16",
    "tcp [2001:db8::1]:1234 > [2001:db8::2]:53 syn frag=0",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn frag=0+",
    "icmp 198.51.100.7 > 192.0.2.10 echo-request",
    "icmp 198.51.100.7 > 192.0.2.10 echo-reply echo_id=7 echo_seq=65535 len=56",
    "icmp 198.51.100.7 > 192.0.2.10 type=13 len=12",
    "icmp6 2001:db8::1 > 2001:db8::2 echo-request len=1400",
    "icmp6 2001:db8::1 > 2001:db8::2 neighbour-solicitation ttl=255",
    "icmp6 2001:db8::1 > 2001:db8::2 neighbour-advertisement ttl=255 "
    "data=20010db8000000000000000000000003 rest=0x60000000",
    "icmp6 2001:db8::1 > 2001:db8::2 router-solicitation ttl=255",
    "icmp 198.51.100.1 > 192.0.2.10 frag-needed mtu=1400 of "
    "( tcp 192.0.2.10:443 > 198.51.100.7:1234 ack len=1460 df )",
    "icmp 198.51.100.1 > 192.0.2.10 frag-needed mtu=1400 quote=28 of "
    "(tcp 192.0.2.10:443 > 198.51.100.7:1234 len=1460)",
    "icmp 198.51.100.1 > 192.0.2.10 unreachable of ( udp 192.0.2.10:53 > 198.51.100.7:99 len=4 )",
    "icmp 198.51.100.1 > 192.0.2.10 unreachable code=3 of ( udp 192.0.2.10:53 > 198.51.100.7:99 )",
    "icmp 198.51.100.1 > 192.0.2.10 time-exceeded of ( icmp 192.0.2.10 > 198.51.100.7 echo-reply )",
    "icmp6 2001:db8:1::1 > 2001:db8::2 packet-too-big mtu=1280 quote=1000 of "
    "( tcp [2001:db8::2]:443 > [2001:db8::1]:1234 ack len=1380 )",
    "icmp6 2001:db8:1::1 > 2001:db8::2 unreachable code=4 of "
    "( udp [2001:db8::2]:53 > [2001:db8::1]:1234 )",
    "icmp6 2001:db8:1::1 > 2001:db8::2 time-exceeded vlan=7 of "
    "( ipip 2001:db8::2 > 2001:db8::9 { tcp 192.0.2.10:443 > 198.51.100.7:1234 ack } )",
    "sctp 198.51.100.7:1234 > 192.0.2.10:443 len=16",
    "sctp [2001:db8::1]:1234 > [2001:db8::2]:443 len=16",
    "ip 198.51.100.7 > 192.0.2.10 proto=50 len=40",
    "ip 2001:db8::1 > 2001:db8::2 proto=89",
    "ipip 10.0.0.1 > 10.0.0.2 { tcp 198.51.100.7:1234 > 192.0.2.10:443 syn }",
    "ipip 10.0.0.1 > 10.0.0.2 dscp=1 { udp [2001:db8::1]:1234 > [2001:db8::2]:53 len=9 } vlan=10",
    "ipip 2001:db8::1 > 2001:db8::2 { tcp 198.51.100.7:1234 > 192.0.2.10:443 syn }",
    "gre 10.0.0.1 > 10.0.0.2 { tcp 198.51.100.7:1234 > 192.0.2.10:443 syn }",
    "gre 2001:db8::1 > 2001:db8::2 ttl=9 { icmp6 2001:db8::1 > 2001:db8::2 echo-request }",
    "gue 10.0.0.1 > 10.0.0.2 { tcp 198.51.100.7:1234 > 192.0.2.10:443 syn }",
    "gue [2001:db8::1]:60000 > [2001:db8::2]:6080 { udp 198.51.100.7:1 > 192.0.2.10:2 }",
    "gue 10.0.0.1 > 10.0.0.2 checksum=0 { tcp 198.51.100.7:1234 > 192.0.2.10:443 syn }",
    "gue 10.0.0.1 > 10.0.0.2 { ipip 10.1.0.1 > 10.1.0.2 { udp 1.0.0.1:1 > 1.0.0.2:2 len=5 } }",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn vlan=10",
    "tcp [2001:db8::1]:1234 > [2001:db8::2]:443 syn vlan=10,20",
};

/// Built as they are written, right or wrong.
inline constexpr const char* kOddPackets[] = {
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn cut=20",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn cut=0",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn cut=13 vlan=1,2,3,4",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn tcp_words=4",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn tcp_words=15",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn ip_len=2000",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn ip_len=19",
    "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn ip_checksum=0xdead",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 udp_len=7",
    "udp 198.51.100.7:1234 > 192.0.2.10:53 len=10 udp_len=100",
    "icmp 198.51.100.7 > 192.0.2.10 echo-request checksum=1",
    "icmp 198.51.100.7 > 192.0.2.10 unreachable quote=7 of ( udp 1.0.0.1:1 > 1.0.0.2:2 )",
    "icmp 198.51.100.7 > 192.0.2.10 unreachable",
    "udp 1.0.0.1:1 > 1.0.0.2:2 vlan=1,2,3",
    "ether 0x0806 len=28",
    "ether 0x88cc data=0207 vlan=5",
    "ether 0xffff",
    "hex:00",
    "hex:0200000000010200000000c1080055 len=200",
    "hex ip:4400001400000000403fffff0a0000010a000002",
    "hex ip:45000014000000004006 len=60 vlan=12",
    "hex:ffffffffffff0200000000c1000401020304",
    "hex:0200000000010200000000c1810081008100810081008100",
};

}  // namespace sluice::packet
