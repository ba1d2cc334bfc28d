// SPDX-License-Identifier: Apache-2.0
//
// What is read from answers, without any socket.
#include <gtest/gtest.h>

#include "health/dns_message.h"
#include "health/grpc_probe.h"
#include "health/http_reply.h"
#include "health/lateness.h"
#include "health/load.h"

namespace sluice::health {
namespace {

using namespace std::string_literals;
using Http = HttpReply::State;

struct HttpCase {
    const char* name;
    std::string answer;
    Http state;
    unsigned status;
    std::string body;
    std::string error;
    Http state_at_end;
    bool is_head_request = false;
};

std::vector<HttpCase> http_cases() {
    const std::string head = "HTTP/1.1 200 OK\r\n";
    return {
        {"nothing", "", Http::head, 0, "", "", Http::head},
        {"half a status line", "HTTP/1.1 20", Http::head, 0, "", "", Http::head},
        {"no reason", "HTTP/1.0 204\r\n\r\n", Http::complete, 204, "", "", Http::complete},
        {"lines that end with LF alone", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", Http::complete,
         200, "x", "", Http::complete},
        {"a length", head + "content-LENGTH:  3 \r\n\r\nabcdef", Http::complete, 200, "abc", "",
         Http::complete},
        {"a length of 0", head + "Content-Length: 0\r\n\r\n", Http::complete, 200, "", "",
         Http::complete},
        {"less than its length", head + "Content-Length: 3\r\n\r\nab", Http::body, 200, "ab", "",
         Http::body},
        {"the same length twice", head + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
         Http::complete, 200, "a", "", Http::complete},
        {"two lengths", head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", Http::broken, 200,
         "", "bad Content-Length: 2", Http::broken},
        {"a length that is none", head + "Content-Length: -1\r\n\r\n", Http::broken, 200, "",
         "bad Content-Length: -1", Http::broken},
        {"until the end", head + "\r\nabc", Http::body, 200, "abc", "", Http::complete},
        {"an answer to HEAD has no body", head + "Content-Length: 3\r\n\r\n", Http::complete, 200,
         "", "", Http::complete, true},
        {"an informational answer first",
         "HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n"
         "Content-Length: 1\r\n\r\na",
         Http::complete, 200, "a", "", Http::complete},
        {"chunks",
         head + "Transfer-Encoding: gzip, Chunked\r\n\r\n2;x=y\r\nab\r\n0A\r\n0123456789"
                "\r\n0\r\nTrailer: x\r\n\r\n",
         Http::complete, 200, "ab0123456789", "", Http::complete},
        {"chunks outweigh a length",
         head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
         Http::complete, 200, "ab", "", Http::complete},
        {"chunks cut short", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", Http::body, 200,
         "ab", "", Http::body},
        {"a chunk without a size", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", Http::broken,
         200, "", "bad size of a chunk: xyz", Http::broken},
        {"a chunk that is longer than its size",
         head + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", Http::broken, 200, "a",
         "bad end of a chunk", Http::broken},
        {"a size beyond all numbers",
         head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", Http::broken, 200, "",
         "bad size of a chunk: fffffffffffffffff", Http::broken},
        {"another protocol", "220 smtp.example.com\r\n", Http::broken, 0, "",
         "no HTTP: 220 smtp.example.com", Http::broken},
        {"a TLS alert", "\x15\x03\x01", Http::broken, 0, "", "no HTTP: ...", Http::broken},
        {"a status with letters", "HTTP/1.1 2x0 OK\r\n", Http::broken, 2, "",
         "bad status line: HTTP/1.1 2x0 OK", Http::broken},
        {"a status below 100", "HTTP/1.1 099 OK\r\n", Http::broken, 99, "",
         "bad status line: HTTP/1.1 099 OK", Http::broken},
        {"a header without a colon", head + "nonsense\r\n", Http::broken, 200, "",
         "bad header: nonsense", Http::broken},
    };
}

TEST(messages, http_answers_mean_the_same_however_they_are_cut) {
    for (const HttpCase& each : http_cases()) {
        SCOPED_TRACE(each.name);
        for (std::size_t piece = 1; piece <= each.answer.size() + 1; ++piece) {
            HttpReply reply;
            reply.reset(each.is_head_request, "");
            for (std::size_t i = 0; i < each.answer.size(); i += piece)
                reply.feed(std::string_view(each.answer).substr(i, piece));
            EXPECT_EQ(reply.state(), each.state) << piece;
            EXPECT_EQ(reply.status(), each.status) << piece;
            EXPECT_EQ(reply.body(), each.body) << piece;
            // Garbage is found out by what has come of it.
            if (!each.error.starts_with("no HTTP") || piece >= each.answer.size()) {
                EXPECT_EQ(reply.error(), each.error) << piece;
            }
            EXPECT_EQ(reply.end(), each.state_at_end) << piece;
        }
    }
}

TEST(messages, a_body_is_read_up_to_its_bound) {
    for (const char* framing :
         {"", "Content-Length: 999999\r\n", "Transfer-Encoding: chunked\r\n"}) {
        HttpReply reply;
        reply.reset(false, "");
        const bool is_chunked = framing[0] == 'T';
        reply.feed("HTTP/1.1 200 OK\r\n"s + framing + "\r\n" + (is_chunked ? "fffff\r\n" : ""));
        std::size_t fed = 0;
        while (reply.state() == Http::body && fed < 2 * HttpReply::kMostBody) {
            reply.feed(std::string(1000, 'x'));
            fed += 1000;
        }
        EXPECT_EQ(reply.state(), Http::complete) << framing;
        EXPECT_EQ(reply.body().size(), HttpReply::kMostBody) << framing;
    }
}

TEST(messages, endless_heads_are_bounded_however_they_go_on) {
    for (const char* line : {"x", "X: y\r\n", "HTTP/1.1 100 Continue\r\n\r\n"}) {
        HttpReply reply;
        reply.reset(false, "");
        if (line[0] != 'H') reply.feed("HTTP/1.1 200 OK\r\n");
        for (std::size_t fed = 0; fed < 100'000 && reply.state() == Http::head;) {
            reply.feed(line);
            fed += std::string_view(line).size();
        }
        EXPECT_EQ(reply.state(), Http::broken) << line;
        EXPECT_EQ(reply.error(), "more than 16384 bytes of headers") << line;
    }
}

TEST(messages, the_wanted_header_is_found_whatever_its_case) {
    HttpReply reply;
    reply.reset(false, "X-Load");
    reply.feed("HTTP/1.1 200 OK\r\nX-Loader: 3\r\nx-LOAD: \t 42 \r\n\r\n");
    EXPECT_EQ(reply.header(), "42");
}

TEST(messages, a_load_is_a_number_from_0_to_100) {
    struct Case {
        const char* text;
        std::optional<double> wanted;
    };
    for (const Case& each : {Case{"0", 0.0},
                             {"100", 100.0},
                             {"12.5", 12.5},
                             {"100.1", {}},
                             {"-1", {}},
                             {"", {}},
                             {"5 %", {}},
                             {"nan", {}},
                             {"1e1", {}}})
        EXPECT_EQ(load_of_text(each.text), each.wanted) << each.text;
    for (const Case& each : {Case{R"({"load": 42})", 42.0},
                             {R"({"load": "42"})", 42.0},
                             {R"({"load": 1.5})", 1.5},
                             {R"({"x": {"load": 1}, "load": 2})", 2.0},
                             {R"({"x": {"load": 1}})", {}},
                             {R"([{"load": 1}])", {}},
                             {R"({"load": [1]})", {}},
                             {R"({"load": {"load": 1}})", {}},
                             {R"({"load": null})", {}},
                             {R"({"load": 101})", {}},
                             {R"({"load": 1)", {}},
                             {R"({"load": 1} x)", {}},
                             {"", {}},
                             {"42", {}}})
        EXPECT_EQ(load_of_json(each.text, "load"), each.wanted) << each.text;
}

TEST(messages, deep_json_says_nothing_and_harms_nobody) {
    EXPECT_EQ(load_of_json(std::string(65536, '['), "load"), std::nullopt);
}

config::CheckDns dns_check() {
    config::CheckDns out;
    out.name = "www.example.com";
    return out;
}

TEST(messages, a_dns_query_is_what_rfc_1035_says) {
    EXPECT_EQ(dns_query(dns_check(), 0x1234),
              "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
              "\x03www\x07"
              "example\x03"
              "com\x00\x00\x01\x00\x01"s);
    config::CheckDns check = dns_check();
    check.name = "www.example.com.";
    EXPECT_EQ(dns_query(check, 1), dns_query(dns_check(), 1));
    check.name = ".";
    EXPECT_EQ(dns_query(check, 1).size(), 12U + 1 + 4);
    for (const std::string& name :
         {"a..b"s, ".a"s, std::string(64, 'a'), std::string(300, 'a').replace(60, 1, ".")}) {
        check.name = name;
        EXPECT_EQ(dns_query(check, 1), "") << name;
    }
}

TEST(messages, dns_answers) {
    const std::string query = dns_query(dns_check(), 0x1234);
    const auto with = [&](std::size_t at, char byte, std::string text = {}) {
        if (text.empty()) text = query;
        text[at] = byte;
        return text;
    };
    const std::string answer = with(2, '\x81');
    struct Case {
        const char* name;
        std::string message;
        Why why;
        const char* text;
    };
    for (const Case& each : {
             Case{"NOERROR", answer, Why::passed, ""},
             {"another case of letters", with(13, 'W', answer), Why::passed, ""},
             {"truncated", with(2, '\x83', answer), Why::passed, ""},
             {"SERVFAIL", with(3, 2, answer), Why::rcode, "SERVFAIL, wanted NOERROR"},
             {"an unknown rcode", with(3, 15, answer), Why::rcode, "RCODE 15, wanted NOERROR"},
             {"FORMERR without a question", with(5, 0, with(3, 1, answer)).substr(0, 12),
              Why::rcode, "FORMERR, wanted NOERROR"},
             {"NOERROR without a question", with(5, 0, answer).substr(0, 12), Why::protocol,
              "answers another question"},
             {"the query itself", query, Why::protocol, "a query, not an answer"},
             {"another id", with(1, 'x', answer), Why::protocol, "answers another query"},
             {"another opcode", with(2, '\xa9', answer), Why::protocol,
              "answers another kind of query"},
             {"another name", with(13, 'x', answer), Why::protocol, "answers another question"},
             {"another type", with(answer.size() - 3, 28, answer), Why::protocol,
              "answers another question"},
             {"cut within the question", answer.substr(0, 20), Why::protocol,
              "answers another question"},
             {"eleven bytes", answer.substr(0, 11), Why::protocol, "11 bytes are no DNS message"},
             {"nothing", "", Why::protocol, "0 bytes are no DNS message"},
         }) {
        SCOPED_TRACE(each.name);
        const Finding finding = judge_dns(dns_check(), 0x1234, each.message);
        EXPECT_EQ(word_of(finding.why), word_of(each.why));
        EXPECT_EQ(finding.text, each.text);
    }
}

TEST(messages, grpc_requests) {
    EXPECT_EQ(grpc_health_request(""), "\0\0\0\0\0"s);
    EXPECT_EQ(grpc_health_request("a.B"), "\0\0\0\0\x05\x0a\x03"s + "a.B");
    EXPECT_EQ(grpc_health_request(std::string(300, 'x')).substr(0, 8),
              "\0\0\0\x01\x2f\x0a\xac\x02"s);
}

TEST(messages, grpc_answers) {
    struct Case {
        std::string message;
        Why why;
        const char* text;
    };
    for (const Case& each : {
             Case{"\0\0\0\0\x02\x08\x01"s, Why::passed, "SERVING"},
             {"\0\0\0\0\x02\x08\x02"s, Why::not_serving, "NOT_SERVING"},
             {"\0\0\0\0\x02\x08\x03"s, Why::not_serving, "SERVICE_UNKNOWN"},
             {"\0\0\0\0\0"s, Why::not_serving, "UNKNOWN"},
             {"\0\0\0\0\x02\x08\x63"s, Why::not_serving, "status 99"},
             {"\0\0\0\0\x06\x12\x02xx\x08\x01"s, Why::passed, "SERVING"},
             {"\0\0\0\0\x01\x08"s, Why::protocol, "no HealthCheckResponse"},
             {"\0\0\0\0\x02\x12\x05"s, Why::protocol, "no HealthCheckResponse"},
             {"\0\0\0\0\x02\x0b\x01"s, Why::protocol, "no HealthCheckResponse"},
             {"\0\0\0\0\x09\x08\x01"s, Why::protocol, "no whole gRPC message"},
             {"\0\0\0\0"s, Why::protocol, "no whole gRPC message"},
             {"\x01\0\0\0\x02\x08\x01"s, Why::protocol,
              "a compressed gRPC message, which was not offered"},
         }) {
        const Finding finding = judge_grpc_health(each.message);
        EXPECT_EQ(word_of(finding.why), word_of(each.why)) << each.text;
        EXPECT_EQ(finding.text, each.text);
    }
}

TEST(messages, lateness_is_counted_in_cells_and_quantiles_are_upper_bounds) {
    Lateness lateness;
    EXPECT_EQ(lateness.quantile(0.5).count(), 0);
    for (const int us : {-5, 10, 50, 51, 900, 30'000, 7'000'000})
        lateness.add(std::chrono::microseconds(us));
    EXPECT_EQ(lateness.count(), 7U);
    EXPECT_EQ(lateness.cells()[0], 3U);
    EXPECT_EQ(lateness.cells()[1], 1U);
    EXPECT_EQ(lateness.cells().back(), 1U);
    EXPECT_EQ(lateness.most().count(), 7'000'000);
    EXPECT_EQ(lateness.quantile(0.5).count(), 100);
    EXPECT_EQ(lateness.quantile(0.85).count(), 50'000);
    EXPECT_EQ(lateness.quantile(1).count(), 7'000'000);
}

TEST(messages, texts_of_backends_are_printable_and_bounded) {
    EXPECT_EQ(printable("a\nb\x1b[31m\xff"), "a.b.[31m.");
    EXPECT_EQ(printable(std::string(1000, 'x')).size(), kMostText);
}

}  // namespace
}  // namespace sluice::health
