// SPDX-License-Identifier: Apache-2.0
// Sampled packets as frames again. No kernel.
#include "proof/sample_frame.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "packet/notation.h"
#include "tests/unit/proof/sample.h"

namespace sluice::proof {
namespace {

std::string told(const slc_sample& sample) {
    const auto frame = frame_of(sample);
    return frame ? packet::describe(*frame) : "none";
}

TEST(SampleFrame, is_the_packet_that_was_received) {
    for (const char* notation :
         {"tcp 198.51.100.7:1 > 192.0.2.10:443 syn",
          "udp [2001:db8::1]:1 > [2001:db8::2]:53 len=99",
          "icmp 198.51.100.7 > 192.0.2.10 echo-request", "ether 0x0806 len=28",
          "tcp 198.51.100.7:1 > 192.0.2.10:443 ack len=1460",
          "tcp [2001:db8::1]:1 > [2001:db8::2]:443 ack len=9000",
          "udp 198.51.100.7 > 192.0.2.10 len=900 frag=1480 id=3"})
        EXPECT_EQ(told(sample_of(notation)), notation);
}

TEST(SampleFrame, is_as_long_as_the_packet_was) {
    const auto frame = frame_of(sample_of("tcp 198.51.100.7:1 > 192.0.2.10:443 ack len=1460"));
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->size(), 14u + 40 + 1460);
}

TEST(SampleFrame, stays_cut_where_the_frame_itself_was) {
    slc_sample sample = sample_of("tcp 198.51.100.7:1 > 192.0.2.10:443 ack len=1460");
    sample.rec.len = 300;
    EXPECT_EQ(frame_of(sample)->size(), 300u);
    sample = sample_of("tcp 198.51.100.7:1 > 192.0.2.10:443 ack ip_len=60000");
    EXPECT_EQ(frame_of(sample)->size(), 54u);
}

TEST(SampleFrame, is_none_without_bytes_or_where_a_sum_is_looked_at) {
    slc_sample sample = sample_of("tcp 198.51.100.7:1 > 192.0.2.10:443 syn");
    sample.cap_len = 0;
    EXPECT_EQ(told(sample), "none");
    EXPECT_EQ(told(sample_of("icmp 198.51.100.7 > 192.0.2.10 echo-request len=1000")), "none");
    EXPECT_EQ(told(sample_of("icmp6 2001:db8::1 > 2001:db8::2 echo-request len=1000")), "none");
}

TEST(SampleFrame, survives_any_sample) {
    slc_sample sample{};
    for (unsigned size = 0; size <= 1000; ++size) {
        sample.cap_len = static_cast<slc_u16>(size);
        sample.rec.len = size * 40;
        for (const std::uint16_t type : {0x0800, 0x86dd, 0x0806, 0}) {
            sample.proto_be = htons(type);
            std::ranges::fill(sample.data, static_cast<slc_u8>(size * 7 + type));
            const auto frame = frame_of(sample);
            EXPECT_EQ(frame.has_value(), size != 0);
            EXPECT_LE(frame ? frame->size() : 0, 14u + SLC_MAX_FRAME_LEN);
        }
    }
}

}  // namespace
}  // namespace sluice::proof
