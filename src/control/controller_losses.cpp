// SPDX-License-Identifier: Apache-2.0

/// Where packets get lost: what the machine counts of our interfaces, and our own drops.

#include "control/controller.h"
#include "node/losses.h"
#include "plan/reasons.h"

namespace sluice::control {

Result<node::LossCounts> Controller::losses() {
    std::vector<std::string> interfaces;
    if (live_)
        for (const auto& attachment : live_->attachments)
            interfaces.push_back(attachment.interface);
    node::LossCounts out = SLC_TRY(node::read_losses(interfaces), "node drops");
    const auto counters = state_->reasons();
    for (std::uint32_t number = 0; number < SLC_REASON_COUNT; ++number) {
        const auto reason = static_cast<slc_reason>(number);
        if (!plan::is_drop(reason) || number == SLC_REASON_NONE) continue;
        const auto& text = plan::reason_text(reason);
        node::LossCounts::Decision decision{text.label, text.remedy, 0};
        for (std::uint32_t family = 0; family < SLC_FAMPROTO_COUNT; ++family)
            decision.packets += counters[number * SLC_FAMPROTO_COUNT + family].packets;
        out.decisions.push_back(std::move(decision));
    }
    return out;
}

}  // namespace sluice::control
