// SPDX-License-Identifier: Apache-2.0
#include "api/metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "api/listener.h"
#include "api/routes.h"
#include "tests/cli/fake_metrics.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

control::MetricsSource source() {
    control::NodeSummary summary;
    summary.node = "n1";
    summary.generation = 3;
    summary.digest = "abc";
    summary.services = 2;
    summary.backends = 2;
    return test::fake_metrics(summary);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) out.push_back(line);
    return out;
}

/// Of a histogram's lines, its own name.
std::string metric_of(const std::string& line) {
    static const std::set<std::string> histograms = [] {
        std::set<std::string> out;
        for (const auto& family : metric_families())
            if (family.type == MetricType::histogram) out.insert(family.name);
        return out;
    }();
    const std::string name = line.substr(0, line.find_first_of(" {"));
    for (const std::string suffix : {"_bucket", "_sum", "_count"})
        if (name.ends_with(suffix) &&
            histograms.contains(name.substr(0, name.size() - suffix.size())))
            return name.substr(0, name.size() - suffix.size());
    return name;
}

/// Lines that are samples, not HELP or TYPE.
std::vector<std::string> samples_of(const std::string& text) {
    std::vector<std::string> out;
    for (const auto& line : lines_of(text))
        if (line.front() != '#') out.push_back(line);
    return out;
}

bool has_line(const std::string& text, const std::string& wanted) {
    for (const auto& line : lines_of(text))
        if (line == wanted) return true;
    return false;
}

TEST(Metrics, every_metric_of_the_list_is_on_the_page_of_a_node_that_has_all) {
    const std::string text = MetricsPage(source()).text();
    std::set<std::string> told;
    for (const auto& line : samples_of(text)) told.insert(metric_of(line));
    std::set<std::string> listed;
    for (const auto& family : metric_families()) listed.insert(family.name);
    EXPECT_EQ(told, listed);
}

TEST(Metrics, names_and_labels_are_lawful_and_counters_end_in_total) {
    std::set<std::string> names;
    for (const auto& family : metric_families()) {
        EXPECT_TRUE(names.insert(family.name).second) << family.name;
        EXPECT_EQ(family.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
                  std::string::npos)
            << family.name;
        EXPECT_EQ(family.name.ends_with("_total"), family.type == MetricType::counter)
            << family.name;
        EXPECT_EQ(family.help.find_first_of("\n\\|"), std::string::npos) << family.name;
        EXPECT_TRUE(family.help.ends_with('.')) << family.name;
    }
}

TEST(Metrics, samples_have_no_label_that_the_list_does_not_name) {
    std::map<std::string, std::string> labels;
    for (const auto& family : metric_families()) labels[family.name] = "," + family.labels + ",";
    for (const auto& line : samples_of(MetricsPage(source()).text())) {
        const std::size_t open = line.find('{');
        if (open == std::string::npos) continue;
        std::string name;
        bool is_quoted = false;
        for (std::size_t i = open + 1; line[i] != '}' || is_quoted; ++i) {
            if (line[i] == '\\') {
                ++i;
            } else if (line[i] == '"') {
                is_quoted = !is_quoted;
                if (is_quoted) {
                    EXPECT_NE(labels[metric_of(line)].find("," + name + ","), std::string::npos)
                        << line;
                }
                name.clear();
            } else if (!is_quoted && line[i] != '=' && line[i] != ',') {
                name += line[i];
            }
        }
    }
}

TEST(Metrics, each_metric_is_told_in_one_go_behind_its_head) {
    std::set<std::string> ended;
    std::string now;
    for (const auto& line : lines_of(MetricsPage(source()).text())) {
        const bool is_head = line.starts_with("# HELP ");
        if (line.starts_with("# TYPE ")) continue;
        const std::string name = metric_of(is_head ? line.substr(7) : line);
        if (name == now) continue;
        EXPECT_TRUE(is_head) << line;
        EXPECT_TRUE(ended.insert(name).second) << name;
        now = name;
    }
}

TEST(Metrics, no_series_is_told_twice) {
    std::set<std::string> told;
    for (const auto& line : samples_of(MetricsPage(source()).text()))
        EXPECT_TRUE(told.insert(line.substr(0, line.rfind(' '))).second) << line;
}

