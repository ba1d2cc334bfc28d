// SPDX-License-Identifier: Apache-2.0
#include "health/dns_probe.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <utility>

#include "health/dns_message.h"

namespace sluice::health {

void DnsTcpProbe::start() {
    answer_.clear();
    ::RAND_bytes(reinterpret_cast<unsigned char*>(&id_), sizeof(id_));
    stream_.open(target_);
}

void DnsTcpProbe::on_open() {
    const std::string query = dns_query(target_.check->dns, id_);
    if (query.empty())
        return owner_.on_finding({.why = Why::local, .text = "no DNS name", .load = {}});
    std::string framed{static_cast<char>(query.size() >> 8),
                       static_cast<char>(query.size() & 0xff)};
    stream_.send(framed + query);
}

void DnsTcpProbe::on_data(std::string_view bytes) {
    answer_ += bytes;
    if (answer_.size() < 2) return;
    const std::size_t len = static_cast<std::size_t>(static_cast<unsigned char>(answer_[0])) << 8 |
                            static_cast<unsigned char>(answer_[1]);
    if (answer_.size() < 2 + len) return;
    owner_.on_finding(judge_dns(target_.check->dns, id_, std::string_view(answer_).substr(2, len)));
}

void DnsTcpProbe::on_end() {
    owner_.on_finding({.why = Why::closed,
                       .text = fmt::format("after {} bytes of an answer", answer_.size()),
                       .load = {}});
}

}  // namespace sluice::health
