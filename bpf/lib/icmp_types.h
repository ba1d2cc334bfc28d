/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * Types of ICMP (RFC 792) and ICMPv6 (RFC 4443, 4861), and which of them speak of another packet.
 */

#include "lib/packet.h"

#define SLC_ICMP4_ECHO_REPLY 0
#define SLC_ICMP4_UNREACHABLE 3
#define SLC_ICMP4_ECHO 8
#define SLC_ICMP4_TIME_EXCEEDED 11
#define SLC_ICMP4_PARAMETER 12
#define SLC_ICMP6_UNREACHABLE 1
#define SLC_ICMP6_TOO_BIG 2
#define SLC_ICMP6_TIME_EXCEEDED 3
#define SLC_ICMP6_PARAMETER 4
#define SLC_ICMP6_ECHO 128
#define SLC_ICMP6_ECHO_REPLY 129
#define SLC_ICMP6_ROUTER_SOLICITATION 133
#define SLC_ICMP6_REDIRECT 137

SLC_INLINE int slc_icmp_type_is_error(int is_ip6, __u8 type)
{
    if (is_ip6)
        return type >= SLC_ICMP6_UNREACHABLE && type <= SLC_ICMP6_PARAMETER;
    return type == SLC_ICMP4_UNREACHABLE || type == SLC_ICMP4_TIME_EXCEEDED ||
           type == SLC_ICMP4_PARAMETER;
}
