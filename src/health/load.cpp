// SPDX-License-Identifier: Apache-2.0
#include "health/load.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace sluice::health {
namespace {

std::optional<double> in_range(double value) {
    if (value >= 0 && value <= 100) return value;
    return {};
}

/// Looks at members of the outermost object and builds nothing.
class FieldReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
    explicit FieldReader(const std::string& field) : field_(field) {}

    bool null() override { return number({}); }
    bool boolean(bool /*value*/) override { return number({}); }
    bool number_integer(number_integer_t value) override {
        return number(in_range(static_cast<double>(value)));
    }
    bool number_unsigned(number_unsigned_t value) override {
        return number(in_range(static_cast<double>(value)));
    }
    bool number_float(number_float_t value, const string_t& /*text*/) override {
        return number(in_range(value));
    }
    bool string(string_t& value) override { return number(load_of_text(value)); }
    bool binary(binary_t& /*value*/) override { return number({}); }
    bool start_object(std::size_t /*size*/) override { return ++depth_ > 0; }
    bool key(string_t& name) override {
        is_wanted_ = depth_ == 1 && name == field_;
        return true;
    }
    bool end_object() override { return leave(); }
    // An array at the top is no object: its members are one level further down.
    bool start_array(std::size_t /*size*/) override { return (depth_ += 2) > 0; }
    bool end_array() override {
        --depth_;
        return leave();
    }
    bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& /*error*/) override {
        return false;
    }

    std::optional<double> load;

 private:
    bool number(std::optional<double> value) {
        if (is_wanted_ && depth_ == 1) load = value;
        is_wanted_ = false;
        return true;
    }
    bool leave() {
        --depth_;
        is_wanted_ = false;
        return true;
    }

    const std::string& field_;
    int depth_ = 0;
    bool is_wanted_ = false;
};

}  // namespace

std::optional<double> load_of_text(std::string_view text) {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stopped, error] =
        std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (error != std::errc{} || stopped != end) return {};
    return in_range(value);
}

std::optional<double> load_of_json(std::string_view body, const std::string& field) {
    FieldReader reader(field);
    if (!nlohmann::json::sax_parse(body.begin(), body.end(), &reader)) return {};
    return reader.load;
}

}  // namespace sluice::health