TEST(Metrics, lines_are_as_prometheus_wants_them) {
    const std::string text = MetricsPage(source()).text();
    for (
        const char* line : {
            "sluice_config_revision 3",
            "sluice_config_confirm_pending 1",
            "sluice_node_draining 0",
            R"(sluice_vip_wanted{vip="192.0.2.10"} 1)",
            R"(sluice_vip_announced{vip="2001:db8::/64"} 0)",
            R"(sluice_announce_way_up{way="bgp 192.0.2.1"} 0)",
            R"(sluice_announce_way_resets_total{way="bgp 192.0.2.1"} 3)",
            "sluice_canary_share_ratio 0.125",
            R"(sluice_build_info{version="1.0",abi="4",instruction_set="v3"} 1)",
            R"(sluice_service_packets_total{service="web",vip="192.0.2.10",port="443",proto="tcp"} 1000)",
            R"(sluice_service_bytes_total{service="any \"six\"",vip="2001:db8::/64",port="80",proto="tcp"} 64000)",
            R"(sluice_service_info{service="web",group="web",forward="ipip"} 1)",
            R"(sluice_backend_up{group="web",backend="2001:db8:1::7"} 0)",
            R"(sluice_xdp_action_packets_total{iface="eth0",action="forward"} 40)",
            R"(sluice_reason_packets_total{reason="forwarded",outcome="forwarded",family="ip4_tcp"} 900)",
            R"(sluice_drop_packets_total{reason="no_such_port"} 11)",
            R"(sluice_drop_packets_total{reason="no_backend"} 0)",
            R"(sluice_drop_packets_total{reason="no_backend",service="any \"six\""} 10)",
            R"(sluice_customer_packets_total{customer="acme"} 9223372036854775809)",
            R"(sluice_bpf_map_pressure_ratio{map="slc_flows"} 0.5859375)",
            R"(sluice_bpf_map_full_seconds{map="slc_flows"} 90)",
            R"(sluice_nic_rx_missed_total{iface="eth0",source="rtnetlink"} 3)",
            R"(sluice_nic_rx_missed_total{iface="eth0",queue="1",source="driver"} 2)",
            R"(sluice_backend_healthy{group="web",backend="10.0.0.5"} 1)",
            R"(sluice_backend_healthy{group="web",backend="2001:db8:1::7"} 0)",
            R"(sluice_group_condition{group="web",condition="degraded"} 1)",
            R"(sluice_group_condition{group="web",condition="panic"} 0)",
            R"(sluice_group_healthy_backends{group="web"} 1)",
            R"(sluice_healthchecks_total{group="web",result="refused"} 1)",
            "process_cpu_seconds_total 1.5",
            "process_start_time_seconds 1767225600.5",
            "sluice_metrics_series_left_out 0",
        })
        EXPECT_TRUE(has_line(text, line)) << line;
    EXPECT_TRUE(has_line(text, "# TYPE sluice_service_packets_total counter"));
    EXPECT_EQ(text.find("eth1\",action"), std::string::npos) << "its row is another's";
}

TEST(Metrics, a_histogram_is_cumulative_and_ends_with_sum_and_count) {
    std::vector<std::string> lines;
    for (const auto& line : samples_of(MetricsPage(source()).text()))
        if (metric_of(line) == "sluice_healthcheck_duration_seconds") lines.push_back(line);
    const std::string bucket = R"(sluice_healthcheck_duration_seconds_bucket{group="web",le=")";
    std::vector<std::string> want;
    for (const char* rest : {"0.001\"} 1", "0.0025\"} 1", "0.005\"} 4", "0.01\"} 4", "0.025\"} 4",
                             "0.05\"} 4", "0.1\"} 4", "0.25\"} 4", "0.5\"} 4", "1\"} 5", "2.5\"} 5",
                             "5\"} 5", "10\"} 5", "+Inf\"} 6"})
        want.push_back(bucket + rest);
    want.emplace_back(R"(sluice_healthcheck_duration_seconds_sum{group="web"} 20.71)");
    want.emplace_back(R"(sluice_healthcheck_duration_seconds_count{group="web"} 6)");
    EXPECT_EQ(lines, want);
    EXPECT_TRUE(has_line(MetricsPage(source()).text(),
                         "# TYPE sluice_healthcheck_duration_seconds histogram"));
    EXPECT_TRUE(has_line(MetricsPage(source()).text(),
                         R"(sluice_healthcheck_late_seconds_bucket{le="0.00005"} 1)"));
}

