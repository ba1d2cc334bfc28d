// SPDX-License-Identifier: Apache-2.0
#include "plan/ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "sluice/limits.h"

namespace sluice::plan {
namespace {

using Json = nlohmann::json;

constexpr int kSchemaVersion = 1;

tl::unexpected<Error> faulty(const std::string& what) {
    return fail(Errc::invalid, "id store: " + what,
                "restore the file from a backup, or remove it: all ids are then given anew, and "
                "counters start again under new ids");
}

/// Keeps nlohmann from letting the last of several equal keys win silently.
class KeysOnce {
 public:
    bool operator()(int, Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::object_start) keys_.emplace_back();
        if (event == Json::parse_event_t::object_end) keys_.pop_back();
        if (event == Json::parse_event_t::key) {
            const auto& name = parsed.get_ref<const std::string&>();
            if (!keys_.back().insert(name).second && duplicate_->empty()) *duplicate_ = name;
        }
        return true;
    }
    explicit KeysOnce(std::string& duplicate) : duplicate_(&duplicate) {}

 private:
    std::vector<std::set<std::string>> keys_;
    std::string* duplicate_;
};

/// Exactly these keys, no other.
bool has_keys(const Json& value, std::initializer_list<const char*> keys) {
    if (!value.is_object() || value.size() != keys.size()) return false;
    return std::all_of(keys.begin(), keys.end(),
                       [&](const char* key) { return value.contains(key); });
}

/// A name as JSON has it. Nearly all need no escape; should one not be UTF-8, it must not throw.
void append_quoted(std::string& out, const std::string& name) {
    const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
        return c >= ' ' && c <= '~' && c != '"' && c != '\\';
    });
    if (is_plain)
        out.append(1, '"').append(name).append(1, '"');
    else
        out += Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_pair(std::string& out, const std::string& name, std::uint32_t id) {
    if (out.back() != '[') out += ',';
    out += '[';
    append_quoted(out, name);
    out.append(1, ',').append(std::to_string(id)).append(1, ']');
}

}  // namespace

Result<std::uint32_t> IdSpace::assign(const std::string& name) {
    if (const auto it = ids_.find(name); it != ids_.end()) return it->second;
    std::uint32_t id = 0;
    if (const auto it = released_names_.find(name); it != released_names_.end()) {
        id = released_.at(it->second).second;
        released_.erase(it->second);
        released_names_.erase(it);
    } else if (next_ < limit_) {
        id = next_++;
    } else if (!released_.empty()) {
        const auto oldest = released_.begin();
        id = oldest->second.second;
        handovers_.push_back({id, oldest->second.first, name});
        released_names_.erase(oldest->second.first);
        released_.erase(oldest);
    } else {
        return fail(Errc::limit,
                    fmt::format("no id left for {}: all {} are in use", name, limit_ - 1));
    }
    ids_.emplace(name, id);
    return id;
}

std::uint32_t IdSpace::find(const std::string& name) const {
    const auto it = ids_.find(name);
    return it == ids_.end() ? 0 : it->second;
}

std::map<std::uint32_t, std::string> IdSpace::names_by_id() const {
    std::vector<const std::string*> names(next_);
    for (const auto& [name, id] : ids_) names[id] = &name;
    for (const auto& [order, entry] : released_) names[entry.second] = &entry.first;
    std::map<std::uint32_t, std::string> out;
    for (std::uint32_t id = 0; id < next_; ++id)
        if (names[id] != nullptr) out.emplace_hint(out.end(), id, *names[id]);
    return out;
}

std::map<std::string, std::uint32_t> IdSpace::names() const {
    return {ids_.begin(), ids_.end()};
}

void IdSpace::release(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    for (std::string& name : names) {
        const auto found = ids_.find(name);
        const std::uint32_t id = found->second;
        ids_.erase(found);
        released_names_.emplace(name, release_count_);
        released_.emplace_hint(released_.end(), release_count_, std::pair(std::move(name), id));
        ++release_count_;
    }
}

void IdSpace::retain(const std::set<std::string>& keep) {
    std::vector<std::string> gone;
    for (const auto& [name, id] : ids_)
        if (!keep.contains(name)) gone.push_back(name);
    release(std::move(gone));
}

Result<std::vector<std::uint32_t>> IdSpace::assign_only(std::span<const std::string> names) {
    std::vector<std::uint32_t> out(names.size());
    std::vector<bool> kept(next_);
    std::vector<std::size_t> fresh;
    for (std::size_t i = 0; i < names.size(); ++i) {
        out[i] = find(names[i]);
        if (out[i] != 0)
            kept[out[i]] = true;
        else
            fresh.push_back(i);
    }
    std::vector<std::string> gone;
    for (const auto& [name, id] : ids_)
        if (!kept[id]) gone.push_back(name);
    release(std::move(gone));
    std::sort(fresh.begin(), fresh.end(),
              [&](std::size_t left, std::size_t right) { return names[left] < names[right]; });
    ids_.reserve(ids_.size() + fresh.size());
    for (const std::size_t i : fresh) out[i] = SLC_TRY(assign(names[i]), names[i]);
    return out;
}

