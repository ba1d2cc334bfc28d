// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Lines of Prometheus' text format, as api/metrics.cpp writes them. No other file includes it.

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "api/metrics.h"

namespace sluice::api {

/// Adds a label's value as escape_label() has it.
void append_label_value(std::string& out, std::string_view value);

inline double seconds_of(std::chrono::system_clock::time_point at) {
    return std::chrono::duration<double>(at.time_since_epoch()).count();
}

template <typename Duration>
double seconds_in(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

/// Lines of one family.
class Lines {
 public:
    Lines(std::string& out, const MetricFamily& family, bool& has_head)
        : out_(out), family_(family), has_head_(has_head) {}

    using Labels = std::initializer_list<std::pair<const char*, std::string_view>>;

    template <typename Number>
    void put(Labels labels, Number value) {
        begin();
        put_labels(labels, {});
        end(value);
    }
    template <typename Number>
    void put(Number value) {
        put({}, value);
    }
    /// `cells` are not cumulative; the last one holds what is above all `bounds`, in microseconds.
    template <typename Bounds>
    void put_histogram(Labels labels, const Bounds& bounds, std::span<const std::uint64_t> cells,
                       std::chrono::microseconds sum) {
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            count += cells[i];
            begin("_bucket");
            put_labels(labels, i < bounds.size() ? bound_text(bounds[i]) : "+Inf");
            end(count);
        }
        begin("_sum");
        put_labels(labels, {});
        end(seconds_in(sum));
        begin("_count");
        put_labels(labels, {});
        end(count);
    }

 private:
    /// Without an exponent: in a label it stays as it is.
    static std::string bound_text(std::chrono::microseconds bound) {
        char text[32];
        const auto done = std::to_chars(std::begin(text), std::end(text), seconds_in(bound),
                                        std::chars_format::fixed);
        return {std::begin(text), done.ptr};
    }
    static std::string bound_text(std::uint32_t microseconds) {
        return bound_text(std::chrono::microseconds(microseconds));
    }
    void put_labels(Labels labels, std::string_view bound) {
        char mark = '{';
        const auto put_label = [&](const char* key, std::string_view text) {
            if (text.empty()) return;  // To Prometheus the same as a label that is not there.
            out_ += mark;
            out_.append(key).append("=\"");
            append_label_value(out_, text);
            out_ += '"';
            mark = ',';
        };
        for (const auto& [key, text] : labels) put_label(key, text);
        put_label("le", bound);
        if (mark == ',') out_ += '}';
    }
    void begin(std::string_view suffix = {}) {
        if (!std::exchange(has_head_, true))
            fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", family_.name,
                           family_.help, family_.name, name_of(family_.type));
        out_.append(family_.name).append(suffix);
    }
    void end(double value) {
        out_ += ' ';
        if (std::isinf(value))
            out_ += value < 0 ? "-Inf" : "+Inf";
        else
            append_number(out_, value);
        out_ += '\n';
    }
    void end(std::uint64_t value) {
        out_ += ' ';
        append_number(out_, value);
        out_ += '\n';
    }
    void end(std::uint32_t value) { end(std::uint64_t{value}); }
    void end(bool value) { out_ += value ? " 1\n" : " 0\n"; }

    template <typename Number>
    static void append_number(std::string& out, Number value) {
        char text[32];
        const auto done = std::to_chars(std::begin(text), std::end(text), value);
        out.append(std::begin(text), done.ptr);
    }

    std::string& out_;
    const MetricFamily& family_;
    bool& has_head_;
};

}  // namespace sluice::api
