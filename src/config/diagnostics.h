// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Where findings are collected while a text is read: by place, so that they come out in file order
/// whatever order they were found in. Used inside config/ only.

#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "config/parse.h"

namespace sluice::config {

/// A text and where its lines begin. Keeps a view: the text must outlive it.
class Source {
 public:
    Source(std::string_view text, std::string_view file_name);

    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] const std::string& file() const { return file_; }
    [[nodiscard]] std::uint32_t lines() const { return static_cast<std::uint32_t>(starts_.size()); }
    /// Without its line break. `line` is 1-based and clamped to the text.
    [[nodiscard]] std::string_view line(std::uint32_t line) const;
    /// The place of a byte of the text.
    [[nodiscard]] Mark mark_of(std::size_t offset) const;
    /// A place within the text, whatever a library said: the end lies after the last character.
    [[nodiscard]] Mark clamp(Mark mark) const;

 private:
    std::string_view text_;
    std::string file_;
    std::vector<std::size_t> starts_;
};

/// A path like "services[0].port", as a list of its steps that lives on the stack of the reader:
/// only a finding makes a string of it.
struct Path {
    const Path* parent = nullptr;
    std::string_view key;
    std::size_t index = 0;
    bool is_index = false;

    [[nodiscard]] Path at(std::string_view name) const { return {this, name, 0, false}; }
    [[nodiscard]] Path at(std::size_t position) const { return {this, {}, position, true}; }
    [[nodiscard]] std::string text() const;
};

class Findings {
 public:
    explicit Findings(const Source& source) : source_(source) {}

    void error(Mark mark, std::string path, std::string message);
    void warning(Mark mark, std::string path, std::string message);
    [[nodiscard]] bool any_error() const { return !errors_.empty(); }
    [[nodiscard]] const Source& source() const { return source_; }

    /// In file order; at most kMaxFindings of each, the last of which says that there are more.
    [[nodiscard]] std::vector<Diagnostic> take_errors();
    [[nodiscard]] std::vector<Diagnostic> take_warnings();

    static constexpr std::size_t kMaxFindings = 1000;

 private:
    struct Finding {
        Mark mark;
        std::string path;
        std::string message;
    };

    /// Bounds what is kept while reading: a text of 64 MiB can hold millions of mistakes.
    static constexpr std::size_t kMaxKept = 200'000;

    [[nodiscard]] std::vector<Diagnostic> take(std::vector<Finding>& findings) const;

    const Source& source_;
    std::vector<Finding> errors_;
    std::vector<Finding> warnings_;
};

/// What editors of other systems put in front of UTF-8 text.
std::string_view without_byte_order_mark(std::string_view text);

/// Length of the well-formed UTF-8 character (RFC 3629) that `text` begins with, or 0. Not for an
/// empty text.
std::size_t utf8_length(std::string_view text);

/// The text for a message: shortened, without anything that a terminal would interpret.
std::string printable(std::string_view text, std::size_t most_bytes = 64);
/// The same in quotes, unless it is one word, number, percentage or address.
std::string quoted(std::string_view text);

/// ", did you mean web?" for the nearest of `known` if one is near enough to be a slip of the
/// fingers, else nothing.
std::string suggestion(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace sluice::config
