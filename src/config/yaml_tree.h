// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A YAML or JSON text as a flat tree with places, made from yaml-cpp's events. It differs from
/// YAML::Node in what an operator's file needs: entries keep their order, a repeated key is still
/// there to be reported, and what could grow without bound (aliases) or surprise (tags, several
/// documents, control characters) is refused. Used inside config/ only.

#include <optional>
#include <string>
#include <vector>

#include "config/diagnostics.h"

namespace sluice::config {

enum class NodeKind : std::uint8_t { null, scalar, sequence, map, refused };

/// Children are a list through `next`; those of a map are key, value, key, value.
struct YamlNode {
    NodeKind kind = NodeKind::null;
    bool quoted = false;  ///< A scalar that can only be a string.
    Mark mark;
    std::string scalar;
    std::uint32_t first_child = 0;  ///< Index into YamlTree::nodes; 0: none (0 is the root).
    std::uint32_t next = 0;
    std::uint32_t children = 0;
};

struct YamlTree {
    std::vector<YamlNode> nodes;

    [[nodiscard]] const YamlNode& root() const { return nodes.front(); }
    [[nodiscard]] const YamlNode* first(const YamlNode& node) const { return at(node.first_child); }
    [[nodiscard]] const YamlNode* next(const YamlNode& node) const { return at(node.next); }

 private:
    [[nodiscard]] const YamlNode* at(std::uint32_t index) const {
        return index == 0 ? nullptr : &nodes[index];
    }
};

/// The deepest nesting that is read; no configuration needs a tenth of it.
constexpr std::size_t kMaxDepth = 64;

/// The only document of the text, or nothing and at least one error. Never throws.
std::optional<YamlTree> read_yaml(Findings& findings);

}  // namespace sluice::config
