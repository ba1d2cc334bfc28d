// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "announce/bgp_message.h"

namespace sluice::announce {
namespace {

struct Name {
    std::uint8_t code;
    std::uint8_t subcode;
    const char* text;
};

// RFC 4271 4.5, 4486 (cease), 5492, 6608, 8538, 9234, 9384 and 9687. Subcode 0 names the code.
constexpr Name kNames[] = {
    {1, 0, "message header error"},
    {1, 1, "connection not synchronized"},
    {1, 2, "bad message length"},
    {1, 3, "bad message type"},
    {2, 0, "OPEN message error"},
    {2, 1, "unsupported version number"},
    {2, 2, "bad peer AS"},
    {2, 3, "bad BGP identifier"},
    {2, 4, "unsupported optional parameter"},
    {2, 5, "authentication failure"},
    {2, 6, "unacceptable hold time"},
    {2, 7, "unsupported capability"},
    {2, 11, "role mismatch"},
    {3, 0, "UPDATE message error"},
    {3, 1, "malformed attribute list"},
    {3, 2, "unrecognized well-known attribute"},
    {3, 3, "missing well-known attribute"},
    {3, 4, "attribute flags error"},
    {3, 5, "attribute length error"},
    {3, 6, "invalid ORIGIN"},
    {3, 8, "invalid NEXT_HOP"},
    {3, 9, "optional attribute error"},
    {3, 10, "invalid network field"},
    {3, 11, "malformed AS_PATH"},
    {4, 0, "hold timer expired"},
    {5, 0, "finite state machine error"},
    {5, 1, "unexpected message in OpenSent"},
    {5, 2, "unexpected message in OpenConfirm"},
    {5, 3, "unexpected message in Established"},
    {6, 0, "cease"},
    {6, 1, "maximum number of prefixes reached"},
    {6, 2, "administrative shutdown"},
    {6, 3, "peer de-configured"},
    {6, 4, "administrative reset"},
    {6, 5, "connection rejected"},
    {6, 6, "other configuration change"},
    {6, 7, "connection collision resolution"},
    {6, 8, "out of resources"},
    {6, 9, "hard reset"},
    {6, 10, "BFD down"},
    {7, 0, "ROUTE-REFRESH message error"},
    {8, 0, "send hold timer expired"},
};

const char* name_of(std::uint8_t code, std::uint8_t subcode) {
    for (const Name& name : kNames)
        if (name.code == code && name.subcode == subcode) return name.text;
    return nullptr;
}

/// RFC 9003: a length and UTF-8. Peers may send anything, so only ASCII that prints is shown.
std::string shutdown_text(const Bytes& data) {
    if (data.empty()) return {};
    const std::size_t size = std::min<std::size_t>({data[0], data.size() - 1, kShutdownTextMax});
    std::string out;
    for (std::size_t i = 1; i <= size; ++i)
        out +=
            data[i] >= 0x20 && data[i] < 0x7f && data[i] != '"' ? static_cast<char>(data[i]) : '?';
    return out;
}

}  // namespace

std::string BgpNotification::text() const {
    std::string out = fmt::format("{}/{}", code, subcode);
    const char* area = name_of(code, 0);
    const char* name = subcode == 0 ? nullptr : name_of(code, subcode);
    if (area != nullptr) out += fmt::format(" {}", area);
    if (name != nullptr) out += fmt::format(": {}", name);
    if (code == bgp::kCease && (subcode == 2 || subcode == 4)) {
        const std::string said = shutdown_text(data);
        if (!said.empty()) out += fmt::format(" (\"{}\")", said);
    }
    return out;
}

}  // namespace sluice::announce
