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
    std::map<std::uint32_t, std::string> out;
    for (const auto& [name, id] : ids_) out.emplace(id, name);
    for (const auto& [order, entry] : released_) out.emplace(entry.second, entry.first);
    return out;
}

void IdSpace::retain(const std::set<std::string>& keep) {
    for (auto it = ids_.begin(); it != ids_.end();) {
        if (keep.contains(it->first)) {
            ++it;
            continue;
        }
        released_.emplace(release_count_, *it);
        released_names_.emplace(it->first, release_count_);
        ++release_count_;
        it = ids_.erase(it);
    }
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
    static Json encode(const IdSpace& space) {
        Json names = Json::array();
        for (const auto& [name, id] : space.ids_) names.push_back(Json::array({name, id}));
        Json released = Json::array();
        for (const auto& [order, entry] : space.released_) {
            released.push_back(Json::array({entry.first, entry.second}));
        }
        return {{"next", space.next_}, {"names", names}, {"released", released}};
    }

    static Json encode(const IdStore& store) {
        return {{"version", kSchemaVersion},
                {"services", encode(store.services)},
                {"members", encode(store.members)},
                {"customers", encode(store.customers)},
                {"policies", encode(store.policies)}};
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

    static Result<> decode(const Json& value, IdSpace& space) {
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
        for (const Json& pair : value["names"]) {
            space.ids_.insert(SLC_TRY(decode_pair(pair, space, used), "names"));
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
    // Names come from a validated configuration; should one not be UTF-8, it must not throw.
    return IdCodec::encode(*this).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
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
    SLC_CHECK(IdCodec::decode(document["services"], store.services), "services");
    SLC_CHECK(IdCodec::decode(document["members"], store.members), "members");
    SLC_CHECK(IdCodec::decode(document["customers"], store.customers), "customers");
    SLC_CHECK(IdCodec::decode(document["policies"], store.policies), "policies");
    if (IdCodec::encode(store) != document) return faulty("names are not in order");
    return store;
}

}  // namespace sluice::plan
