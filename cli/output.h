// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What goes out: data to standard output in the format that was asked for, diagnostics to
/// standard error. Documents come from the API as JSON; reading one never throws.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::cli {

using Json = nlohmann::ordered_json;

enum class Format { table, wide, json, yaml };

/// "error: ..." and, if there is one, "hint: ..." on standard error.
void print_error(const Error& error);
void print_hint(std::string_view hint);
/// Formats json and yaml; the tables are each command's own.
void print_document(const Json& document, Format format);
bool is_document(Format format);

/// The document, or Errc::internal when it is none of ours.
Result<Json> parse_document(const std::string& text);

/// Members of a document; an absent one, or one of another type, is empty, 0 or false.
std::string text_at(const Json& object, const char* key);
std::uint64_t number_at(const Json& object, const char* key);
double fraction_at(const Json& object, const char* key);
bool flag_at(const Json& object, const char* key);
const Json& member_at(const Json& object, const char* key);

/// YAML block style, for the documents above: every string that could be read as something else is
/// quoted.
std::string yaml_text(const Json& document);

/// The candidate that `word` most likely meant, or empty when none is close.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
/// "did you mean 'x'?", or `otherwise`.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       std::string_view otherwise);

}  // namespace sluice::cli
