// SPDX-License-Identifier: Apache-2.0
#pragma once

/// GET /metrics: what control/metrics_source.h gathered, in Prometheus' text format, version 0.0.4.
///
/// Written here and not by a library: prometheus-cpp keeps every value as a double, so that byte
/// counters lose their last bits beyond 2^53 (eight days at 100 Gbit/s), and builds an object for
/// every series. Here counters are printed as the 64-bit integers that they are, a page is made in
/// pieces that the event loop has time for, and all of it is of one moment.
///
/// A page is bounded by what the source says. What is beyond is left out whole, backends first,
/// then what is counted for services and groups; sluice_metrics_series_left_out says how much.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/stream.h"
#include "control/metrics_source.h"

namespace sluice::api {

enum class MetricType { gauge, counter, histogram };

/// A metric of the page; also of the reference.
struct MetricFamily {
    std::string name;
    MetricType type = MetricType::gauge;
    std::string labels;  ///< "service,vip"; empty: none.
    std::string help;
};

/// All there are (metrics.def, then the counters of NICs), in the order of the page.
const std::vector<MetricFamily>& metric_families();
const char* name_of(MetricType type);

/// The page of one moment, in pieces.
class MetricsPage {
 public:
    explicit MetricsPage(control::MetricsSource source);
    MetricsPage(const MetricsPage&) = delete;
    MetricsPage& operator=(const MetricsPage&) = delete;
    ~MetricsPage();

    /// Adds about `len` bytes of whole lines to `out`; false when there is no more.
    bool append(std::string& out, std::size_t len);
    /// All of it.
    std::string text();

    struct Bounds;

 private:
    control::MetricsSource source_;
    std::unique_ptr<Bounds> bounds_;
    std::size_t family_ = 0;
    std::size_t row_ = 0;
    bool has_head_ = false;  ///< The family's HELP and TYPE are out.
};

/// The same as an answer. The first step asks the node.
class MetricsStream : public Stream {
 public:
    Result<void> step(control::NodeView& node) override;
    [[nodiscard]] bool done() const override { return done_; }
    [[nodiscard]] std::string_view content_type() const override {
        return "text/plain; version=0.0.4; charset=utf-8";
    }

 private:
    std::unique_ptr<MetricsPage> page_;
    bool done_ = false;
};

/// A label's value between its quotes: backslash, quote and line feed escaped, and what is no UTF-8
/// replaced.
std::string escape_label(std::string_view value);

/// docs/reference/metrics.md.
std::string metrics_reference();

}  // namespace sluice::api
