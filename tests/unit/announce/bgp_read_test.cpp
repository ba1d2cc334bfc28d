// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "announce/bgp_message.h"
#include "tests/unit/announce/bgp_bytes.h"

namespace sluice::announce {
namespace {

struct Malformed {
    const char* name;
    Bytes input;
    BgpNotification want;
};

Bytes with_byte(Bytes bytes, std::size_t at, std::uint8_t value) {
    bytes[at] = value;
    return bytes;
}

Bytes with_length(Bytes bytes, std::uint16_t length) {
    bytes[16] = static_cast<std::uint8_t>(length >> 8);
    bytes[17] = static_cast<std::uint8_t>(length);
    return bytes;
}

// Version 4, AS 65000, hold time 9, router id 10.0.0.1.
constexpr const char* kOpenHead = "04 fde8 0009 0a000001";

Bytes open_with(std::string_view parameters) {
    return message(1, std::string(kOpenHead) + std::string(parameters));
}

TEST(bgp_read, malformed_messages_end_the_session_with_the_right_notification) {
    const Malformed cases[] = {
        // RFC 4271 6.1: header.
        {"marker_begins_wrong", with_byte(message(4, ""), 0, 0xfe), {1, 1, {}}},
        {"marker_ends_wrong", with_byte(message(4, ""), 15, 0), {1, 1, {}}},
        {"one_wrong_byte_of_a_marker_is_enough", {0x16}, {1, 1, {}}},
        {"text", {'G', 'E', 'T', ' ', '/'}, {1, 1, {}}},
        {"length_below_a_header", with_length(message(4, ""), 18), {1, 2, hex("0012")}},
        {"length_zero", with_length(message(4, ""), 0), {1, 2, hex("0000")}},
        {"length_above_the_maximum", with_length(message(2, ""), 4097), {1, 2, hex("1001")}},
        {"length_known_before_the_type", with_length(Bytes(18, 0xff), 5000), {1, 2, hex("1388")}},
        {"open_too_short", message(1, "04 fde8 0009 0a0000"), {1, 2, hex("001b")}},
        {"update_too_short", message(2, "0000 00"), {1, 2, hex("0016")}},
        {"notification_too_short", message(3, "06"), {1, 2, hex("0014")}},
        {"keepalive_with_a_body", message(4, "00"), {1, 2, hex("0014")}},
        {"route_refresh_too_long", message(5, "0001 00 01 00"), {1, 2, hex("0018")}},
        {"type_zero", message(0, ""), {1, 3, hex("00")}},
        {"type_unknown", message(6, ""), {1, 3, hex("06")}},
        {"type_unknown_before_its_body", with_length(message(255, ""), 4000), {1, 3, hex("ff")}},
        // RFC 4271 6.2: OPEN.
        {"version_3", message(1, "03 fde8 0009 0a000001 00"), {2, 1, hex("0004")}},
        {"version_5", message(1, "05 fde8 0009 0a000001 00"), {2, 1, hex("0004")}},
        {"as_zero", message(1, "04 0000 0009 0a000001 00"), {2, 2, {}}},
        {"as_zero_in_the_capability", open_with("08 02 06 41 04 00000000"), {2, 2, {}}},
        {"router_id_zero", message(1, "04 fde8 0009 00000000 00"), {2, 3, {}}},
        {"hold_time_1", message(1, "04 fde8 0001 0a000001 00"), {2, 6, {}}},
        {"hold_time_2", message(1, "04 fde8 0002 0a000001 00"), {2, 6, {}}},
        {"authentication_parameter", open_with("03 01 01 00"), {2, 4, {}}},
        {"unknown_parameter", open_with("02 09 00"), {2, 4, {}}},
        {"parameters_longer_than_the_message", open_with("05 02 02 02 00"), {2, 0, {}}},
        {"parameters_shorter_than_the_message", open_with("00 02 02 02 00"), {2, 0, {}}},
        {"parameter_cut_short", open_with("01 02"), {2, 0, {}}},
        {"parameter_longer_than_the_rest", open_with("04 02 03 02 00"), {2, 0, {}}},
        {"capability_cut_short", open_with("03 02 01 02"), {2, 0, {}}},
        {"capability_longer_than_its_parameter", open_with("04 02 02 41 04"), {2, 0, {}}},
        {"family_capability_of_3_bytes", open_with("07 02 05 01 03 000100"), {2, 0, {}}},
        {"as4_capability_of_2_bytes", open_with("06 02 04 41 02 fde8"), {2, 0, {}}},
        {"refresh_capability_of_1_byte", open_with("05 02 03 02 01 00"), {2, 0, {}}},
        {"restart_capability_of_1_byte", open_with("05 02 03 40 01 00"), {2, 0, {}}},
        {"restart_capability_of_5_bytes", open_with("09 02 07 40 05 0078000101"), {2, 0, {}}},
        {"extended_length_missing", open_with("ff ff 00"), {2, 0, {}}},
        {"extended_length_wrong", open_with("ff ff 0009 02 0002 02 00"), {2, 0, {}}},
        {"extended_parameter_cut_short", open_with("ff ff 0002 02 00"), {2, 0, {}}},
        // RFC 4271 6.3: UPDATE, as far as its framing goes.
        {"withdrawn_longer_than_the_message", message(2, "0003 0000"), {3, 1, {}}},
        {"attributes_longer_than_the_message", message(2, "0000 0001"), {3, 1, {}}},
        {"no_length_of_attributes", message(2, "0002 0840"), {3, 1, {}}},
        {"attribute_without_a_type", message(2, "0000 0001 40"), {3, 1, {}}},
        {"attribute_without_a_length", message(2, "0000 0002 4001"), {3, 1, {}}},
        {"attribute_longer_than_the_rest", message(2, "0000 0003 400101"), {3, 1, {}}},
        {"extended_attribute_cut_short", message(2, "0000 0003 500100"), {3, 1, {}}},
        {"withdrawn_prefix_of_33_bits", message(2, "0006 21c000020100 0000"), {3, 10, {}}},
        {"withdrawn_prefix_cut_short", message(2, "0003 18c000 0000"), {3, 10, {}}},
        {"announced_prefix_of_255_bits", message(2, "0000 0000 ff"), {3, 10, {}}},
        {"announced_prefix_cut_short", message(2, "0000 0000 20c00002"), {3, 10, {}}},
    };
    for (const Malformed& one : cases) {
        SCOPED_TRACE(one.name);
        const BgpRead read = read_bgp(one.input);
        EXPECT_FALSE(read.message.has_value());
        ASSERT_TRUE(read.error.has_value());
        EXPECT_EQ(*read.error, one.want) << read.error->text();
    }
}

BgpOpen plain_open() {
    return {.as = 65000,
            .hold_time_s = 9,
            .router_id = 0x0a000001,
            .ip4 = true,
            .ip6 = false,
            .has_families = false,
            .has_as4 = false,
            .has_refresh = false,
            .restart = std::nullopt};
}

struct Understood {
    const char* name;
    Bytes input;
    BgpMessage want;
};

std::vector<Understood> opens() {
    BgpOpen full{.as = 4200000001,
                 .hold_time_s = 90,
                 .router_id = 0xc0000201,
                 .restart = BgpRestart{.is_restarting = true, .time_s = 120}};
    full.restart->keeps_forwarding = false;  // Of the peer's it is not read.
    BgpOpen only_ip6 = plain_open();
    only_ip6.ip4 = false;
    only_ip6.ip6 = only_ip6.has_families = true;
    BgpOpen multicast = only_ip6;
    multicast.ip6 = false;
    BgpOpen refreshing = plain_open();
    refreshing.has_refresh = true;
    BgpOpen long_as = plain_open();
    long_as.has_as4 = true;
    BgpOpen no_hold = plain_open();
    no_hold.hold_time_s = 0;
    return {
        {"plain", open_with("00"), plain_open()},
        {"hold_time_zero", message(1, "04 fde8 0000 0a000001 00"), no_hold},
        {"all_capabilities",
         message(1,
                 "04 5ba0 005a c0000201 22 02 20 0104 0001 00 01  0104 0002 00 01  0200 "
                 " 4104 fa56ea01  400a 8078 0001 01 80 0002 01 80"),
         full},
        {"one_parameter_each", open_with("10 02 06 0104 0002 00 01  02 06 4104 0000fde8"),
         BgpOpen{.as = 65000,
                 .hold_time_s = 9,
                 .router_id = 0x0a000001,
                 .ip4 = false,
                 .has_refresh = false}},
        {"only_ip6", open_with("08 02 06 0104 0002 00 01"), only_ip6},
        {"only_multicast", open_with("08 02 06 0104 0001 00 02"), multicast},
        {"unknown_capability", open_with("05 02 03 4601 ff"), plain_open()},
        {"extended", open_with("ff ff 0005 02 0002 0200"), refreshing},
        {"extended_with_a_zero_in_front", open_with("01 ff 0005 02 0002 0200"), refreshing},
        {"the_same_as_twice", open_with("0e 02 0c 4104 0000fde8 4104 0000fde8"), long_as},
    };
}

TEST(bgp_read, well_formed_messages_are_understood) {
    std::vector<Understood> cases = opens();
    const Understood others[] = {
        {"keepalive", message(4, ""), BgpKeepalive{}},
        {"route_refresh", message(5, "0002 00 01"), BgpRouteRefresh{2, 1}},
        {"notification", message(3, "06 02"), BgpNotification{6, 2, {}}},
        {"notification_with_data", message(3, "06 04 03 6d6178"),
         BgpNotification{6, 4, hex("036d6178")}},
        {"unknown_notification", message(3, "ff ff 00"), BgpNotification{255, 255, {0}}},
        {"end_of_rib", message(2, "0000 0000"), BgpUpdateSeen{}},
        {"announcement", message(2, "0000 0004 40010100 20c0000201 00 08 0a"), BgpUpdateSeen{}},
        {"withdrawal", message(2, "0005 20c0000201 0000"), BgpUpdateSeen{}},
        {"attribute_of_extended_length", message(2, "0000 0005 50010001ff"), BgpUpdateSeen{}},
        // RFC 7606: what is in an attribute does not end a session that imports nothing.
        {"strange_origin", message(2, "0000 0004 400101ff 20c0000201"), BgpUpdateSeen{}},
        {"the_same_attribute_twice", message(2, "0000 0008 40010100 40010100"), BgpUpdateSeen{}},
    };
    cases.insert(cases.end(), std::begin(others), std::end(others));
    for (const Understood& one : cases) {
        SCOPED_TRACE(one.name);
        const BgpRead read = read_bgp(one.input);
        ASSERT_FALSE(read.error.has_value()) << read.error->text();
        ASSERT_TRUE(read.message.has_value());
        EXPECT_EQ(read.size, one.input.size());
        EXPECT_TRUE(*read.message == one.want);
    }
}

TEST(bgp_read, every_prefix_of_a_message_waits_for_more) {
    for (const Understood& one : opens()) {
        for (std::size_t size = 0; size < one.input.size(); ++size) {
            const BgpRead read = read_bgp(ByteView(one.input).first(size));
            EXPECT_FALSE(read.error.has_value()) << one.name << " " << size;
            EXPECT_FALSE(read.message.has_value()) << one.name << " " << size;
        }
    }
}

TEST(bgp_read, only_the_first_of_several_messages_is_taken) {
    const Bytes two = message(4, "") + message(5, "0001 00 01");
    const BgpRead read = read_bgp(two);
    ASSERT_TRUE(read.message.has_value());
    EXPECT_EQ(read.size, kBgpHeader);
    EXPECT_EQ(read.type, BgpType::keepalive);
}

TEST(bgp_text, notifications_are_said_in_words) {
    struct {
        BgpNotification notification;
        const char* want;
    } const cases[] = {
        {{6, 2, {}}, "6/2 cease: administrative shutdown"},
        {{6, 2, hex("05 68656c6c6f")}, "6/2 cease: administrative shutdown (\"hello\")"},
        {{6, 4, hex("ff 68690a22")}, "6/4 cease: administrative reset (\"hi??\")"},
        {{6, 2, hex("05")}, "6/2 cease: administrative shutdown"},
        {{6, 1, hex("05 68656c6c6f")}, "6/1 cease: maximum number of prefixes reached"},
        {{4, 0, {}}, "4/0 hold timer expired"},
        {{2, 0, {}}, "2/0 OPEN message error"},
        {{2, 99, {}}, "2/99 OPEN message error"},
        {{99, 1, {}}, "99/1"},
    };
    for (const auto& one : cases) EXPECT_EQ(one.notification.text(), one.want);
}

}  // namespace
}  // namespace sluice::announce
