// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A request's body taken apart: an object of strings, numbers and flags, whose members may be
/// objects of the same and of lists of strings. Pure. Whatever the bytes are, no more is built than
/// that: a body of tens of MiB costs little beside the strings that are in it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::api {

/// One member that is no object. What a peer made up is repeated in errors no longer than `shown`.
struct Member {
    enum class Kind { text, number, fraction, flag, list, other };
    std::string key;  ///< "message"; "canary.share" within an object.
    Kind kind = Kind::other;
    std::string text;
    std::uint64_t number = 0;  ///< Whole and not negative.
    double fraction = 0;       ///< Of a number too.
    bool flag = false;
    std::vector<std::string> list;  ///< Of strings.
};

/// In the order of the body; none for an empty body. Errc::invalid for what is no JSON object,
/// holds a key twice, or more than the above.
Result<std::vector<Member>> read_body(std::string_view body);

/// The value of a member, or Errc::invalid with its key and what stands there instead.
Result<bool> flag_of(const Member& member);
Result<std::uint64_t> number_of(const Member& member, std::uint64_t least, std::uint64_t most);
/// At most `most` bytes, and no control characters: it is shown on terminals. `lines`: line ends
/// and tabs may be in it.
Result<std::string> line_of(Member& member, std::size_t most, bool lines = false);
/// Anything.
Result<std::string> text_of(Member& member);

/// The first bytes, for an error.
std::string shown(std::string_view text);

inline constexpr std::size_t kMaxMembers = 64;
inline constexpr std::size_t kMaxListed = 256;  ///< Strings in one list.

}  // namespace sluice::api