TEST(Metrics, of_backends_that_nobody_watches_no_health_is_told) {
    auto what = source();
    what.health.clear();
    for (auto& backend : what.backends) backend.healthy.reset();
    const std::string text = MetricsPage(what).text();
    EXPECT_EQ(text.find("sluice_backend_healthy"), std::string::npos);
    EXPECT_EQ(text.find("sluice_healthcheck_late_seconds"), std::string::npos);
    EXPECT_EQ(text.find("sluice_healthcheck_duration_seconds"), std::string::npos);
}

TEST(Metrics, a_table_that_does_not_fill_is_full_never) {
    auto what = source();
    what.maps.maps[0].life->trend->full_in.reset();
    EXPECT_TRUE(
        has_line(MetricsPage(what).text(), "sluice_bpf_map_full_seconds{map=\"slc_flows\"} +Inf"));
}

TEST(Metrics, a_node_without_a_configuration_says_so) {
    const std::string text = MetricsPage(control::MetricsSource{}).text();
    EXPECT_TRUE(has_line(text, "sluice_config_revision 0"));
    EXPECT_EQ(text.find("sluice_node_info{"), std::string::npos);
}

TEST(Metrics, what_earlier_runs_counted_and_cannot_be_had_is_left_out) {
    auto what = source();
    what.daemon.is_whole = false;
    std::set<std::string> left;
    for (const auto& line : samples_of(MetricsPage(source()).text())) left.insert(metric_of(line));
    for (const auto& line : samples_of(MetricsPage(what).text())) left.erase(metric_of(line));
    EXPECT_EQ(left, (std::set<std::string>{"process_cpu_seconds_total", "sluice_events_lost_total",
                                           "sluice_flow_table_cut_flows_total"}));
}

TEST(Metrics, pieces_are_the_page) {
    const std::string whole = MetricsPage(source()).text();
    MetricsPage page(source());
    std::string pieces;
    for (bool more = true; more;) {
        std::string piece;
        more = page.append(piece, 100);
        EXPECT_TRUE(piece.empty() || piece.back() == '\n');
        EXPECT_LT(piece.size(), 100u + 1500u);
        pieces += piece;
    }
    EXPECT_EQ(pieces, whole);
}

struct LabelCase {
    const char* name;
    std::string value;
    std::string want;
};

