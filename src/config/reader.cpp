// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "base/duration.h"
#include "config/rules.h"
#include "sluice/limits.h"

namespace sluice::config {
namespace {

const char* noun_of(NodeKind kind) {
    switch (kind) {
        case NodeKind::null:
            return "nothing";
        case NodeKind::scalar:
            return "a single value";
        case NodeKind::sequence:
            return "a list";
        case NodeKind::map:
            return "a map";
        case NodeKind::refused:
            return "something unreadable";
    }
    return "?";
}

bool expect(const Reader& in, const YamlNode& node, const Path& path, NodeKind kind) {
    if (node.kind == kind) return true;
    if (node.kind != NodeKind::refused)
        in.error(node, path,
                 std::string("expects ") + noun_of(kind) + ", found " + noun_of(node.kind));
    return false;
}

/// With quotes where the file has them: they are why a number is none.
std::string shown(const YamlNode& node) {
    return node.quoted ? "\"" + printable(node.scalar) + "\"" : quoted(node.scalar);
}

/// Plain decimal digits. YAML 1.1 reads 010 as eight, which is not what its writer expects.
std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    if (error != std::errc() || end != text.data() + text.size() || leading_zero)
        return std::nullopt;
    return value;
}

/// Of a percentage: "0.5" are 5000.
std::optional<std::uint32_t> millionths_of(std::string_view percent) {
    constexpr std::size_t kDecimals = 4;
    const std::size_t point = std::min(percent.find('.'), percent.size());
    const auto whole = number_of(percent.substr(0, point));
    if (!whole || *whole > 100) return std::nullopt;
    std::string decimals(percent.substr(std::min(point + 1, percent.size())));
    const bool digits_only = decimals.find_first_not_of("0123456789") == std::string::npos;
    if (!digits_only || decimals.size() > kDecimals || (decimals.empty() && point < percent.size()))
        return std::nullopt;
    decimals.resize(kDecimals, '0');
    std::uint32_t rest = 0;
    std::from_chars(decimals.data(), decimals.data() + decimals.size(), rest);
    const std::uint32_t millionths = *whole * 10'000 + rest;
    if (millionths > 1'000'000) return std::nullopt;
    return millionths;
}

std::string joined(std::span<const std::string_view> words, std::string_view last) {
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) out += i + 1 == words.size() ? last : ", ";
        out += words[i];
    }
    return out;
}

}  // namespace

MapReader::MapReader(const Reader& in, const YamlNode& map, const Path& path, const KeySet& keys)
    : in_(in), map_(map), path_(path), keys_(keys) {
    assert(keys.keys.size() <= kMaxKeys);
    valid_ = expect(in, map, path, NodeKind::map);
    if (!valid_) return;
    for (const YamlNode* key = in.tree.first(map); key != nullptr;) {
        const YamlNode* value = in.tree.next(*key);
        add(*key, *value);
        key = in.tree.next(*value);
    }
}

void MapReader::add(const YamlNode& key, const YamlNode& value) {
    if (key.kind == NodeKind::refused) return;
    if (key.kind != NodeKind::scalar) {
        in_.error(key, path_, std::string("a key must be a word, found ") + noun_of(key.kind));
        return;
    }
    const std::size_t index = index_of(key.scalar);
    const Path path = path_.at(std::string_view(key.scalar));
    const std::span<const std::string_view> known = keys_.of(in_.version);
    if (index == keys_.keys.size()) {
        const std::string near = suggestion(key.scalar, {known.begin(), known.end()});
        in_.error(key, path,
                  "unknown key" + (near.empty() ? ", known here: " + joined(known, ", ") : near));
        return;
    }
    if (index >= known.size())
        in_.error(key, path,
                  "needs \"version: " + std::to_string(kVersion) + "\", this file says " +
                      std::to_string(in_.version));
    if (values_[index] != nullptr) {
        in_.error(key, path, "repeated, first on line " + std::to_string(lines_[index]));
        return;
    }
    values_[index] = &value;
    lines_[index] = key.mark.line;
}

std::size_t MapReader::index_of(std::string_view key) const {
    return static_cast<std::size_t>(std::find(keys_.keys.begin(), keys_.keys.end(), key) -
                                    keys_.keys.begin());
}

const YamlNode* MapReader::find(std::string_view key) const {
    const std::size_t index = index_of(key);
    assert(index < keys_.keys.size());
    return values_[index];
}

const YamlNode* MapReader::require(std::string_view key) const {
    const YamlNode* node = find(key);
    if (node == nullptr && valid_) in_.error(map_, path_.at(key), "missing");
    return node;
}

