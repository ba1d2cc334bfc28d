// SPDX-License-Identifier: Apache-2.0
#include "api/config_request.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "api/body.h"

namespace sluice::api {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxAuthorLen = 256;
constexpr std::size_t kMaxMessageLen = 4096;
constexpr std::size_t kMaxPathLen = 4096;
constexpr std::size_t kMaxInterfaceLen = 15;  // IFNAMSIZ without its end.
constexpr const char* kApplyKeys =
    "the keys are text, file, directory, author, message, confirm_within_s, road, dry_run and "
    "canary {interfaces or share}";
constexpr const char* kDriftKeys = "the keys are text and file";
constexpr const char* kGenerationKeys = "the keys are generation, author and message";

tl::unexpected<Error> unknown_key(const Member& member, const char* keys) {
    return fail(Errc::invalid, fmt::format("unknown key '{}'", shown(member.key)), keys);
}

/// The value, where it goes; its error otherwise.
template <typename To, typename From>
Result<void> put(To& to, Result<From> value) {
    if (!value) return fail(std::move(value).error());
    to = static_cast<To>(std::move(*value));
    return {};
}

Result<plan::Road> road_of(Member& member) {
    const auto word = text_of(member);
    if (!word) return fail(word.error());
    const auto road = plan::road_of(*word);
    if (!road || *road == plan::Road::none)
        return fail(Errc::invalid,
                    fmt::format("road: '{}' is not one of entry, map, program", shown(*word)));
    return *road;
}

Result<control::Canary> canary_of(Member& member) {
    control::Canary canary;
    if (member.key == "canary.share") {
        const bool is_number =
            member.kind == Member::Kind::number || member.kind == Member::Kind::fraction;
        if (!is_number || !(member.fraction > 0 && member.fraction <= 1))
            return fail(Errc::invalid, "canary.share: not a number above 0 and up to 1");
        canary.share = member.fraction;
        return canary;
    }
    if (member.kind != Member::Kind::list || member.list.empty())
        return fail(Errc::invalid, "canary.interfaces: not a list of names");
    for (const std::string& name : member.list)
        if (name.empty() || name.size() > kMaxInterfaceLen)
            return fail(Errc::invalid,
                        fmt::format("canary.interfaces: '{}' is no name", shown(name)));
    canary.interfaces = std::move(member.list);
    return canary;
}

Result<std::string> directory_of(Member& member) {
    auto path = line_of(member, kMaxPathLen);
    if (path && !path->starts_with('/'))
        return fail(Errc::invalid, "directory: not an absolute path");
    return path;
}

bool is_source(const Member& member) {
    return member.key == "text" || member.key == "file" || member.key == "directory";
}

Result<void> take_source(ConfigBody& out, Member& member) {
    control::ApplyRequest& request = out.request;
    if (member.key == "file") return put(request.file, line_of(member, kMaxPathLen));
    if (member.key == "directory") return put(request.directory, directory_of(member));
    out.has_text = true;
    return put(request.text, text_of(member));
}

Result<void> take_apply(ConfigBody& out, Member& member) {
    control::ApplyRequest& request = out.request;
    const auto most = static_cast<std::uint64_t>(kMaxConfirmWithin.count());
    if (is_source(member)) return take_source(out, member);
    if (member.key == "author") return put(request.author, line_of(member, kMaxAuthorLen));
    if (member.key == "message") return put(request.message, line_of(member, kMaxMessageLen, true));
    if (member.key == "confirm_within_s")
        return put(request.confirm_within.emplace(), number_of(member, 1, most));
    if (member.key == "road") return put(request.road.emplace(), road_of(member));
    if (member.key == "dry_run") return put(request.dry_run, flag_of(member));
    if (member.key != "canary.share" && member.key != "canary.interfaces")
        return unknown_key(member, kApplyKeys);
    if (request.canary)
        return fail(Errc::invalid, "canary: either interfaces or share", kApplyKeys);
    return put(request.canary.emplace(), canary_of(member));
}

Result<void> take_drift(ConfigBody& out, Member& member) {
    const bool is_known = member.key == "text" || member.key == "file";
    return is_known ? take_source(out, member) : unknown_key(member, kDriftKeys);
}

Result<void> take_generation(GenerationBody& out, Member& member) {
    constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
    if (member.key == "generation")
        return put(out.generation.emplace(), number_of(member, 1, kMost));
    if (member.key == "author") return put(out.author, line_of(member, kMaxAuthorLen));
    if (member.key == "message") return put(out.message, line_of(member, kMaxMessageLen, true));
    return unknown_key(member, kGenerationKeys);
}

template <typename Out>
Result<Out> parse_with(std::string_view body, Result<void> (*take)(Out&, Member&)) {
    Out out;
    auto members = SLC_TRY(read_body(body), "request");
    for (Member& member : members) SLC_CHECK(take(out, member), "request");
    return out;
}

Json canary_body(const control::Canary& canary) {
    if (canary.interfaces.empty()) return {{"share", canary.share}};
    return {{"interfaces", canary.interfaces}};
}

void put_word(std::string& out, const std::string& word) {
    out += (out.empty() ? "" : " ") + word;
}

}  // namespace

