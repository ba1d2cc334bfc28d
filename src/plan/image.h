// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A configuration as the data plane will hold it: the content of every map of one generation,
/// computed without a kernel. `compile` is a pure function of its arguments.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "plan/flow_plan.h"
#include "plan/ids.h"
#include "plan/ring.h"
#include "sluice/types.h"

namespace sluice::plan {

/// Of a member that is no backend of its group any more, while flows are remembered for it.
inline constexpr std::size_t kRetired = ~std::size_t{0};

inline constexpr std::size_t kMaxSlots = std::size_t{1} << 25;  ///< Of all rings: 256 MiB.

/// A backend in a group as the data plane knows it.
struct ImageMember {
    std::uint32_t id = 0;     ///< Index of slc_members.
    std::size_t group = 0;    ///< Index into Config::groups.
    std::size_t backend = 0;  ///< Index into Group::backends, or kRetired.
    IpAddress address;
    /// Which header templates it needs, for services of its group and of those that fall back on
    /// it: bit SLC_VARIANT(forward, inner_is_ip6).
    std::uint32_t variants = 0;
    std::uint32_t weight = 0;  ///< As configured, this and the next; of no use when retired.
    config::BackendState state = config::BackendState::ready;
    std::size_t family = 0;  ///< Index into Config::groups: the last of the group's fallbacks.
};

/// What slc_member says of a member beside its cells and flags.
slc_member member_record(const ImageMember& member);

/// A ring and where it lies.
struct ImageRing {
    std::size_t group = 0;
    config::Balance balance = config::Balance::maglev;
    std::uint32_t offset = 0;       ///< In the slot pool.
    std::uint32_t log2 = 0;         ///< As laid out.
    std::uint32_t wanted_log2 = 0;  ///< As the configuration wants it; not above log2.
    bool empty = false;             ///< The group has no backend: no slot is laid out.
};

/// What an operator or a health check says of a backend, beside its configuration.
struct Override {
    std::optional<config::BackendState> state;
    std::optional<std::uint32_t> weight;
    /// Thousandths of its weight that the backend takes now (slow start, load): 1..kMostPart. The
    /// weight itself, and what is shown of it, stays.
    std::optional<std::uint32_t> part{};
    /// Of a group (fallback_key): nobody of it is healthy, and its fallback stands in.
    bool fall_back = false;
    bool operator==(const Override&) const = default;
};

inline constexpr std::uint32_t kWholePart = 1000;
inline constexpr std::uint32_t kMostPart = 4000;

/// By member name, and by fallback_key().
using Overrides = std::map<std::string, Override>;

/// Under which an Override speaks of a whole group. No member is called so.
std::string fallback_key(const std::string& group);
/// Index of the group of that name that a fallback may name.
std::optional<std::size_t> group_named(const config::Config& config, const std::string& name);
/// Index of the group whose backends stand in the rings of this one now: itself, or that which its
/// fallbacks lead to.
std::size_t serving_group(const config::Config& config, std::size_t group,
                          const Overrides& overrides);

struct ImageServerId {
    slc_server_id key{};
    std::uint32_t member = 0;
};

struct ImagePrefix {
    IpPrefix prefix;
    std::uint32_t record = 0;  ///< Index into vips.
};

struct Image {
    slc_node node{};
    std::vector<slc_vip> vips;  ///< The table, then the records of prefixes.
    std::vector<ImagePrefix> prefixes;
    std::vector<slc_port_bucket> ports;
    std::vector<slc_ranges> ranges;     ///< [0] is unused.
    std::vector<slc_service> services;  ///< By service id; [0] is unused.
    std::vector<std::uint64_t> rings;   ///< Descriptors.
    std::vector<std::uint64_t> slots;   ///< Steady, as the rings want them.
    std::vector<slc_account> accounts;  ///< [0] is the pool, [1 + g] that of group g.
    std::vector<ImageServerId> server_ids;
    std::vector<ImageMember> members;
    std::vector<ImageRing> ring_list;        ///< Parallel to rings.
    std::vector<IpPrefix> peers;             ///< Sources whose tunnels are stripped.
    std::vector<std::uint32_t> service_ids;  ///< Parallel to Config::services.
    std::uint32_t highest_service = 0;
    std::uint32_t highest_member = 0;
    std::uint32_t highest_customer = 0;
    std::uint32_t highest_policy = 0;
    std::uint32_t templates = 0;  ///< Cells in use when every member is resolved.
};

struct CompileOptions {
    std::uint64_t table_seed = 0;  ///< Secret of this generation's tables: random in a daemon.
    std::uint32_t generation = 1;
    std::vector<IpAddress> local_addresses;  ///< Where tunnels of balancers may end.
    std::uint32_t frag_buckets = 1024;       ///< A power of two.
    Overrides overrides;
    /// The flow table in use, when it is not (yet) the one that the configuration asks for.
    std::optional<FlowGeometry> flows;
    /// Rings that may not become smaller yet: by group name and way of balancing.
    std::map<std::pair<std::string, config::Balance>, std::uint32_t> least_log2;
    /// Members that stay although they are no backends any more: group name and address.
    std::vector<std::pair<std::string, IpAddress>> retired;
    /// What packets called members that are no backends any more, by member name.
    std::map<std::string, config::ServerId> retired_ids;
};

/// Assigns ids to what is new (`ids` changes only then) and lays out every table.
/// Errors: limit, when ids or ring slots do not suffice.
Result<Image> compile(const config::Config& config, IdStore& ids, const CompileOptions& options);

/// The word that packets find a ring by (types.h).
std::uint64_t ring_descriptor(const ImageRing& ring);

/// A backend with what overrides it.
config::Backend effective(const config::Group& group, const config::Backend& backend,
                          const Overrides& overrides);

/// The weights of a group's backends as its rings take them, in their order. Where some have a
/// part of theirs, all are scaled alike: a ring follows from proportions, so that the slots of the
/// others do not move for it.
std::vector<std::uint32_t> ring_weights(const config::Group& group, const Overrides& overrides);

/// What a backend is to its group's rings. `replaced` also says that its connections are void.
RingRole ring_role(const config::Group& group, const config::Backend& effective);

/// The owner of every slot of a ring as laid out: a function of configuration and overrides.
std::vector<std::uint32_t> ring_owners(const config::Config& config, const IdStore& ids,
                                       const Overrides& overrides, const ImageRing& ring);

/// The agent's tables: VIPs and tunnel sources, nothing else.
Image compile_agent(const std::vector<IpPrefix>& vips, const std::vector<IpPrefix>& peers,
                    std::uint16_t gue_port, std::uint64_t table_seed);

/// The name under which a member's id is kept: "group/address".
std::string member_name(const config::Group& group, const config::Backend& backend);
std::string member_name(const std::string& group, const IpAddress& address);

/// The place of a backend in rings, equal on every node: from its address alone.
std::uint64_t ring_key(const IpAddress& address);

/// An address as the tables hold it: IPv4 in word 3.
std::array<slc_u32, 4> address_words(const IpAddress& address);

}  // namespace sluice::plan
