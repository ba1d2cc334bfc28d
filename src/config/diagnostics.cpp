// SPDX-License-Identifier: Apache-2.0
#include "config/diagnostics.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace sluice::config {
namespace {

constexpr std::size_t kExcerptBytes = 100;  ///< What one line of a terminal shows.

bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

/// Appends one character, or a stand-in for what should not reach a terminal. Returns bytes read.
std::size_t append_printable(std::string& out, std::string_view text, std::size_t at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = utf8_length(text.substr(at));
    // U+0080 to U+009F are control characters too; they begin with 0xc2.
    const bool control =
        byte < 0x20 || byte == 0x7f ||
        (byte == 0xc2 && length == 2 && static_cast<unsigned char>(text[at + 1]) < 0xa0);
    if (byte == '\t') {
        out += ' ';
        return 1;
    }
    if (length == 0 || control) {
        out += '?';
        return std::max<std::size_t>(length, 1);
    }
    out += text.substr(at, length);
    return length;
}

struct Excerpt {
    std::string text;
    std::uint32_t caret = 0;
};

/// The part of a line around byte `column` (0-based), and how many characters stand before it.
Excerpt excerpt_of(std::string_view line, std::size_t column) {
    column = std::min(column, line.size());
    const std::size_t indent = std::min(line.find_first_not_of(" \t"), column);
    std::size_t first = indent;
    if (column - indent > kExcerptBytes * 3 / 4) first = column - kExcerptBytes / 2;
    while (first > indent && is_continuation(line[first])) --first;
    const std::size_t last = std::min(line.size(), first + kExcerptBytes);
    Excerpt out;
    std::size_t characters = 0;
    if (first > indent) {
        out.text = "...";
        characters = 3;
    }
    bool placed = false;
    for (std::size_t at = first; at < last; ++characters) {
        const std::size_t read = append_printable(out.text, line, at);
        if (!placed && at + read > column) {
            out.caret = static_cast<std::uint32_t>(characters);
            placed = true;
        }
        at += read;
    }
    if (!placed) out.caret = static_cast<std::uint32_t>(characters);
    if (last < line.size()) out.text += "...";
    return out;
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> before(right.size() + 1);
    std::vector<std::size_t> last(right.size() + 1);
    std::vector<std::size_t> now(right.size() + 1);
    std::iota(last.begin(), last.end(), 0);
    for (std::size_t i = 1; i <= left.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t cost = left[i - 1] == right[j - 1] ? 0 : 1;
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + cost});
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(now);
    }
    return last[right.size()];
}

}  // namespace

Source::Source(std::string_view text, std::string_view file_name) : text_(text), file_(file_name) {
    starts_.push_back(0);
    for (std::size_t at = text.find('\n'); at != std::string_view::npos;
         at = text.find('\n', at + 1))
        if (at + 1 < text.size()) starts_.push_back(at + 1);
}

std::string_view Source::line(std::uint32_t line) const {
    const std::size_t index = std::clamp<std::size_t>(line, 1, starts_.size()) - 1;
    const std::size_t end = index + 1 < starts_.size() ? starts_[index + 1] : text_.size();
    std::string_view out = text_.substr(starts_[index], end - starts_[index]);
    if (out.ends_with('\n')) out.remove_suffix(1);
    if (out.ends_with('\r')) out.remove_suffix(1);
    return out;
}

Mark Source::mark_of(std::size_t offset) const {
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), offset);
    const auto index = static_cast<std::size_t>(after - starts_.begin()) - 1;
    return clamp({static_cast<std::uint32_t>(index + 1),
                  static_cast<std::uint32_t>(offset - starts_[index] + 1)});
}

Mark Source::clamp(Mark mark) const {
    if (mark.line > lines()) {
        mark.line = lines();
        mark.column = static_cast<std::uint32_t>(line(mark.line).size() + 1);
    }
    mark.line = std::max(mark.line, 1u);
    const auto end = static_cast<std::uint32_t>(line(mark.line).size() + 1);
    mark.column = std::clamp(mark.column, 1u, end);
    return mark;
}

std::string Path::text() const {
    std::vector<const Path*> steps;
    for (const Path* step = this; step->parent != nullptr; step = step->parent)
        steps.push_back(step);
    std::string out;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
        if ((*step)->is_index) {
            out += "[" + std::to_string((*step)->index) + "]";
            continue;
        }
        if (!out.empty()) out += ".";
        out += printable((*step)->key);
    }
    return out;
}

void Findings::error(Mark mark, std::string path, std::string message) {
    if (errors_.size() < kMaxKept)
        errors_.push_back({source_.clamp(mark), std::move(path), std::move(message)});
}

void Findings::warning(Mark mark, std::string path, std::string message) {
    if (warnings_.size() < kMaxKept)
        warnings_.push_back({source_.clamp(mark), std::move(path), std::move(message)});
}

std::vector<Diagnostic> Findings::take_errors() {
    return take(errors_);
}

std::vector<Diagnostic> Findings::take_warnings() {
    return take(warnings_);
}

std::vector<Diagnostic> Findings::take(std::vector<Finding>& findings) const {
    const auto place = [](const Finding& finding) {
        return (static_cast<std::uint64_t>(finding.mark.line) << 32) | finding.mark.column;
    };
    std::stable_sort(
        findings.begin(), findings.end(),
        [&](const Finding& left, const Finding& right) { return place(left) < place(right); });
    const std::size_t total = findings.size();
    if (total > kMaxFindings) {
        findings.resize(kMaxFindings);
        findings.back().path.clear();
        findings.back().message =
            "and " + std::to_string(total - kMaxFindings + 1) + " more from here on";
    }
    std::vector<Diagnostic> out;
    out.reserve(findings.size());
    for (Finding& finding : findings) {
        Excerpt excerpt = excerpt_of(source_.line(finding.mark.line), finding.mark.column - 1);
        out.push_back({source_.file(), finding.mark.line, finding.mark.column,
                       std::move(finding.path), std::move(finding.message), std::move(excerpt.text),
                       excerpt.caret});
    }
    findings.clear();
    return out;
}

std::string Diagnostic::text() const {
    std::string out = file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
    if (!path.empty()) out += path + ": ";
    out += message;
    if (!source_line.empty())
        out += "\n    " + source_line + "\n    " + std::string(caret, ' ') + "^";
    return out;
}

std::string_view without_byte_order_mark(std::string_view text) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    return text;
}

std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if (!is_continuation(text[i])) return 0;
    // Overlong forms, surrogates and what lies beyond U+10FFFF.
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) >= 0xa0) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) >= 0x90) return 0;
    return length;
}

std::string printable(std::string_view text, std::size_t most_bytes) {
    std::string out;
    std::size_t at = 0;
    while (at < text.size() && at < most_bytes) at += append_printable(out, text, at);
    if (at < text.size()) out += "...";
    return out;
}

std::string quoted(std::string_view text) {
    const bool one_word = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               std::string_view("-_.:/%").find(c) != std::string_view::npos;
    });
    return one_word ? printable(text) : "\"" + printable(text) + "\"";
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& known) {
    // A third of the word may be wrong: more than that is another word.
    constexpr std::size_t kLongestWord = 40;
    if (word.size() > kLongestWord) return {};
    std::size_t best = std::max<std::size_t>(word.size() / 3, 1) + 1;
    std::string_view nearest;
    for (const std::string_view candidate : known) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance >= best) continue;
        best = distance;
        nearest = candidate;
    }
    return nearest.empty() ? std::string() : ", did you mean " + std::string(nearest) + "?";
}

}  // namespace sluice::config