bool expect_map(const Reader& in, const YamlNode& node, const Path& path) {
    return expect(in, node, path, NodeKind::map);
}

bool expect_list(const Reader& in, const YamlNode& node, const Path& path) {
    return expect(in, node, path, NodeKind::sequence);
}

std::optional<std::string> read_string(const Reader& in, const YamlNode& node, const Path& path) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    return node.scalar;
}

std::optional<std::uint32_t> read_number(const Reader& in, const YamlNode& node, const Path& path,
                                         std::string_view noun, std::uint32_t min,
                                         std::uint32_t max) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    const auto value = number_of(node.scalar);
    if (value && !node.quoted && *value >= min && *value <= max) return value;
    in.error(node, path,
             shown(node) + " is not " + std::string(noun) + " (" + std::to_string(min) + ".." +
                 std::to_string(max) + ")");
    return std::nullopt;
}

std::optional<std::chrono::seconds> read_duration(const Reader& in, const YamlNode& node,
                                                  const Path& path, std::string_view noun,
                                                  std::chrono::seconds min,
                                                  std::chrono::seconds max) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    const auto value = parse_duration(node.scalar);
    if (value && *value >= min && *value <= max) return *value;
    in.error(node, path,
             shown(node) + " is not " + std::string(noun) + " (" + text_of_duration(min) + ".." +
                 text_of_duration(max) + "), as in 75s, 15m or 1m30s");
    return std::nullopt;
}

std::optional<std::chrono::milliseconds> read_millis(const Reader& in, const YamlNode& node,
                                                     const Path& path, std::string_view noun,
                                                     std::chrono::milliseconds min,
                                                     std::chrono::milliseconds max) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    const auto value = parse_millis(node.scalar);
    if (value && *value >= min && *value <= max) return value;
    in.error(node, path,
             shown(node) + " is not " + std::string(noun) + " (" + text_of_millis(min) + ".." +
                 text_of_millis(max) + "), as in 250ms, 5s or 1m30s");
    return std::nullopt;
}

std::optional<bool> read_bool(const Reader& in, const YamlNode& node, const Path& path) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    if (!node.quoted && node.scalar == "true") return true;
    if (!node.quoted && node.scalar == "false") return false;
    in.error(node, path, shown(node) + " is not true or false");
    return std::nullopt;
}

std::optional<std::uint32_t> read_percent(const Reader& in, const YamlNode& node, const Path& path,
                                          std::string_view noun, std::uint32_t min,
                                          std::uint32_t max) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    std::string_view text = node.scalar;
    const bool has_sign = text.ends_with('%');
    if (has_sign) text.remove_suffix(1);
    const auto value = number_of(text);
    if (value && (has_sign || !node.quoted) && *value >= min && *value <= max) return value;
    in.error(node, path,
             shown(node) + " is not " + std::string(noun) + " (" + std::to_string(min) + "%.." +
                 std::to_string(max) + "%)");
    return std::nullopt;
}

std::optional<double> read_fraction(const Reader& in, const YamlNode& node, const Path& path,
                                    std::string_view noun) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    std::string_view text = node.scalar;
    const bool has_sign = text.ends_with('%');
    if (has_sign) text.remove_suffix(1);
    if (has_sign || !node.quoted) {
        const auto millionths = millionths_of(text);
        if (millionths) return *millionths / 1e6;
    }
    in.error(
        node, path,
        shown(node) + " is not " + std::string(noun) + " (0%..100%, with at most four decimals)");
    return std::nullopt;
}

std::optional<ServerId> read_server_id(const Reader& in, const YamlNode& node, const Path& path) {
    if (!expect(in, node, path, NodeKind::scalar)) return std::nullopt;
    const auto id = parse_server_id(node.scalar);
    // A quoted number is none, as everywhere; bytes are quoted or not.
    if (id && (!node.quoted || node.scalar.starts_with("0x"))) return id;
    in.error(node, path,
             shown(node) +
                 " is not a server id: a number (0..4294967295), or up to 15 bytes as in "
                 "\"0x0a0b0c\"");
    return std::nullopt;
}

std::optional<std::string> read_name(const Reader& in, const YamlNode& node, const Path& path) {
    return read_ruled(in, node, path, problem_with_name);
}

std::optional<IpAddress> read_address(const Reader& in, const YamlNode& node, const Path& path) {
    const auto text = read_string(in, node, path);
    if (!text) return std::nullopt;
    const auto address = IpAddress::parse(*text);
    const std::string problem =
        address ? problem_with_address(*address) : "is not an IPv4 or IPv6 address";
    if (problem.empty()) return address;
    in.error(node, path, quoted(*text) + " " + problem);
    return std::nullopt;
}

