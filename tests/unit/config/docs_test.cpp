// SPDX-License-Identifier: Apache-2.0

/// The reference and the manual page name every key of the format, and no other.

#include <set>
#include <sstream>

#include "config/keys.h"
#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

std::set<std::string> known_keys(std::span<const KeySet> sets) {
    std::set<std::string> out;
    for (const KeySet& set : sets)
        for (const std::string_view key : set.keys)
            out.insert((set.path.empty() ? "" : std::string(set.path) + ".") + std::string(key));
    return out;
}

/// What stands between `before` and `after` on lines that begin with `before`, below the line
/// `section` and above the line `end`.
std::set<std::string> documented(const std::string& file, std::string_view section,
                                 std::string_view end, std::string_view before,
                                 std::string_view after) {
    std::set<std::string> out;
    std::istringstream in(content_of(file));
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line == section) inside = true;
        if (!end.empty() && line == end) inside = false;
        if (!inside || !line.starts_with(before)) continue;
        const std::size_t last = after.empty() ? line.size() : line.find(after, before.size());
        out.insert(line.substr(before.size(), last - before.size()));
    }
    return out;
}

TEST(Docs, the_reference_names_every_key) {
    const std::string file = "docs/reference/configuration.md";
    EXPECT_EQ(documented(file, "## sluice.yaml", "## agent.yaml", "### `", "`"),
              known_keys(kConfigKeys));
    EXPECT_EQ(documented(file, "## agent.yaml", "", "### `", "`"), known_keys(kAgentKeys));
}

TEST(Docs, the_manual_page_names_every_key) {
    EXPECT_EQ(documented("docs/man/sluice.yaml.5", ".Sh KEYS", ".Sh AGENT", ".It Cm ", ""),
              known_keys(kConfigKeys));
    EXPECT_EQ(documented("docs/man/sluice.yaml.5", ".Sh AGENT", ".Sh FILES", ".It Cm ", ""),
              known_keys(kAgentKeys));
}

}  // namespace
}  // namespace sluice::config
