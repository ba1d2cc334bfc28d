// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The node's network as the kernel tells it over rtnetlink.
///
///   notifications --> snapshot of links, addresses, neighbours     (indexed, dumped once)
///        |                          |
///        '--> who depends on it --> dirty addresses --> process()
///
/// Routes are not mirrored: a router may have a million. The kernel is asked for each watched
/// address, once, many at a time, and again only when a route that covers it, a rule, or a link or
/// address on its way has changed. Neighbour changes ask nothing. So an event costs what depends on
/// it, whatever the number of backends.
///
/// Neighbours of watched addresses are handed to the kernel to keep (NTF_EXT_MANAGED), so that they
/// stay resolved while no daemon runs; they are released only when an address is no longer watched,
/// not by the destructor. A kernel that does not know the flag is asked again by tick().

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "kernel/netlink.h"
#include "kernel/network_port.h"
#include "kernel/rtnetlink.h"

namespace sluice::kernel {

struct NetworkOptions {
    int receive_buffer = 4 << 20;    ///< Bytes of notifications that may wait.
    bool managed_neighbours = true;  ///< False: behave as on a kernel without NTF_EXT_MANAGED.
};

class Network final : public NetworkPort {
 public:
    /// For the calling thread's network namespace. Needs CAP_NET_ADMIN for neighbours only.
    static Result<std::unique_ptr<Network>> open(NetworkOptions options = {});

    plan::NextHop resolve(const IpAddress& address) override;
    void watch(const std::set<IpAddress>& addresses) override;
    [[nodiscard]] int fd() const override { return events_.fd(); }
    Result<std::set<IpAddress>> process() override;
    void tick() override;
    [[nodiscard]] Result<LinkInfo> link_info(const std::string& name) const override;
    [[nodiscard]] std::vector<IpAddress> local_addresses() const override;
    [[nodiscard]] NetworkRevision revision() const override { return revision_; }
    [[nodiscard]] NetworkStats stats() const override { return stats_; }

 private:
    /// Everything that a lookup in the routing tables says about one address.
    struct RouteAnswer {
        bool local = false;
        std::string refused;  ///< Why there is no route; empty if there is one.
        Route route;
    };
    /// What the kernel said to one question.
    struct RouteReply {
        Route route;
        int error = 0;
        std::string failure;  ///< Why there is no reply at all; empty if there is.
    };
    struct Watched {
        std::optional<RouteAnswer> answer;  ///< Nothing: to be asked again.
        std::set<std::uint32_t> links;      ///< What it depends on, as of the last resolve().
        std::set<NeighbourKey> neighbours;
    };
    /// What one resolve() touched.
    struct Dependencies {
        std::set<std::uint32_t> links;
        std::set<NeighbourKey> neighbours;
    };

    /// Everything of a route that its source follows from.
    using SourceKey = std::tuple<IpPrefix, std::uint32_t, std::optional<IpAddress>, IpAddress>;
    static std::optional<SourceKey> source_key(const RouteReply& entry);

    Network(NetlinkSocket requests, NetlinkSocket events, NetworkOptions options);

    Result<void> resync();
    Result<void> dump_links();
    Result<void> dump_addresses();
    Result<void> dump_neighbours();

    // network_routes.cpp
    std::vector<RouteAnswer> look_up(std::span<const IpAddress> addresses);
    static RouteAnswer answer_of(const IpAddress& address, const RouteReply& entry,
                                 const RouteReply* chosen);
    std::vector<RouteReply> ask_routes(std::span<const IpAddress> addresses, std::uint32_t flags);
    void forget_early_answers();
    /// Answers for all of these at once that are watched and have none.
    void look_up_watched(std::span<const IpAddress> addresses);

    plan::NextHop follow(const IpAddress& address, const RouteAnswer& answer, bool watched,
                         Dependencies& dependencies);
    plan::NextHop follow_hop(const IpAddress& address, const RouteHop& hop, bool watched,
                             Dependencies& dependencies);
    bool descend(const Link& device, plan::NextHop& out, Dependencies& dependencies);
    void read_neighbour(const NeighbourKey& key, const std::string& device, bool watched,
                        plan::NextHop& out);

    /// Asks the kernel to resolve; returns what it refused with, empty if it did not.
    std::string ask_neighbour(const NeighbourKey& key, bool keep);
    NetlinkReply send_neighbour(const NeighbourKey& key, bool keep);
    [[nodiscard]] bool must_ask(const NeighbourKey& key, bool watched) const;
    bool is_ours_to_ask(const NeighbourKey& key);
    void refresh_neighbour(const NeighbourKey& key);
    void release_neighbour(const NeighbourKey& key);

    void set_dependencies(const IpAddress& address, Watched& watched, Dependencies now);
    void forget(const IpAddress& address, Watched& watched);

    void on_message(const NetlinkMessage& message);
    void on_link(const NetlinkMessage& message);
    void on_address(const NetlinkMessage& message);
    void on_neighbour(const NetlinkMessage& message);
    void on_route(const NetlinkMessage& message);
    void store_neighbour(const Neighbour& entry);
    void drop_neighbour(const NeighbourKey& key);
    void touch_neighbour_users(const NeighbourKey& key);
    void touch_link_users(std::uint32_t ifindex);
    void touch_route(const IpAddress& address, Watched& watched);
    void touch_all_routes();

    NetlinkSocket requests_;
    NetlinkSocket events_;
    bool managed_;

    std::map<std::uint32_t, Link> links_;
    std::map<NeighbourKey, Neighbour> neighbours_;
    std::set<LocalAddress> addresses_;

    std::map<IpAddress, Watched> watched_;
    std::map<std::uint32_t, std::set<IpAddress>> link_users_;
    std::map<NeighbourKey, std::set<IpAddress>> neighbour_users_;
    std::set<NeighbourKey> kept_;      ///< Handed to the kernel by us.
    std::set<std::uint32_t> uplinks_;  ///< Links that some watched address ever depended on.
    std::set<IpAddress> dirty_;
    /// What Linux would choose as source for each IPv4 route with one hop, whatever the address.
    /// Forgotten with every notification.
    std::map<SourceKey, IpAddress> sources_;
    /// Asked for by watch(): until resolve() nobody knows what their answers depend on, so that any
    /// notification voids them.
    std::vector<IpAddress> early_;
    NeighbourKey tick_position_;
    NetworkRevision revision_;
    NetworkStats stats_;
};

}  // namespace sluice::kernel