Result<ConfigBody> parse_apply(std::string_view body) {
    return parse_with(body, take_apply);
}

Result<ConfigBody> parse_drift(std::string_view body) {
    return parse_with(body, take_drift);
}

Result<GenerationBody> parse_generation(std::string_view body) {
    return parse_with(body, take_generation);
}

Result<std::string> apply_body(const ConfigBody& body) {
    const control::ApplyRequest& request = body.request;
    Json out = Json::object();
    if (body.has_text) out["text"] = request.text;
    if (!request.file.empty()) out["file"] = request.file;
    if (!request.directory.empty()) out["directory"] = request.directory;
    if (!request.author.empty()) out["author"] = request.author;
    if (!request.message.empty()) out["message"] = request.message;
    if (request.confirm_within) out["confirm_within_s"] = request.confirm_within->count();
    if (request.road) out["road"] = plan::name_of(*request.road);
    if (request.dry_run) out["dry_run"] = true;
    if (request.canary) out["canary"] = canary_body(*request.canary);
    std::string text = out.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > kMaxConfigBodyLen)
        return fail(Errc::limit, fmt::format("{}: more than {} MiB as a request", request.file,
                                             kMaxConfigBodyLen >> 20));
    return text;
}

std::string generation_body(const GenerationBody& body) {
    Json out = Json::object();
    if (body.generation) out["generation"] = *body.generation;
    if (!body.author.empty()) out["author"] = body.author;
    if (!body.message.empty()) out["message"] = body.message;
    return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_of(const ConfigBody& body) {
    const control::ApplyRequest& request = body.request;
    std::string out;
    put_word(out, body.has_text ? fmt::format("file={} bytes={}", request.file, request.text.size())
                                : "file=own");
    if (!request.author.empty()) put_word(out, "author=" + request.author);
    if (request.road) put_word(out, fmt::format("road={}", plan::name_of(*request.road)));
    if (request.confirm_within)
        put_word(out, fmt::format("confirm_within_s={}", request.confirm_within->count()));
    if (request.canary && request.canary->interfaces.empty())
        put_word(out, fmt::format("canary_share={}", request.canary->share));
    else if (request.canary)
        put_word(out, fmt::format("canary={}", fmt::join(request.canary->interfaces, ",")));
    if (request.dry_run) put_word(out, "dry_run");
    return out;
}

std::string text_of(const GenerationBody& body) {
    std::string out;
    if (body.generation) put_word(out, fmt::format("generation={}", *body.generation));
    if (!body.author.empty()) put_word(out, "author=" + body.author);
    return out;
}

}  // namespace sluice::api
