// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Typed reading of a YamlTree. Every function reports what it cannot accept and returns nothing
/// then, so that callers go on with the next value: all mistakes come out in one pass. Used inside
/// config/ only.

#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ip.h"
#include "config/diagnostics.h"
#include "config/keys.h"
#include "config/model.h"
#include "config/yaml_tree.h"

namespace sluice::config {

struct Reader {
    const YamlTree& tree;
    Findings& findings;
    std::uint32_t version = kVersion;  ///< Of the file.

    void error(const YamlNode& node, const Path& path, std::string message) const {
        findings.error(node.mark, path.text(), std::move(message));
    }
};

/// The entries of one map by key. Reports unknown and repeated keys when it is made.
class MapReader {
 public:
    static constexpr std::size_t kMaxKeys = 24;

    /// A `map` that is no map is reported and reads as empty; `valid()` tells.
    MapReader(const Reader& in, const YamlNode& map, const Path& path, const KeySet& keys);

    [[nodiscard]] bool valid() const { return valid_; }
    /// The value of a key of the KeySet, or nullptr.
    [[nodiscard]] const YamlNode* find(std::string_view key) const;
    /// The same; a missing one is reported as such at the map.
    [[nodiscard]] const YamlNode* require(std::string_view key) const;
    [[nodiscard]] const Path& path() const { return path_; }

 private:
    [[nodiscard]] std::size_t index_of(std::string_view key) const;
    void add(const YamlNode& key, const YamlNode& value);

    const Reader& in_;
    const YamlNode& map_;
    Path path_;
    const KeySet& keys_;
    std::array<const YamlNode*, kMaxKeys> values_{};
    std::array<std::uint32_t, kMaxKeys> lines_{};
    bool valid_ = false;
};

/// Reports anything but a map, or anything but a list. What is `refused` was reported already.
bool expect_map(const Reader& in, const YamlNode& node, const Path& path);
bool expect_list(const Reader& in, const YamlNode& node, const Path& path);

std::optional<std::string> read_string(const Reader& in, const YamlNode& node, const Path& path);
/// Plain decimal digits within min..max; `noun` as in "70000 is not a port (1..65535)".
std::optional<std::uint32_t> read_number(const Reader& in, const YamlNode& node, const Path& path,
                                         std::string_view noun, std::uint32_t min,
                                         std::uint32_t max);
/// A duration of base/duration.h within min..max; `noun` as above.
std::optional<std::chrono::seconds> read_duration(const Reader& in, const YamlNode& node,
                                                  const Path& path, std::string_view noun,
                                                  std::chrono::seconds min,
                                                  std::chrono::seconds max);
/// The same to the millisecond.
std::optional<std::chrono::milliseconds> read_millis(const Reader& in, const YamlNode& node,
                                                     const Path& path, std::string_view noun,
                                                     std::chrono::milliseconds min,
                                                     std::chrono::milliseconds max);
/// true or false.
std::optional<bool> read_bool(const Reader& in, const YamlNode& node, const Path& path);
/// A number, or bytes in hex; see rules.h.
std::optional<ServerId> read_server_id(const Reader& in, const YamlNode& node, const Path& path);
/// Whole hundredths within min..max, with "%" or without.
std::optional<std::uint32_t> read_percent(const Reader& in, const YamlNode& node, const Path& path,
                                          std::string_view noun, std::uint32_t min,
                                          std::uint32_t max = 100);
/// A percentage with at most four decimals, with "%" or without, as a fraction: 0..1.
std::optional<double> read_fraction(const Reader& in, const YamlNode& node, const Path& path,
                                    std::string_view noun);
std::optional<std::string> read_name(const Reader& in, const YamlNode& node, const Path& path);
/// A text with which `problem_with` of rules.h finds nothing wrong.
template <typename Rule>
std::optional<std::string> read_ruled(const Reader& in, const YamlNode& node, const Path& path,
                                      Rule problem_with) {
    auto text = read_string(in, node, path);
    if (!text) return std::nullopt;
    const std::string problem = problem_with(*text);
    if (problem.empty()) return text;
    in.error(node, path, quoted(*text) + " " + problem);
    return std::nullopt;
}
std::optional<IpAddress> read_address(const Reader& in, const YamlNode& node, const Path& path);
std::optional<IpPrefix> read_prefix(const Reader& in, const YamlNode& node, const Path& path);
/// A list of prefixes or interface names: at least one, at most `limit`, none twice.
std::vector<IpPrefix> read_prefixes(const Reader& in, const YamlNode& node, const Path& path,
                                    std::size_t limit);
std::vector<std::string> read_interfaces(const Reader& in, const YamlNode& node, const Path& path);

/// The `version` of a file, 1 to `newest`. Nothing when the rest should not be read: it may have
/// another meaning. Without one (an error too) the rest is read as of the newest.
std::optional<std::uint32_t> read_version(const YamlTree& tree, Findings& findings,
                                          std::uint32_t newest);

/// Index of the word among `words`, which the message lists.
std::optional<std::size_t> read_choice(const Reader& in, const YamlNode& node, const Path& path,
                                       std::span<const std::string_view> words);

/// One of an enumeration's values, by the words of name_of().
template <typename Enum, std::size_t kCount>
std::optional<Enum> read_word(const Reader& in, const YamlNode& node, const Path& path,
                              const std::array<Enum, kCount>& values) {
    std::array<std::string_view, kCount> words;
    for (std::size_t i = 0; i < kCount; ++i) words[i] = name_of(values[i]);
    const auto index = read_choice(in, node, path, words);
    if (!index) return std::nullopt;
    return values[*index];
}

/// A value of a map if the key is there and right, else what `out` held.
template <typename Enum, std::size_t kCount>
void assign_word(const Reader& in, const MapReader& map, std::string_view key,
                 const std::array<Enum, kCount>& values, Enum& out) {
    if (const YamlNode* node = map.find(key))
        out = read_word(in, *node, map.path().at(key), values).value_or(out);
}

/// Finds what is listed twice. `first_line_of` keeps one entry for each value seen.
class Seen {
 public:
    /// The line on which `text` stood first, or 0 when this is the first.
    std::uint32_t line_of(const std::string& text, Mark mark) {
        const auto [entry, fresh] = lines_.try_emplace(text, mark.line);
        return fresh ? 0 : entry->second;
    }

 private:
    std::unordered_map<std::string, std::uint32_t> lines_;
};

}  // namespace sluice::config
