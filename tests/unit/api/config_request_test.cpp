// SPDX-License-Identifier: Apache-2.0
#include "api/config_request.h"

#include <gtest/gtest.h>

#include <random>

#include "api/body.h"

namespace sluice::api {
namespace {

struct Case {
    const char* name;
    std::string body;
    const char* message;  ///< Of the error, whole; or how the log names what was understood.
    bool is_valid = false;
};

const std::string kDeep(100'000, '[');

const Case kApply[] = {
    {"nothing", "", "file=own", true},
    {"empty_object", "{}", "file=own", true},
    {"a_text", R"({"text": "version: 2"})", "file= bytes=10", true},
    {"every_key",
     R"({"text":"x","file":"/etc/sluice/new.yaml","directory":"/etc/sluice","author":"ada","message":"why\nso",
        "confirm_within_s":300,"road":"map","dry_run":true,"canary":{"share":0.05}})",
     "file=/etc/sluice/new.yaml bytes=1 author=ada road=map confirm_within_s=300 canary_share=0.05 "
     "dry_run",
     true},
    {"canary_by_interfaces", R"({"canary":{"interfaces":["eth1","eth2"]}})",
     "file=own canary=eth1,eth2", true},
    {"a_whole_share", R"({"canary":{"share":1}})", "file=own canary_share=1", true},
    {"no_json", "text", "request: the body is not JSON"},
    {"cut_short", R"({"text": "x")", "request: the body is not JSON"},
    {"bytes_behind", "{} {}", "request: the body is not JSON"},
    {"bytes_no_utf8", "{\"text\": \"\xff\"}", "request: the body is not JSON"},
    {"a_list", "[]", "request: the body is not a JSON object"},
    {"a_number", "7", "request: the body is not a JSON object"},
    {"a_deep_list", kDeep, "request: the body is not a JSON object"},
    {"a_deep_list_within", R"({"text": )" + kDeep, "request: text: a list of lists"},
    {"objects_within_objects", R"({"canary":{"share":{"x":1}}})",
     "request: canary.share: not expected to be an object"},
    {"unknown_key", R"({"txt": "x"})", "request: unknown key 'txt'"},
    {"unknown_key_within", R"({"canary": {"part": 1}})", "request: unknown key 'canary.part'"},
    {"a_long_key", "{\"" + std::string(1000, 'k') + "\": 1}",
     "request: unknown key 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'"},
    {"key_twice", R"({"road": "map", "road": "map"})", "request: key 'road' twice"},
    {"object_twice", R"({"canary": {"share": 1}, "canary": {"share": 1}})",
     "request: key 'canary' twice"},
    {"too_many_keys",
     [] {
         std::string out = "{\"k\": 1";
         for (int i = 0; i < 64; ++i) out += ", \"k" + std::to_string(i) + "\": 1";
         return out + "}";
     }(),
     "request: too many keys"},
    {"text_no_string", R"({"text": 7})", "request: text: not a string"},
    {"text_null", R"({"text": null})", "request: text: not a string"},
    {"text_a_list", R"({"text": ["x"]})", "request: text: not a string"},
    {"text_an_object", R"({"text": {}})", "request: text: empty"},
    {"directory_relative", R"({"directory": "root"})", "request: directory: not an absolute path"},
    {"author_that_paints", R"({"author": "\u001b[31mroot"})",
     "request: author: holds control characters"},
    {"author_of_two_lines", R"({"author": "ada\nroot"})",
     "request: author: holds control characters"},
    {"a_long_message", R"({"message": ")" + std::string(4097, 'x') + "\"}",
     "request: message: longer than 4096 bytes"},
    {"confirm_at_once", R"({"confirm_within_s": 0})",
     "request: confirm_within_s: not a whole number from 1 to 2592000"},
    {"confirm_some_time", R"({"confirm_within_s": 2592001})",
     "request: confirm_within_s: not a whole number from 1 to 2592000"},
    {"confirm_in_words", R"({"confirm_within_s": "5m"})",
     "request: confirm_within_s: not a whole number from 1 to 2592000"},
    {"road_unknown", R"({"road": "high"})",
     "request: road: 'high' is not one of entry, map, program"},
    {"road_none", R"({"road": "none"})", "request: road: 'none' is not one of entry, map, program"},
    {"dry_run_in_words", R"({"dry_run": "yes"})", "request: dry_run: neither true nor false"},
    {"canary_a_word", R"({"canary": "eth1"})", "request: unknown key 'canary'"},
    {"canary_empty", R"({"canary": {}})", "request: canary: empty"},
    {"canary_of_both", R"({"canary": {"share": 0.5, "interfaces": ["eth1"]}})",
     "request: canary: either interfaces or share"},
    {"share_zero", R"({"canary": {"share": 0}})",
     "request: canary.share: not a number above 0 and up to 1"},
    {"share_negative", R"({"canary": {"share": -1}})",
     "request: canary.share: not a number above 0 and up to 1"},
    {"share_over_all", R"({"canary": {"share": 1.01}})",
     "request: canary.share: not a number above 0 and up to 1"},
    {"share_in_words", R"({"canary": {"share": "5%"}})",
     "request: canary.share: not a number above 0 and up to 1"},
    {"no_interfaces", R"({"canary": {"interfaces": []}})",
     "request: canary.interfaces: not a list of names"},
    {"interfaces_a_word", R"({"canary": {"interfaces": "eth1"}})",
     "request: canary.interfaces: not a list of names"},
    {"interfaces_numbers", R"({"canary": {"interfaces": [1]}})",
     "request: canary.interfaces: not a list of strings"},
    {"interface_without_name", R"({"canary": {"interfaces": [""]}})",
     "request: canary.interfaces: '' is no name"},
    {"interface_of_a_long_name", R"({"canary": {"interfaces": ["abcdefghijklmnop"]}})",
     "request: canary.interfaces: 'abcdefghijklmnop' is no name"},
};

TEST(ConfigRequest, an_apply_is_understood_or_refused_by_the_name_of_its_key) {
    for (const Case& test : kApply) {
        const auto body = parse_apply(test.body);
        ASSERT_EQ(body.has_value(), test.is_valid) << test.name;
        if (body) {
            EXPECT_EQ(text_of(*body), test.message) << test.name;
        } else {
            EXPECT_EQ(body.error().what, test.message) << test.name;
            EXPECT_EQ(body.error().code, Errc::invalid) << test.name;
        }
    }
}

TEST(ConfigRequest, what_a_client_sends_is_what_the_server_reads) {
    for (const Case& test : kApply) {
        const auto body = parse_apply(test.body);
        if (!body) continue;
        const auto sent = apply_body(*body);
        ASSERT_TRUE(sent.has_value()) << test.name;
        const auto again = parse_apply(*sent);
        ASSERT_TRUE(again.has_value()) << test.name;
        EXPECT_EQ(text_of(*again), text_of(*body)) << test.name;
        EXPECT_EQ(again->request.text, body->request.text) << test.name;
        EXPECT_EQ(again->request.message, body->request.message) << test.name;
        EXPECT_EQ(again->request.directory, body->request.directory) << test.name;
    }
}

TEST(ConfigRequest, a_text_of_any_bytes_arrives_as_it_was) {
    ConfigBody body;
    body.has_text = true;
    for (int byte = 0; byte < 128; ++byte) body.request.text += static_cast<char>(byte);
    body.request.text += "\xc3\xa4\xe2\x82\xac";
    const auto again = parse_apply(apply_body(body).value());
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->request.text, body.request.text);
}

TEST(ConfigRequest, a_text_that_no_server_would_take_is_not_sent) {
    ConfigBody body;
    body.has_text = true;
    body.request.file = "/etc/sluice/huge.yaml";
    body.request.text.assign(kMaxConfigBodyLen, 'x');
    const auto sent = apply_body(body);
    ASSERT_FALSE(sent.has_value());
    EXPECT_EQ(sent.error().code, Errc::limit);
    EXPECT_EQ(sent.error().what, "/etc/sluice/huge.yaml: more than 64 MiB as a request");
}

TEST(ConfigRequest, drift_takes_a_text_and_its_name_only) {
    EXPECT_EQ(text_of(parse_drift(R"({"text": "x", "file": "y"})").value()), "file=y bytes=1");
    const auto more = parse_drift(R"({"text": "x", "road": "map"})");
    ASSERT_FALSE(more.has_value());
    EXPECT_EQ(more.error().what, "request: unknown key 'road'");
    EXPECT_EQ(more.error().hint, "the keys are text and file");
}

const Case kGenerations[] = {
    {"nothing", "", "", true},
    {"all", R"({"generation": 7, "author": "ada", "message": "too slow"})",
     "generation=7 author=ada", true},
    {"most", R"({"generation": 4294967295})", "generation=4294967295", true},
    {"zero", R"({"generation": 0})",
     "request: generation: not a whole number from 1 to 4294967295"},
    {"too_large", R"({"generation": 4294967296})",
     "request: generation: not a whole number from 1 to 4294967295"},
    {"a_fraction", R"({"generation": 1.5})",
     "request: generation: not a whole number from 1 to 4294967295"},
    {"a_text", R"({"text": "x"})", "request: unknown key 'text'"},
};

TEST(ConfigRequest, a_rollback_is_understood_or_refused_by_the_name_of_its_key) {
    for (const Case& test : kGenerations) {
        const auto body = parse_generation(test.body);
        ASSERT_EQ(body.has_value(), test.is_valid) << test.name;
        EXPECT_EQ(body ? text_of(*body) : body.error().what, test.message) << test.name;
        if (!body) continue;
        const auto again = parse_generation(generation_body(*body));
        ASSERT_TRUE(again.has_value()) << test.name;
        EXPECT_EQ(text_of(*again), text_of(*body)) << test.name;
        EXPECT_EQ(again->message, body->message) << test.name;
    }
}

TEST(ConfigRequest, any_bytes_are_a_request_or_an_error) {
    std::mt19937 random(20260101);
    static constexpr char kBytes[] = "{}[]\":,0123456789-+.eE truefalsn\\u\xff";
    constexpr std::string_view alphabet(kBytes, sizeof kBytes);
    for (int round = 0; round < 20'000; ++round) {
        const Case& seed = kApply[random() % 6];
        std::string body = seed.body;
        for (unsigned edits = random() % 6; edits > 0; --edits) {
            const std::size_t at = random() % (body.size() + 1);
            if (random() % 3 == 0 && at < body.size())
                body.erase(at, 1 + random() % 4);
            else
                body.insert(at, 1, alphabet[random() % alphabet.size()]);
        }
        const auto request = parse_apply(body);
        if (!request) {
            ASSERT_EQ(request.error().code, Errc::invalid) << body;
            continue;
        }
        const auto again = parse_apply(apply_body(*request).value());
        ASSERT_TRUE(again.has_value()) << body;
        ASSERT_EQ(text_of(*again), text_of(*request)) << body;
    }
}

}  // namespace
}  // namespace sluice::api
