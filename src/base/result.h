// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Expected failures are values: a function that can fail returns Result<T>, and each layer adds
/// with `.in(step)` or SLC_TRY the name that it alone knows. Only `main` prints, "error:" and then
/// "hint:". Bugs are asserted; our code never throws.

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace sluice {

/// What callers branch on. Everything else in an Error is for people.
enum class Errc {
    invalid,      ///< Input that is wrong: a configuration, an argument, a packet.
    not_found,    ///< Names something that does not exist.
    conflict,     ///< Exists already, or is held by somebody else.
    denied,       ///< A privilege is missing.
    unsupported,  ///< This kernel, driver or build cannot do it.
    limit,        ///< A bound of limits.h, or memory, is reached.
    unreachable,  ///< The daemon, a peer or a file system does not answer.
    system,       ///< A system call failed for another reason.
    internal,     ///< A promise of our own was broken.
};

struct Error {
    Errc code = Errc::internal;
    int sys = 0;       ///< errno, or 0.
    std::string what;  ///< "attach eth0: load slc_lb: permission denied".
    std::string hint;  ///< What the operator can do; may be empty.

    /// Prefixes one step: "attach eth0" + ": " + what.
    Error in(std::string_view step) && {
        what = std::string(step) + ": " + what;
        return std::move(*this);
    }

    /// Adds a hint unless a deeper layer, which knows more, has given one.
    Error advise(std::string_view text) && {
        if (hint.empty()) hint = text;
        return std::move(*this);
    }
};

/// An Error from errno, saved by the caller on the line after the call. EPERM and EACCES become
/// Errc::denied, ENOENT and ENODEV not_found, ENOMEM, E2BIG, ENOSPC and EMFILE limit, EOPNOTSUPP
/// and ENOSYS unsupported, EEXIST and EBUSY conflict; all else is Errc::system.
Error sys_error(int saved_errno, std::string_view operation);

inline Error make_error(Errc code, std::string what, std::string hint = {}) {
    return Error{code, 0, std::move(what), std::move(hint)};
}

template <typename T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
    using tl::expected<T, Error>::expected;
};

inline tl::unexpected<Error> fail(Error error) {
    return tl::unexpected<Error>(std::move(error));
}

inline tl::unexpected<Error> fail(Errc code, std::string what, std::string hint = {}) {
    return tl::unexpected<Error>(make_error(code, std::move(what), std::move(hint)));
}

}  // namespace sluice

/// The value of a Result, or return its error with `step` in front.
///   UniqueFd link = SLC_TRY(open_link(name), "attach " + name);
#define SLC_TRY(expression, step)                                                               \
    __extension__({                                                                             \
        auto slc_try_result = (expression);                                                     \
        if (!slc_try_result) return ::sluice::fail(std::move(slc_try_result).error().in(step)); \
        std::move(slc_try_result).value();                                                      \
    })

/// The same for Result<void>, as a statement.
#define SLC_CHECK(expression, step)                                                             \
    do {                                                                                        \
        auto slc_try_result = (expression);                                                     \
        if (!slc_try_result) return ::sluice::fail(std::move(slc_try_result).error().in(step)); \
    } while (0)
