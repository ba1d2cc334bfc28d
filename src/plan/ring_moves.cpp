// SPDX-License-Identifier: Apache-2.0
#include "plan/ring_moves.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "plan/inherit.h"

namespace sluice::plan {
namespace {

using config::Config;

/// What decides the owners of a ring: the candidates in the order of their addresses.
using Signature = std::vector<std::tuple<IpAddress, std::uint32_t, RingRole>>;

Signature signature_of(const config::Group& group, const Overrides& overrides) {
    Signature out;
    out.reserve(group.backends.size());
    const auto weights = ring_weights(group, overrides);
    for (std::size_t i = 0; i < group.backends.size(); ++i) {
        // Names are made only where one may be overridden: there may be 100,000 of them.
        const auto& backend = group.backends[i];
        const config::Backend now =
            overrides.empty() ? backend : effective(group, backend, overrides);
        out.emplace_back(now.address, weights[i], ring_role(group, now));
    }
    std::sort(out.begin(), out.end());
    return out;
}

struct AddressHash {
    std::size_t operator()(const IpAddress& address) const {
        return std::hash<std::string_view>()(
            {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
    }
};

/// The members of an image by group.
class MembersByGroup {
 public:
    MembersByGroup() = default;
    MembersByGroup(const Image& image, std::size_t groups) : starts_(groups + 1) {
        for (const ImageMember& member : image.members)
            if (member.group < groups) ++starts_[member.group + 1];
        std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
        members_.resize(starts_.back());
        std::vector<std::size_t> ends = starts_;
        for (const ImageMember& member : image.members)
            if (member.group < groups) members_[ends[member.group]++] = &member;
        numbers_.resize(std::size_t{image.highest_member} + 1);
    }

    using Numbers = std::unordered_map<IpAddress, std::uint32_t, AddressHash>;
    /// Numbers the addresses of a group's members: equal ones alike, in two images too.
    void number(std::size_t group, Numbers& numbers) {
        for (std::size_t i = starts_[group]; i < starts_[group + 1]; ++i) {
            const auto next = static_cast<std::uint32_t>(numbers.size() + 1);
            numbers_[members_[i]->id] = numbers.emplace(members_[i]->address, next).first->second;
        }
    }
    /// Of a member of the group that was numbered last; 0 for nobody.
    [[nodiscard]] std::uint32_t number_of(std::uint32_t id) const {
        return id < numbers_.size() ? numbers_[id] : 0;
    }

 private:
    std::vector<std::size_t> starts_;
    std::vector<const ImageMember*> members_;
    std::vector<std::uint32_t> numbers_;
};

/// The rings of a running configuration without their slots, and where each is in its image.
LiveRings ring_names(const Config& config, const Image& image, std::vector<std::size_t>& indexes) {
    std::map<std::pair<std::size_t, config::Balance>, std::vector<std::string>> services;
    for (const auto& service : config.services)
        if (service.forward != config::Forward::local)
            services[{service.group, service.balance}].push_back(service.name);
    LiveRings out;
    for (std::size_t i = 0; i < image.ring_list.size(); ++i) {
        const ImageRing& ring = image.ring_list[i];
        if (ring.empty) continue;
        indexes.push_back(i);
        out.rings.push_back({config.groups[ring.group].name,
                             ring.balance,
                             std::move(services[{ring.group, ring.balance}]),
                             {}});
    }
    return out;
}

class Comparison {
 public:
    Comparison(const Running& running, const Config& next, const Image& image, const IdStore& ids)
        : running_(running), next_(next), image_(image), ids_(ids) {}

    RingMoves run() {
        const bool has_running = running_.config != nullptr && running_.image != nullptr;
        if (has_running) {
            live_ = ring_names(*running_.config, *running_.image, indexes_);
            continued_ = predecessors(next_, live_);
            members_before_ = {*running_.image, running_.config->groups.size()};
            members_ = {image_, next_.groups.size()};
        }
        for (const ImageRing& ring : image_.ring_list) {
            if (ring.empty) continue;
            out_.slots += std::uint64_t{1} << ring.log2;
            const auto found = continued_.find({next_.groups[ring.group].name, ring.balance});
            if (found == continued_.end())
                count_change(ring);
            else
                compare(running_.image->ring_list[indexes_[found->second]], ring);
        }
        if (has_running) note_services();
        return std::move(out_);
    }

 private:
    void count_change(const ImageRing& ring) {
        ++out_.changed;
        out_.built += std::uint64_t{1} << ring.log2;
    }

    [[nodiscard]] bool same_owners(const ImageRing& before, const ImageRing& after) const {
        const auto& was = running_.config->groups[before.group];
        const auto& now = next_.groups[after.group];
        if (before.balance != after.balance || before.wanted_log2 != after.wanted_log2)
            return false;
        if (was.name == now.name && was.on_down == now.on_down && was.backends == now.backends)
            return true;
        return signature_of(was, running_.overrides) == signature_of(now, running_.overrides);
    }

    void compare(const ImageRing& before, const ImageRing& after) {
        if (same_owners(before, after)) return;
        count_change(after);
        const std::uint64_t moved = moved_between(before, after);
        if (moved == 0) return;
        RingMove move;
        move.group = next_.groups[after.group].name;
        move.balance = after.balance;
        move.slots = std::uint32_t{1} << after.log2;
        move.moved = static_cast<std::uint32_t>(moved);
        out_.moved += moved;
        out_.moves.push_back(std::move(move));
    }

    /// In slots of the ring as it will be; a ring that becomes smaller rounds up.
    [[nodiscard]] std::uint64_t moved_between(const ImageRing& before, const ImageRing& after) {
        const std::vector<std::uint32_t>& was = owners_before(before);
        const auto now = ring_owners(next_, ids_, running_.overrides, after);
        const std::size_t size = now.size();
        const std::size_t longer = std::max(size, was.size());
        MembersByGroup::Numbers numbers;
        members_before_.number(serving_group(*running_.config, before.group, running_.overrides),
                               numbers);
        members_.number(serving_group(next_, after.group, running_.overrides), numbers);
        std::uint64_t moved = 0;
        for (std::size_t i = 0; i < longer; ++i)
            if (members_before_.number_of(was[i & (was.size() - 1)]) !=
                members_.number_of(now[i & (size - 1)]))
                ++moved;
        const std::size_t ratio = longer / size;
        return (moved + ratio - 1) / ratio;
    }

    /// Kept for as long as the same ring is asked for: several may continue one.
    const std::vector<std::uint32_t>& owners_before(const ImageRing& ring) {
        if (ring_before_ != &ring)
            owners_before_ = ring_owners(*running_.config, *running_.ids, running_.overrides, ring);
        ring_before_ = &ring;
        return owners_before_;
    }

    /// A service goes on without a cut where its ring continues the one that it was on.
    void note_services() {
        std::unordered_map<std::string, std::size_t> ring_of;
        for (std::size_t i = 0; i < live_.rings.size(); ++i)
            for (const auto& service : live_.rings[i].services) ring_of.emplace(service, i);
        for (const auto& service : next_.services) {
            if (service.forward == config::Forward::local) continue;
            const auto before = ring_of.find(service.name);
            if (before == ring_of.end()) continue;
            const std::string& group = next_.groups[service.group].name;
            const auto found = continued_.find({group, service.balance});
            const LiveRing& was = live_.rings[before->second];
            if (found == continued_.end() || found->second != before->second)
                out_.notes.push_back(
                    "service " + service.name + ": moves to the ring of group " + group +
                    ", which does not continue its own: connections that get another backend there "
                    "are cut");
            else if (was.group != group)
                out_.notes.push_back("service " + service.name + ": keeps its ring, from group " +
                                     was.group + " to group " + group + ": no connection is cut");
        }
    }

    const Running& running_;
    const Config& next_;
    const Image& image_;
    const IdStore& ids_;
    LiveRings live_;
    std::vector<std::size_t> indexes_;  ///< Of live_.rings in the running image.
    std::map<RingName, std::size_t> continued_;
    MembersByGroup members_before_;
    MembersByGroup members_;
    const ImageRing* ring_before_ = nullptr;
    std::vector<std::uint32_t> owners_before_;
    RingMoves out_;
};

}  // namespace

RingMoves ring_moves(const Running& running, const Config& next, const Image& image,
                     const IdStore& ids) {
    return Comparison(running, next, image, ids).run();
}

std::unordered_map<std::string, RingGrowth> ring_growths(const Running& running, const Config& next,
                                                         const Image& image, std::uint64_t& slots) {
    std::unordered_map<std::string, RingGrowth> out;
    slots = 0;
    if (running.config == nullptr || running.image == nullptr) return out;
    std::map<RingName, std::uint32_t> laid_out;
    for (const ImageRing& ring : running.image->ring_list)
        laid_out[{running.config->groups[ring.group].name, ring.balance}] =
            ring.empty ? 0 : ring.log2;
    for (const ImageRing& ring : image.ring_list) {
        if (ring.empty) continue;
        const std::string& group = next.groups[ring.group].name;
        const auto found = laid_out.find({group, ring.balance});
        if (found == laid_out.end() || ring.wanted_log2 <= found->second) continue;
        slots += std::uint64_t{1} << ring.wanted_log2;
        RingGrowth& growth = out[group];
        growth = {found->second, std::max(growth.to_log2, ring.wanted_log2)};
    }
    return out;
}

}  // namespace sluice::plan
