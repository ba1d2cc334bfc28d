// SPDX-License-Identifier: Apache-2.0
#include "plan/ids.h"

#include <gtest/gtest.h>

#include "sluice/limits.h"

namespace sluice::plan {
namespace {

std::uint32_t assign(IdSpace& space, const std::string& name) {
    auto id = space.assign(name);
    EXPECT_TRUE(id.has_value()) << name;
    return id.value_or(0);
}

TEST(IdSpace, gives_the_lowest_id_never_used_first) {
    IdSpace space(10);
    EXPECT_EQ(space.highest(), 0u);
    EXPECT_EQ(assign(space, "a"), 1u);
    EXPECT_EQ(assign(space, "b"), 2u);
    EXPECT_EQ(assign(space, "a"), 1u);
    EXPECT_EQ(space.find("b"), 2u);
    EXPECT_EQ(space.find("c"), 0u);
    EXPECT_EQ(space.highest(), 2u);
}

TEST(IdSpace, does_not_reuse_a_released_id_while_fresh_ones_are_left) {
    IdSpace space(4);
    assign(space, "a");
    assign(space, "b");
    space.retain({"b"});
    EXPECT_EQ(space.find("a"), 0u);
    EXPECT_EQ(assign(space, "c"), 3u);
    EXPECT_EQ(assign(space, "d"), 1u);
}

TEST(IdSpace, reuses_the_oldest_release_first_and_never_a_held_id) {
    IdSpace space(5);
    for (const char* name : {"a", "b", "c", "d"}) assign(space, name);
    space.retain({"a", "b", "d"});  // c first
    space.retain({"b", "d"});       // then a
    EXPECT_EQ(assign(space, "e"), 3u);
    EXPECT_EQ(assign(space, "f"), 1u);
    const auto full = space.assign("g");
    ASSERT_FALSE(full.has_value());
    EXPECT_EQ(full.error().code, Errc::limit);
    EXPECT_EQ(full.error().what, "no id left for g: all 4 are in use");
    EXPECT_EQ(space.find("b"), 2u);
    EXPECT_EQ(space.find("d"), 4u);
}

TEST(IdSpace, gives_a_name_that_comes_back_its_old_id) {
    IdSpace space(10);
    for (const char* name : {"a", "b", "c"}) assign(space, name);
    space.retain({"c"});
    EXPECT_EQ(assign(space, "b"), 2u);
    EXPECT_EQ(assign(space, "d"), 4u);
}

TEST(IdSpace, gives_a_name_whose_id_was_reused_another_one) {
    IdSpace space(3);
    assign(space, "a");
    assign(space, "b");
    space.retain({"b"});
    EXPECT_EQ(assign(space, "c"), 1u);
    EXPECT_FALSE(space.assign("a").has_value());
    space.retain({"c"});
    EXPECT_EQ(assign(space, "a"), 2u);
}

TEST(IdSpace, of_limit_one_is_always_full) {
    IdSpace space(1);
    EXPECT_FALSE(space.assign("a").has_value());
    EXPECT_EQ(space.highest(), 0u);
}

TEST(IdStore, has_the_limits_of_the_abi) {
    IdStore store;
    for (std::uint32_t i = 1; i < SLC_MAX_SERVICES; ++i) {
        ASSERT_EQ(assign(store.services, std::to_string(i)), i);
    }
    EXPECT_FALSE(store.services.assign("one more").has_value());
}

TEST(IdStore, survives_json_whole) {
    IdStore store;
    for (const char* name : {"web", "dns", "mail"}) assign(store.services, name);
    for (const char* name : {"web/10.0.0.5", "web/2001:db8::5", "a \"quoted\\ name\n"}) {
        assign(store.members, name);
    }
    assign(store.customers, "acme");
    store.services.retain({"dns"});
    store.services.retain({});

    auto copy = IdStore::from_json(store.to_json());
    ASSERT_TRUE(copy.has_value()) << copy.error().what;
    EXPECT_EQ(copy->to_json(), store.to_json());
    EXPECT_EQ(copy->members.names(), store.members.names());
    EXPECT_EQ(copy->services.highest(), 3u);
    EXPECT_EQ(copy->policies.highest(), 0u);
    // The order of releases survives too: mail and web together, in name order, then dns.
    for (int i = 4; i < SLC_MAX_SERVICES; ++i) assign(copy->services, std::to_string(i));
    EXPECT_EQ(assign(copy->services, "x"), 3u);
    EXPECT_EQ(assign(copy->services, "y"), 1u);
    EXPECT_EQ(assign(copy->services, "z"), 2u);
}

TEST(IdStore, writes_a_format_that_is_asserted_whole) {
    IdStore store;
    assign(store.services, "web");
    assign(store.services, "dns");
    store.services.retain({"dns"});
    EXPECT_EQ(store.to_json(),
              R"({"customers":{"names":[],"next":1,"released":[]},)"
              R"("members":{"names":[],"next":1,"released":[]},)"
              R"("policies":{"names":[],"next":1,"released":[]},)"
              R"("services":{"names":[["dns",2]],"next":3,"released":[["web",1]]},)"
              R"("version":1})"
              "\n");
}

TEST(IdStore, does_not_throw_for_a_name_that_is_not_utf8) {
    IdStore store;
    assign(store.services, "\xff\xfe");
    EXPECT_TRUE(IdStore::from_json(store.to_json()).has_value());
}

std::string with_services(const std::string& services) {
    const std::string empty = R"({"names":[],"next":1,"released":[]})";
    return R"({"version":1,"members":)" + empty + R"(,"customers":)" + empty + R"(,"policies":)" +
           empty + R"(,"services":)" + services + "}";
}

TEST(IdStore, reads_with_any_white_space) {
    EXPECT_TRUE(IdStore::from_json(
                    with_services("\n {\"next\": 2,\t\"names\":[[ \"a\", 1]], \"released\":[]}\n"))
                    .has_value());
}

TEST(IdStore, refuses_faulty_input_and_says_what_is_wrong) {
    struct Case {
        std::string name;
        std::string text;
        std::string want;
    };
    const Case cases[] = {
        {"empty", "", "id store: not JSON"},
        {"cut_short", R"({"version":1,)", "id store: not JSON"},
        {"trailing_text", with_services(R"({"names":[],"next":1,"released":[]})") + "x",
         "id store: not JSON"},
        {"a_list", "[]", "id store: expected version, services, members, customers and policies"},
        {"a_space_missing", R"({"version":1,"services":{},"members":{},"customers":{}})",
         "id store: expected version, services, members, customers and policies"},
        {"a_key_twice", R"({"version":1,"version":1})", "id store: key version comes twice"},
        {"another_version",
         R"({"version":2,"services":{},"members":{},"customers":{},"policies":{}})",
         "id store: version 2 is not 1"},
        {"a_version_in_quotes",
         R"({"version":"1","services":{},"members":{},"customers":{},"policies":{}})",
         "id store: version \"1\" is not 1"},
        {"an_unknown_key", with_services(R"({"names":[],"next":1,"released":[],"more":1})"),
         "services: id store: expected next, names and released"},
        {"next_zero", with_services(R"({"names":[],"next":0,"released":[]})"),
         "services: id store: next is 0, not in 1..65536"},
        {"next_beyond_the_limit", with_services(R"({"names":[],"next":65537,"released":[]})"),
         "services: id store: next is 65537, not in 1..65536"},
        {"next_negative", with_services(R"({"names":[],"next":-1,"released":[]})"),
         "services: id store: next is -1, not in 1..65536"},
        {"next_beyond_64_bits",
         with_services(R"({"names":[],"next":99999999999999999999,"released":[]})"),
         "services: id store: next is 1e+20, not in 1..65536"},
        {"names_as_an_object", with_services(R"({"names":{"a":1},"next":2,"released":[]})"),
         "services: id store: names and released are not both lists"},
        {"a_pair_of_one", with_services(R"({"names":[["a"]],"next":2,"released":[]})"),
         R"(services: names: id store: expected [name, id], found ["a"])"},
        {"a_fractional_id", with_services(R"({"names":[["a",1.5]],"next":2,"released":[]})"),
         R"(services: names: id store: expected [name, id], found ["a",1.5])"},
        {"id_zero", with_services(R"({"names":[["a",0]],"next":2,"released":[]})"),
         "services: names: id store: id 0 of a is not in 1..1"},
        {"id_not_below_next", with_services(R"({"names":[["a",2]],"next":2,"released":[]})"),
         "services: names: id store: id 2 of a is not in 1..1"},
        {"id_twice", with_services(R"({"names":[["a",1],["b",1]],"next":3,"released":[]})"),
         "services: names: id store: id 1 is given twice"},
        {"id_held_and_released",
         with_services(R"({"names":[["a",1]],"next":3,"released":[["b",1]]})"),
         "services: released: id store: id 1 is given twice"},
        {"name_twice", with_services(R"({"names":[["a",1],["a",2]],"next":3,"released":[]})"),
         "services: names: id store: a has two ids"},
        {"name_held_and_released",
         with_services(R"({"names":[["a",1]],"next":3,"released":[["a",2]]})"),
         "services: released: id store: a has two ids"},
        {"an_id_lost", with_services(R"({"names":[["a",1]],"next":3,"released":[]})"),
         "services: id store: 1 of the ids below 3 are missing"},
        {"names_out_of_order",
         with_services(R"({"names":[["b",1],["a",2]],"next":3,"released":[]})"),
         "id store: names are not in order"},
    };
    for (const Case& each : cases) {
        const auto store = IdStore::from_json(each.text);
        ASSERT_FALSE(store.has_value()) << each.name;
        EXPECT_EQ(store.error().code, Errc::invalid) << each.name;
        EXPECT_EQ(store.error().what, each.want) << each.name;
        EXPECT_FALSE(store.error().hint.empty()) << each.name;
    }
}

TEST(IdSpace, tells_once_which_ids_were_given_to_other_names) {
    IdSpace space(4);
    for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(space.assign(name));
    space.retain({"a"});
    ASSERT_TRUE(space.assign("c")) << "back to its old id";
    EXPECT_TRUE(space.take_handovers().empty());
    ASSERT_TRUE(space.assign("d"));
    const auto told = space.take_handovers();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].id, space.find("d"));
    EXPECT_EQ(told[0].from, "b");
    EXPECT_EQ(told[0].to, "d");
    EXPECT_TRUE(space.take_handovers().empty());
}

}  // namespace
}  // namespace sluice::plan
