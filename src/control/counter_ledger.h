// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Whose a count is. The data plane counts in cells: by id of a service, a backend, a customer, a
/// policy, or by row of an interface. A cell only ever grows, and keeps what it has when its name
/// is removed; a name that comes back to its old cell goes on where it was. Nothing is written here
/// for as long as that is all that happens.
///
/// Ids are given to other names when none is left (plan/ids.h), and an interface that is made again
/// has another row. Then a name's count is what its cell says less what others counted there, plus
/// what the name had counted elsewhere: the ledger keeps that difference for each such cell, and
/// the counts of names that have no cell now. So no name begins with another's count, and none goes
/// back.
///
///   cell 5:   a a a a | b b b          "b" took it over when it said 4: b = 7 - 4
///   cell 9:             x x | a a      "a" came back to another: a = 4 - 2 + 4
///
/// Counters of others (a driver's, a CPU's) may begin anew at any time, also while no daemon runs:
/// of those the ledger keeps what they said last and what they had said before they began anew.
///
/// It is pinned beside the counters, so that it lives exactly as long as they do. What changed
/// hands is kept at once; what counters of others said last, at shutdown and with each reading that
/// is a minute younger than the one kept before. So after a kill, and only if such a counter began
/// anew before the next daemon read it, its total may be less than what was told last: by what it
/// had counted in that minute. Owned by the controller.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice::control {

enum class CellKind { service, member, customer, policy, interface };

class CounterLedger {
 public:
    /// A cell as 64-bit words.
    using Words = std::vector<std::uint64_t>;
    /// Names without a cell are remembered; beyond so many of a kind the first ones are forgotten.
    static constexpr std::size_t kMaxDeparted = 65536;

    struct Cell {
        std::string name;  ///< Whose it is; empty: nobody's.
        Words offset;      ///< To be added to what it says, modulo 2^64.
    };

    /// Errc::invalid for what to_text() did not write.
    static Result<CounterLedger> from_text(std::string_view text);
    [[nodiscard]] std::string to_text() const;

    /// The cell is `to`'s from now on (empty: nobody's). Before it was `from`'s, unless the ledger
    /// knows better; empty: it was never anybody's, and all that it says is the new name's.
    void hand_over(CellKind kind, std::uint32_t id, const std::string& from, const std::string& to,
                   std::span<const std::uint64_t> raw);
    /// Cells with an entry; all others say what their name has counted.
    [[nodiscard]] const std::map<std::uint32_t, Cell>& cells(CellKind kind) const {
        return book(kind).cells;
    }
    /// Id of the cell of a name; nothing when the ledger has no entry for it.
    [[nodiscard]] const std::uint32_t* find(CellKind kind, const std::string& name) const;

    /// For counters that are not ours and may begin anew (a driver's, an interface's): what `key`
    /// has counted in all. `wraps`: bits of the counter, 64 or 32.
    std::uint64_t steady(const std::string& key, std::uint64_t raw, unsigned wraps = 64);

    /// What is to be kept has changed since this was true last; `also_read`: or counters of others
    /// have been read that went on.
    [[nodiscard]] bool take_changed(bool also_read = false) {
        if (!changed_ && !(also_read && has_read_)) return false;
        changed_ = has_read_ = false;
        return true;
    }

 private:
    struct Book {
        std::map<std::uint32_t, Cell> cells;
        std::map<std::string, std::uint32_t> names;  ///< Of `cells`.
        std::map<std::string, std::pair<std::uint64_t, Words>> departed;
        std::map<std::uint64_t, std::string> order;  ///< Of `departed`, oldest first.
    };
    struct Steady {
        std::uint64_t last = 0;
        std::uint64_t offset = 0;
    };

    [[nodiscard]] const Book& book(CellKind kind) const {
        return books_[static_cast<std::size_t>(kind)];
    }
    static void depart(Book& book, const std::string& name, std::uint64_t number, Words words);

    std::vector<Book> books_{5};
    std::uint64_t departures_ = 0;
    std::map<std::string, Steady, std::less<>> steady_;
    bool changed_ = false;
    bool has_read_ = false;  ///< Of `steady_`, what was not kept.
};

}  // namespace sluice::control