std::optional<IpPrefix> read_prefix(const Reader& in, const YamlNode& node, const Path& path) {
    const auto text = read_string(in, node, path);
    if (!text) return std::nullopt;
    const auto prefix = IpPrefix::parse(*text);
    const std::string problem =
        prefix ? problem_with_prefix(*prefix) : "is not an IPv4 or IPv6 address or prefix";
    if (problem.empty()) return prefix;
    in.error(node, path, quoted(*text) + " " + problem);
    return std::nullopt;
}

namespace {

/// Calls `read(item, path)` for each item, which returns the text by which doubles are found.
template <typename Read>
void read_list(const Reader& in, const YamlNode& node, const Path& path, std::size_t limit,
               Read read) {
    if (!expect_list(in, node, path)) return;
    if (node.children == 0) in.error(node, path, "is an empty list, it needs at least one entry");
    if (node.children > limit)
        in.error(node, path,
                 "has " + std::to_string(node.children) + " entries, at most " +
                     std::to_string(limit) + " are possible");
    Seen seen;
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(node); item != nullptr; item = in.tree.next(*item)) {
        const Path item_path = path.at(index++);
        const std::optional<std::string> text = read(*item, item_path);
        if (!text) continue;
        if (const std::uint32_t line = seen.line_of(*text, item->mark))
            in.error(*item, item_path,
                     *text + " is listed twice, first on line " + std::to_string(line));
    }
}

}  // namespace

std::vector<IpPrefix> read_prefixes(const Reader& in, const YamlNode& node, const Path& path,
                                    std::size_t limit) {
    std::vector<IpPrefix> out;
    read_list(in, node, path, limit,
              [&](const YamlNode& item, const Path& at) -> std::optional<std::string> {
                  const auto prefix = read_prefix(in, item, at);
                  if (!prefix) return std::nullopt;
                  out.push_back(*prefix);
                  return prefix->text();
              });
    return out;
}

std::vector<std::string> read_interfaces(const Reader& in, const YamlNode& node, const Path& path) {
    std::vector<std::string> out;
    read_list(in, node, path, SLC_MAX_INTERFACES,
              [&](const YamlNode& item, const Path& at) -> std::optional<std::string> {
                  const auto text = read_string(in, item, at);
                  if (!text) return std::nullopt;
                  const std::string problem = problem_with_interface(*text);
                  if (!problem.empty()) {
                      in.error(item, at, quoted(*text) + " " + problem);
                      return std::nullopt;
                  }
                  out.push_back(*text);
                  return text;
              });
    return out;
}

std::optional<std::uint32_t> read_version(const YamlTree& tree, Findings& findings,
                                          std::uint32_t newest) {
    const Reader in = {tree, findings};
    const YamlNode& root = tree.root();
    if (root.kind != NodeKind::map) return newest;  // The MapReader that comes next says so.
    const Path top;
    const Path path = top.at("version");
    const std::string known =
        newest == 1 ? "1" : std::to_string(newest - 1) + " and " + std::to_string(newest);
    for (const YamlNode* key = tree.first(root); key != nullptr;) {
        const YamlNode* value = tree.next(*key);
        if (key->kind == NodeKind::scalar && key->scalar == "version") {
            if (!expect(in, *value, path, NodeKind::scalar)) return newest;
            const auto version = value->quoted ? std::nullopt : number_of(value->scalar);
            if (version && *version >= 1 && *version <= newest) return version;
            in.error(*value, path,
                     version && *version > newest
                         ? shown(*value) + " is newer than this sluice, which reads " + known
                         : shown(*value) + " is not a version: this sluice reads " + known);
            return std::nullopt;
        }
        key = tree.next(*value);
    }
    in.error(root, path, "missing: write \"version: " + std::to_string(newest) + "\"");
    return newest;
}

std::optional<std::size_t> read_choice(const Reader& in, const YamlNode& node, const Path& path,
                                       std::span<const std::string_view> words) {
    const auto text = read_string(in, node, path);
    if (!text) return std::nullopt;
    for (std::size_t i = 0; i < words.size(); ++i)
        if (words[i] == *text) return i;
    in.error(node, path,
             quoted(*text) + " is not " + joined(words, " or ") +
                 suggestion(*text, {words.begin(), words.end()}));
    return std::nullopt;
}

}  // namespace sluice::config
