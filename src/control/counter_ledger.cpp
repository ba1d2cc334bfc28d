// SPDX-License-Identifier: Apache-2.0
#include "control/counter_ledger.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sluice::control {
namespace {

using Json = nlohmann::json;

constexpr const char* kKindNames[] = {"services", "members", "customers", "policies", "interfaces"};

/// `to` becomes at least as long as `from`.
void add(CounterLedger::Words& to, std::span<const std::uint64_t> from) {
    to.resize(std::max(to.size(), from.size()));
    for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
}

void subtract(CounterLedger::Words& to, std::span<const std::uint64_t> from) {
    to.resize(std::max(to.size(), from.size()));
    for (std::size_t i = 0; i < from.size(); ++i) to[i] -= from[i];
}

bool is_number(const Json& value) {
    return value.is_number_unsigned() ||
           (value.is_number_integer() && value.get<std::int64_t>() >= 0);
}

bool is_words(const Json& value) {
    return value.is_array() && std::all_of(value.begin(), value.end(), is_number);
}

/// [id, name, words], or [number, name, words].
bool is_row(const Json& row) {
    return row.is_array() && row.size() == 3 && is_number(row[0]) && row[1].is_string() &&
           is_words(row[2]);
}

bool are_rows(const Json& rows) {
    return rows.is_array() && std::all_of(rows.begin(), rows.end(), is_row);
}

bool is_book(const Json& document, const char* name) {
    const auto found = document.find(name);
    return found != document.end() && found->is_object() && found->contains("cells") &&
           found->contains("departed") && are_rows((*found)["cells"]) &&
           are_rows((*found)["departed"]);
}

bool is_ledger(const Json& document) {
    if (!document.is_object() || !document.contains("steady")) return false;
    const Json& steady = document["steady"];
    return std::all_of(std::begin(kKindNames), std::end(kKindNames),
                       [&](const char* name) { return is_book(document, name); }) &&
           steady.is_object() && std::all_of(steady.begin(), steady.end(), [](const Json& pair) {
               return is_words(pair) && pair.size() == 2;
           });
}

}  // namespace

void CounterLedger::depart(Book& book, const std::string& name, std::uint64_t number, Words words) {
    if (const auto known = book.departed.find(name); known != book.departed.end())
        book.order.erase(known->second.first);
    book.departed[name] = {number, std::move(words)};
    book.order[number] = name;
    if (book.departed.size() <= kMaxDeparted) return;
    book.departed.erase(book.order.begin()->second);
    book.order.erase(book.order.begin());
}

void CounterLedger::hand_over(CellKind kind, std::uint32_t id, const std::string& from,
                              const std::string& to, std::span<const std::uint64_t> raw) {
    Book& book = books_[static_cast<std::size_t>(kind)];
    const auto known = book.cells.find(id);
    const std::string holder = known != book.cells.end() ? known->second.name : from;
    if (holder == to && (known != book.cells.end() || to.empty())) return;
    changed_ = true;
    // What the new holder has to begin from: what others counted there.
    Words offset;
    if (known != book.cells.end() || !from.empty()) {
        Words total(raw.begin(), raw.end());
        if (known != book.cells.end()) add(total, known->second.offset);
        if (holder.empty()) {
            offset = known->second.offset;  // Nobody counted since it was left.
        } else {
            depart(book, holder, ++departures_, std::move(total));
            subtract(offset, raw);
        }
    }
    if (const auto name = book.names.find(holder); name != book.names.end() && name->second == id)
        book.names.erase(name);
    if (const auto back = book.departed.find(to); !to.empty() && back != book.departed.end()) {
        add(offset, back->second.second);
        book.order.erase(back->second.first);
        book.departed.erase(back);
    }
    book.cells[id] = {to, std::move(offset)};
    if (!to.empty()) book.names[to] = id;
}

const std::uint32_t* CounterLedger::find(CellKind kind, const std::string& name) const {
    const auto& names = book(kind).names;
    const auto found = names.find(name);
    return found == names.end() ? nullptr : &found->second;
}

std::uint64_t CounterLedger::steady(const std::string& key, std::uint64_t raw, unsigned wraps) {
    Steady& known = steady_[key];
    if (raw < known.last) {
        // A counter of few bits that was nearly full has wrapped; else it began anew.
        const std::uint64_t full = wraps == 64 ? 0 : std::uint64_t{1} << wraps;
        const bool has_wrapped = full != 0 && known.last > full / 2;
        known.offset += has_wrapped ? full : known.last;
        changed_ = true;
    }
    has_read_ = has_read_ || known.last != raw;
    known.last = raw;
    return known.offset + raw;
}

std::string CounterLedger::to_text() const {
    Json out = Json::object();
    for (std::size_t i = 0; i < books_.size(); ++i) {
        Json cells = Json::array();
        for (const auto& [id, cell] : books_[i].cells)
            cells.push_back({id, cell.name, cell.offset});
        Json departed = Json::array();
        for (const auto& [number, name] : books_[i].order)
            departed.push_back({number, name, books_[i].departed.at(name).second});
        out[kKindNames[i]] = {{"cells", std::move(cells)}, {"departed", std::move(departed)}};
    }
    Json steady = Json::object();
    for (const auto& [key, known] : steady_) steady[key] = {known.offset, known.last};
    out["steady"] = std::move(steady);
    return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<CounterLedger> CounterLedger::from_text(std::string_view text) {
    const Json document = Json::parse(text, nullptr, false);
    if (document.is_discarded() || !is_ledger(document))
        return fail(Errc::invalid, "the ledger of counters cannot be read");
    CounterLedger out;
    for (std::size_t i = 0; i < out.books_.size(); ++i) {
        Book& book = out.books_[i];
        for (const Json& row : document[kKindNames[i]]["cells"]) {
            const auto id = row[0].get<std::uint32_t>();
            const auto name = row[1].get<std::string>();
            book.cells[id] = {name, row[2].get<Words>()};
            if (!name.empty()) book.names[name] = id;
        }
        for (const Json& row : document[kKindNames[i]]["departed"]) {
            const auto number = row[0].get<std::uint64_t>();
            out.departures_ = std::max(out.departures_, number);
            depart(book, row[1].get<std::string>(), number, row[2].get<Words>());
        }
    }
    for (const auto& [key, pair] : document["steady"].items())
        out.steady_[key] = {.last = pair[1].get<std::uint64_t>(),
                            .offset = pair[0].get<std::uint64_t>()};
    return out;
}

}  // namespace sluice::control
