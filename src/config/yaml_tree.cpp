// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_tree.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <streambuf>

namespace sluice::config {
namespace {

/// The text as a stream without a copy of it.
class ViewBuffer : public std::streambuf {
 public:
    explicit ViewBuffer(std::string_view text) {
        char* begin = const_cast<char*>(text.data());  // NOLINT: streambuf reads only, here.
        setg(begin, begin, begin + text.size());
    }
};

Mark from_library(const YAML::Mark& mark) {
    if (mark.is_null()) return {1, 1};
    return {static_cast<std::uint32_t>(mark.line + 1), static_cast<std::uint32_t>(mark.column + 1)};
}

std::string too_deep() {
    return "nested more than " + std::to_string(kMaxDepth) + " levels deep";
}

class TreeBuilder final : public YAML::EventHandler {
 public:
    explicit TreeBuilder(Findings& findings) : findings_(findings) {}

    void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
        // yaml-cpp says where the next thing begins: on another line, usually.
        const bool is_value = !open_.empty() && tree.nodes[open_.back().node].children % 2 == 1;
        const bool in_map = !open_.empty() && open_.back().is_map;
        add(NodeKind::null,
            in_map && is_value ? tree.nodes[open_.back().last_child].mark : from_library(mark));
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
        const Mark place = from_library(mark);
        findings_.error(place, {}, "aliases (*name) are not read here: write the value out");
        add(NodeKind::refused, place);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  const std::string& value) override {
        const Mark place = from_library(mark);
        YamlNode* node = add(tagged(tag, place) ? NodeKind::refused : NodeKind::scalar, place);
        node->quoted = tag == "!";
        node->scalar = value;
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                         YAML::EmitterStyle::value /*style*/) override {
        open(NodeKind::sequence, mark, tag);
    }
    void OnSequenceEnd() override { open_.pop_back(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                    YAML::EmitterStyle::value /*style*/) override {
        open(NodeKind::map, mark, tag);
    }
    void OnMapEnd() override { open_.pop_back(); }

    YamlTree tree;

 private:
    struct Open {
        std::uint32_t node = 0;
        std::uint32_t last_child = 0;
        bool is_map = false;
    };

    /// Links a new node behind its elder sibling. Valid until the next call.
    YamlNode* add(NodeKind kind, Mark mark) {
        const auto index = static_cast<std::uint32_t>(tree.nodes.size());
        tree.nodes.push_back({});
        tree.nodes.back().kind = kind;
        tree.nodes.back().mark = mark;
        if (!open_.empty()) {
            Open& parent = open_.back();
            if (parent.last_child == 0)
                tree.nodes[parent.node].first_child = index;
            else
                tree.nodes[parent.last_child].next = index;
            parent.last_child = index;
            ++tree.nodes[parent.node].children;
        }
        return &tree.nodes.back();
    }

    void open(NodeKind kind, const YAML::Mark& mark, const std::string& tag) {
        const Mark place = from_library(mark);
        const bool beyond = open_.size() == kMaxDepth;
        if (beyond) findings_.error(place, {}, too_deep());
        const bool refused = beyond || tagged(tag, place);
        const auto index = static_cast<std::uint32_t>(tree.nodes.size());
        add(refused ? NodeKind::refused : kind, place);
        open_.push_back({index, 0, kind == NodeKind::map});
    }

    /// yaml-cpp says "?" for plain and "!" for quoted scalars; maps and sequences have "?" or "".
    bool tagged(const std::string& tag, Mark mark) {
        if (tag.empty() || tag == "?" || tag == "!") return false;
        findings_.error(mark, {}, "tags (" + quoted(tag) + ") are not read here: leave it out");
        return true;
    }

    Findings& findings_;
    std::vector<Open> open_;
};

/// Looks only whether a further document exists.
class DocumentSpotter final : public YAML::EventHandler {
 public:
    void OnDocumentStart(const YAML::Mark& mark) override {
        if (!found) found = from_library(mark);
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
    void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
    void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  const std::string& /*value*/) override {}
    void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/,
                         YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value /*style*/) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/,
                    YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value /*style*/) override {}
    void OnMapEnd() override {}

    std::optional<Mark> found;
};

/// yaml-cpp takes byte 4 for the end of the text and replaces what is not UTF-8: both would let a
/// damaged file pass as another one.
bool is_text(Findings& findings) {
    const std::string_view text = findings.source().text();
    for (std::size_t at = 0; at < text.size();) {
        const auto byte = static_cast<unsigned char>(text[at]);
        const bool line_break =
            byte == '\n' || (byte == '\r' && at + 1 < text.size() && text[at + 1] == '\n');
        if ((byte < 0x20 && byte != '\t' && !line_break) || byte == 0x7f) {
            findings.error(findings.source().mark_of(at), {},
                           "byte " + std::to_string(byte) +
                               " is a control character: this is not a text file");
            return false;
        }
        const std::size_t length = utf8_length(text.substr(at));
        if (length == 0) {
            findings.error(findings.source().mark_of(at), {},
                           "byte " + std::to_string(byte) + " is not UTF-8");
            return false;
        }
        at += length;
    }
    return true;
}

/// yaml-cpp's words for an indentation with tabs do not mention them.
std::string about_tabs(const Findings& findings, const YAML::Mark& mark) {
    const std::string_view line = findings.source().line(from_library(mark).line);
    const std::string_view indent = line.substr(0, line.find_first_not_of(" \t"));
    if (indent.find('\t') == std::string_view::npos) return {};
    return " (a tab indents this line: YAML takes spaces only)";
}

}  // namespace

std::optional<YamlTree> read_yaml(Findings& findings) {
    if (!is_text(findings)) return std::nullopt;
    TreeBuilder builder(findings);
    ViewBuffer buffer(findings.source().text());
    std::istream stream(&buffer);
    try {
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder) || builder.tree.nodes.empty()) {
            findings.error({1, 1}, {}, "the file is empty: it needs at least \"version: 1\"");
            return std::nullopt;
        }
        DocumentSpotter spotter;
        if (parser.HandleNextDocument(spotter)) {
            findings.error(spotter.found.value_or(Mark{1, 1}), {},
                           "a second document starts here: a file holds one configuration");
            return std::nullopt;
        }
    } catch (const YAML::DeepRecursion& error) {
        // Deeper than yaml-cpp follows; in the first document the builder has said so already.
        if (!findings.any_error()) findings.error(from_library(error.mark), {}, too_deep());
        return std::nullopt;
    } catch (const YAML::Exception& error) {
        findings.error(
            from_library(error.mark), {},
            "not valid YAML: " + printable(error.msg, 200) + about_tabs(findings, error.mark));
        return std::nullopt;
    } catch (const std::exception& error) {
        findings.error({1, 1}, {}, "cannot be read as YAML: " + printable(error.what(), 200));
        return std::nullopt;
    }
    return std::move(builder.tree);
}

}  // namespace sluice::config