TEST(Metrics, label_values_are_escaped) {
    const LabelCase cases[] = {
        {"plain", "web-1", "web-1"},
        {"quote, backslash, line feed", "a\"b\\c\nd", R"(a\"b\\c\nd)"},
        {"UTF-8 stays", "b\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80",
         "b\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"a lone continuation byte", "a\x80z", "a?z"},
        {"cut short", "a\xe2\x82", "a??"},
        {"never a first byte", "\xff\xc0", "??"},
    };
    for (const auto& each : cases) EXPECT_EQ(escape_label(each.value), each.want) << each.name;
}

/// `services` services and `backends` backends, more than fit.
control::MetricsSource large(std::size_t services, std::size_t backends) {
    auto out = source();
    out.services.resize(1);
    out.drops.clear();
    for (std::size_t i = 1; i < services; ++i) {
        out.services.push_back(out.services[0]);
        out.services.back().name = "s" + std::to_string(i);
    }
    out.backends.clear();
    for (std::size_t i = 0; i < backends; ++i) {
        control::BackendMetrics backend;
        const auto number = static_cast<std::uint8_t>(i % 250);
        backend.address =
            *IpAddress::parse("10." + std::to_string(i / 62500) + "." +
                              std::to_string(i / 250 % 250) + "." + std::to_string(number));
        backend.remembered = 1;
        backend.healthy = true;
        out.backends.push_back(backend);
    }
    return out;
}

std::uint64_t left_out(const std::string& text) {
    const std::string name = "\nsluice_metrics_series_left_out ";
    return std::stoull(text.substr(text.find(name) + name.size()));
}

TEST(Metrics, a_page_is_bounded_and_says_what_it_leaves_out) {
    const auto whole = samples_of(MetricsPage(large(100, 2000)).text());
    auto what = large(100, 2000);
    what.max_series = 8000;
    const std::string text = MetricsPage(what).text();
    const auto samples = samples_of(text);
    EXPECT_LE(samples.size(), 8000u);
    EXPECT_GT(samples.size(), 6000u) << "the bound is used";
    EXPECT_EQ(samples.size() + left_out(text), whole.size()) << "backends only, six series each";
    EXPECT_NE(text.find("sluice_service_packets_total{service=\"s99\""), std::string::npos);
}

TEST(Metrics, what_is_left_out_is_left_out_whole) {
    auto what = large(100, 2000);
    what.max_series = 8000;
    std::map<std::string, int> series;
    for (const auto& line : samples_of(MetricsPage(what).text()))
        if (line.starts_with("sluice_backend_"))
            ++series[line.substr(line.find('{'), line.find('}') - line.find('{'))];
    ASSERT_FALSE(series.empty());
    for (const auto& [backend, count] : series) EXPECT_EQ(count, 6) << backend;
}

TEST(Metrics, services_go_last) {
    auto what = large(1000, 2000);
    what.max_series = 5000;
    const std::string text = MetricsPage(what).text();
    EXPECT_LE(samples_of(text).size(), 5000u);
    EXPECT_EQ(text.find("sluice_backend_packets_total{"), std::string::npos);
    EXPECT_NE(text.find("sluice_service_packets_total{service=\"s9\""), std::string::npos);
}

struct ListenCase {
    const char* where;
    bool is_right;
};

TEST(Metrics, a_port_is_an_address_and_a_number_or_a_number_alone) {
    const ListenCase cases[] = {
        {"127.0.0.1:0", true},
        {"[::1]:0", true},
        {"0", true},
        {"", false},
        {"127.0.0.1", false},
        {"127.0.0.1:", false},
        {"127.0.0.1:x", false},
        {"127.0.0.1:65536", false},
        {"localhost:9105", false},
        {"::1:9105", false},
        {"[::1]", false},
        {"[127.0.0.1:9105", false},
        {"127.0.0.1:-1", false},
        {"127.0.0.1: 80", false},
    };
    for (const auto& each : cases) {
        const auto listener = Listener::open_tcp(each.where);
        EXPECT_EQ(listener.has_value(), each.is_right) << each.where;
        if (listener) {
            EXPECT_GT(listener->port(), 0) << each.where;
        } else {
            EXPECT_EQ(listener.error().code, Errc::invalid) << each.where;
        }
    }
}

TEST(Metrics, a_port_that_is_taken_is_a_conflict) {
    const auto first = Listener::open_tcp("127.0.0.1:0");
    ASSERT_TRUE(first);
    const std::string where = "127.0.0.1:" + std::to_string(first->port());
    const auto second = Listener::open_tcp(where);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::conflict);
    EXPECT_EQ(second.error().what, "listen on " + where + ": bind: Address already in use");
}

struct RouteCase {
    const char* method;
    const char* target;
    unsigned status;
};

TEST(Metrics, a_scraped_port_answers_three_paths_and_nothing_else) {
    test::FakeNode node(test::Scene::healthy);
    const RouteCase cases[] = {
        {"GET", "/livez", 200},
        {"GET", "/readyz", 200},
        {"POST", "/metrics", 405},
        {"GET", "/api/v1/status", 404},
        {"GET", "/api/v1/config", 404},
        {"POST", "/api/v1/reload", 404},
        {"POST", "/api/v1/flows/purge", 404},
        {"PATCH", "/api/v1/backends/web/10.0.0.5", 404},
        {"GET", "/", 404},
    };
    for (const auto& each : cases) {
        const Response response = answer_scrape({each.method, each.target, "", ""}, node);
        EXPECT_EQ(response.status, each.status) << each.method << ' ' << each.target;
        EXPECT_EQ(response.stream, nullptr) << each.target;
    }
    for (const auto ask : {answer, answer_scrape}) {
        const Response page = ask({"GET", "/metrics", "", ""}, node);
        ASSERT_NE(page.stream, nullptr);
        EXPECT_EQ(page.stream->content_type(), "text/plain; version=0.0.4; charset=utf-8");
    }
}

TEST(Metrics, a_stream_is_the_page) {
    test::FakeNode node(test::Scene::healthy);
    const Response response = answer({"GET", "/metrics?x=y", "", ""}, node);
    std::string text;
    for (int steps = 0; !response.stream->done() && steps < 1000; ++steps) {
        ASSERT_TRUE(response.stream->step(node));
        text += response.stream->take();
    }
    EXPECT_EQ(samples_of(text).size(), samples_of(MetricsPage(node.metrics()).text()).size());
    EXPECT_TRUE(has_line(text, "sluice_config_confirm_pending 1"));
    EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace sluice::api
