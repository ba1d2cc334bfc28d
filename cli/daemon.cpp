// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/client.h"
#include "base/exit_code.h"

namespace sluice::cli {

Result<Json> fetch(const Options& options, const std::string& target) {
    auto body = api::Client(options.socket).get(target);
    if (!body) return fail(std::move(body).error());
    return parse_document(*body);
}

Result<Json> send(const Options& options, const std::string& target, const std::string& body) {
    // A node with 100,000 backends proves a change for some seconds.
    auto answer = api::Client(options.socket, std::chrono::minutes(10)).post(target, body);
    if (!answer) return fail(std::move(answer).error());
    return parse_document(*answer);
}

void print_facts(const std::vector<std::pair<std::string, std::string>>& facts) {
    std::size_t width = 0;
    for (const auto& [name, value] : facts) width = std::max(width, name.size());
    for (const auto& [name, value] : facts)
        fmt::print("{:<{}}  {}\n", name + ":", width + 1, value.empty() ? "-" : value);
}

std::string backend_name(const Json& backend) {
    return text_at(backend, "group") + "/" + text_at(backend, "address");
}

Error with_backend_suggestion(Error error, const Options& options) {
    if (error.code != Errc::not_found) return error;
    const auto all = fetch(options, "/api/v1/backends");
    if (!all) return error;
    std::vector<std::string> names;
    for (const Json& row : member_at(*all, "backends")) names.push_back(backend_name(row));
    error.hint = suggestion(options.name, names, error.hint);
    return error;
}

int usage_error(Error error, const char* command) {
    print_error(std::move(error).in(command));
    return kExitUsage;
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
