// SPDX-License-Identifier: Apache-2.0
#include "api/node_routes.h"

#include <map>

#include "api/json_of.h"
#include "api/routes_of.h"
#include "node/driver_counters.h"

namespace sluice::api {
namespace {

Json json_of(const node::Loss& loss) {
    Json out = {{"layer", name_of(loss.layer)},
                {"interface", loss.interface},
                {"queue", nullptr},
                {"cpu", nullptr},
                {"counter", loss.counter},
                {"source", loss.source},
                {"packets", loss.packets},
                {"is_loss", loss.is_loss},
                {"remedy", loss.remedy}};
    if (loss.queue) out["queue"] = *loss.queue;
    if (loss.cpu) out["cpu"] = *loss.cpu;
    return out;
}

}  // namespace

std::string losses_json(const node::LossCounts& counts) {
    std::map<node::LossLayer, std::uint64_t> totals;
    Json rows = Json::array();
    for (const node::Loss& loss : node::losses(counts)) {
        if (loss.is_loss) totals[loss.layer] += loss.packets;
        rows.push_back(json_of(loss));
    }
    Json layers = Json::array();
    for (const node::LossLayer layer : node::kLossLayers)
        layers.push_back(
            {{"layer", name_of(layer)}, {"text", text_of(layer)}, {"packets", totals[layer]}});
    Json interfaces = Json::array();
    for (const auto& interface : counts.interfaces)
        interfaces.push_back({{"name", interface.name},
                              {"driver", interface.driver},
                              {"is_known", node::knows_driver(interface.driver)}});
    Json out = document();
    out["interfaces"] = std::move(interfaces);
    out["layers"] = std::move(layers);
    out["losses"] = std::move(rows);
    return text_of(out);
}

Response node_drops(control::NodeView& node) {
    const auto counts = node.losses();
    return counts ? ok(losses_json(*counts)) : refused(counts.error());
}

}  // namespace sluice::api