std::uint32_t IdSpace::highest() const {
    return next_ - 1;
}

IdStore::IdStore()
    : services(SLC_MAX_SERVICES),
      members(SLC_MAX_MEMBERS),
      customers(SLC_MAX_CUSTOMERS),
      policies(SLC_MAX_POLICIES) {}

struct IdCodec {
    /// Written by hand: a document of a hundred thousand small arrays takes ten times as long.
    static void encode(const IdSpace& space, std::string_view key, std::string& out) {
        using Entry = std::pair<const std::string, std::uint32_t>;
        std::vector<const Entry*> names;
        names.reserve(space.ids_.size());
        for (const Entry& entry : space.ids_) names.push_back(&entry);
        std::sort(names.begin(), names.end(),
                  [](const Entry* left, const Entry* right) { return left->first < right->first; });
        out += fmt::format(R"("{}":{{"names":[)", key);
        for (const Entry* entry : names) append_pair(out, entry->first, entry->second);
        out += fmt::format(R"(],"next":{},"released":[)", space.next_);
        for (const auto& [order, entry] : space.released_)
            append_pair(out, entry.first, entry.second);
        out += "]},";
    }

    /// One [name, id] pair, checked against the space and against all pairs before it.
    static Result<std::pair<std::string, std::uint32_t>> decode_pair(const Json& pair,
                                                                     const IdSpace& space,
                                                                     std::vector<bool>& used) {
        if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() ||
            !pair[1].is_number_unsigned()) {
            return faulty("expected [name, id], found " + pair.dump());
        }
        const auto& name = pair[0].get_ref<const std::string&>();
        const auto id = pair[1].get<std::uint64_t>();
        if (id == 0 || id >= space.next_) {
            return faulty(fmt::format("id {} of {} is not in 1..{}", id, name, space.next_ - 1));
        }
        if (used[id]) return faulty(fmt::format("id {} is given twice", id));
        used[id] = true;
        if (space.ids_.contains(name) || space.released_names_.contains(name)) {
            return faulty(name + " has two ids");
        }
        return std::pair{name, static_cast<std::uint32_t>(id)};
    }

    static Result<> decode(const Json& value, IdSpace& space, bool& in_order) {
        if (!has_keys(value, {"next", "names", "released"})) {
            return faulty("expected next, names and released");
        }
        const Json& next = value["next"];
        if (!next.is_number_unsigned() || next.get<std::uint64_t>() == 0 ||
            next.get<std::uint64_t>() > space.limit_) {
            return faulty(fmt::format("next is {}, not in 1..{}", next.dump(), space.limit_));
        }
        if (!value["names"].is_array() || !value["released"].is_array()) {
            return faulty("names and released are not both lists");
        }
        space.next_ = next.get<std::uint32_t>();
        std::vector<bool> used(space.next_);
        space.ids_.reserve(value["names"].size());
        std::string last;
        for (const Json& pair : value["names"]) {
            auto entry = SLC_TRY(decode_pair(pair, space, used), "names");
            in_order = in_order && last <= entry.first;
            last = entry.first;
            space.ids_.insert(std::move(entry));
        }
        for (const Json& pair : value["released"]) {
            auto entry = SLC_TRY(decode_pair(pair, space, used), "released");
            space.released_names_.emplace(entry.first, space.release_count_);
            space.released_.emplace(space.release_count_++, std::move(entry));
        }
        const std::size_t known = space.ids_.size() + space.released_.size();
        if (known != space.next_ - 1) {
            return faulty(fmt::format("{} of the ids below {} are missing", space.next_ - 1 - known,
                                      space.next_));
        }
        return {};
    }
};

std::string IdStore::to_json() const {
    std::string out = "{";
    IdCodec::encode(customers, "customers", out);
    IdCodec::encode(members, "members", out);
    IdCodec::encode(policies, "policies", out);
    IdCodec::encode(services, "services", out);
    return out + fmt::format(R"("version":{}}})", kSchemaVersion) + "\n";
}

Result<IdStore> IdStore::from_json(std::string_view text) {
    std::string duplicate;
    const Json document = Json::parse(text, KeysOnce(duplicate), /*allow_exceptions=*/false);
    if (document.is_discarded()) return faulty("not JSON");
    if (!duplicate.empty()) return faulty("key " + duplicate + " comes twice");
    if (!has_keys(document, {"version", "services", "members", "customers", "policies"})) {
        return faulty("expected version, services, members, customers and policies");
    }
    if (document["version"] != kSchemaVersion) {
        return faulty(
            fmt::format("version {} is not {}", document["version"].dump(), kSchemaVersion));
    }
    IdStore store;
    bool in_order = true;
    SLC_CHECK(IdCodec::decode(document["services"], store.services, in_order), "services");
    SLC_CHECK(IdCodec::decode(document["members"], store.members, in_order), "members");
    SLC_CHECK(IdCodec::decode(document["customers"], store.customers, in_order), "customers");
    SLC_CHECK(IdCodec::decode(document["policies"], store.policies, in_order), "policies");
    if (!in_order) return faulty("names are not in order");
    return store;
}

}  // namespace sluice::plan
