// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "api/json.h"

namespace sluice::cli {
namespace {

/// Plain scalars: letters, digits and a few marks, beginning with a letter, and no word that YAML
/// 1.1 takes for a boolean or a null.
bool is_plain_yaml(std::string_view text) {
    static constexpr std::string_view kWords[] = {"y",     "n",  "yes", "no",  "true",
                                                  "false", "on", "off", "null"};
    if (text.empty() || std::isalpha(static_cast<unsigned char>(text.front())) == 0) return false;
    for (const char c : text)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
            std::string_view("_-./").find(c) == std::string_view::npos)
            return false;
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::find(std::begin(kWords), std::end(kWords), lower) == std::end(kWords);
}

std::string dump(const Json& value, int indent) {
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string yaml_scalar(const Json& value) {
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        if (is_plain_yaml(text)) return text;
    }
    return dump(value, -1);  // JSON's scalars are YAML's; so are its empty containers.
}

void put_yaml(std::string& out, const Json& value, int depth) {
    const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
    const auto put_child = [&](const Json& child) {
        if (child.is_structured() && !child.empty()) {
            out += '\n';
            put_yaml(out, child, depth + 1);
        } else {
            out += ' ' + yaml_scalar(child) + '\n';
        }
    };
    if (value.is_object()) {
        for (const auto& [key, child] : value.items()) {
            out += indent + key + ':';
            put_child(child);
        }
        return;
    }
    for (const Json& child : value) {
        if (!child.is_structured() || child.empty()) {
            out += indent + "- " + yaml_scalar(child) + '\n';
            continue;
        }
        // The first line of the child moves up beside the dash.
        std::string inner;
        put_yaml(inner, child, depth + 1);
        inner.replace(indent.size(), 2, "- ");
        out += inner;
    }
}

/// Optimal string alignment: insertions, deletions, substitutions and swapped neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            cost[i][j] =
                std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

}  // namespace

void print_error(const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what);
    if (!error.hint.empty()) print_hint(error.hint);
}

void print_hint(std::string_view hint) {
    fmt::print(stderr, "hint: {}\n", hint);
}

bool is_document(Format format) {
    return format == Format::json || format == Format::yaml;
}

void print_document(const Json& document, Format format) {
    if (format == Format::yaml)
        fmt::print("{}", yaml_text(document));
    else
        fmt::print("{}\n", dump(document, 2));
}

Result<Json> parse_document(const std::string& text) {
    Json document = Json::parse(text, nullptr, false);
    if (!document.is_object())
        return fail(Errc::internal, "the daemon's answer is not a JSON object");
    const std::uint64_t schema = number_at(document, "schema_version");
    if (schema != static_cast<std::uint64_t>(api::kSchemaVersion))
        return fail(Errc::unsupported,
                    fmt::format("the daemon speaks schema_version {}, this command {}", schema,
                                api::kSchemaVersion),
                    "use the sluice that came with the running sluiced");
    return document;
}

const Json& member_at(const Json& object, const char* key) {
    static const Json kNothing;
    if (!object.is_object()) return kNothing;
    const auto found = object.find(key);
    return found == object.end() ? kNothing : *found;
}

std::string text_at(const Json& object, const char* key) {
    const Json& value = member_at(object, key);
    return value.is_string() ? value.get<std::string>() : std::string();
}

std::uint64_t number_at(const Json& object, const char* key) {
    const Json& value = member_at(object, key);
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

double fraction_at(const Json& object, const char* key) {
    const Json& value = member_at(object, key);
    return value.is_number() ? value.get<double>() : 0;
}

bool flag_at(const Json& object, const char* key) {
    const Json& value = member_at(object, key);
    return value.is_boolean() && value.get<bool>();
}

std::string yaml_text(const Json& document) {
    std::string out;
    put_yaml(out, document, 0);
    return out;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    static constexpr std::size_t kMaxWordLen = 256;  // The table below is quadratic.
    if (word.empty() || word.size() > kMaxWordLen) return {};
    std::string best;
    std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        if (candidate.size() > kMaxWordLen) continue;
        const std::size_t found = distance(word, candidate);
        if (found >= least) continue;
        least = found;
        best = candidate;
    }
    return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       std::string_view otherwise) {
    const std::string best = nearest(word, candidates);
    return best.empty() ? std::string(otherwise) : fmt::format("did you mean '{}'?", best);
}

}  // namespace sluice::cli
