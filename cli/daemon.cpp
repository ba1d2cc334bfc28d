// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/client.h"

namespace sluice::cli {

Result<Json> fetch(const Options& options, const std::string& target) {
    auto body = api::Client(options.socket).get(target);
    if (!body) return fail(std::move(body).error());
    return parse_document(*body);
}

std::string time_for_people(const std::string& rfc3339) {
    if (rfc3339.empty()) return "never";
    std::string out = rfc3339;
    const std::size_t separator = out.find('T');
    if (separator != std::string::npos) out[separator] = ' ';
    return out;
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

Cell ready_cell(const Json& service) {
    const std::uint64_t ready = number_at(service, "backends_ready");
    const std::uint64_t total = number_at(service, "backends_total");
    if (text_at(service, "forward") == "local") return cell("local");
    const Colour colour = ready == 0 ? Colour::bad : ready < total ? Colour::warning : Colour::good;
    return cell(fmt::format("{}/{}", ready, total), colour);
}

}  // namespace sluice::cli
