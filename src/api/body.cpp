// SPDX-License-Identifier: Apache-2.0
#include "api/body.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::api {
namespace {

using Json = nlohmann::ordered_json;
using Kind = Member::Kind;

constexpr std::size_t kMaxShownLen = 64;
constexpr std::size_t kMaxKeyLen = 64;

/// Stops the parser (by returning false) at the first thing that is none of ours, so that nesting
/// and numbers of members cost nothing.
class Reader : public nlohmann::json_sax<Json> {
 public:
    std::vector<Member> members;
    std::string error;  ///< Empty: the parser's own.

    bool null() override { return put({}); }
    bool boolean(bool value) override {
        Member member;
        member.kind = Kind::flag;
        member.flag = value;
        return put(std::move(member));
    }
    bool number_integer(number_integer_t value) override {
        return number_float(static_cast<double>(value), {});
    }
    bool number_unsigned(number_unsigned_t value) override {
        Member member;
        member.kind = Kind::number;
        member.number = value;
        member.fraction = static_cast<double>(value);
        return put(std::move(member));
    }
    bool number_float(number_float_t value, const string_t& /*text*/) override {
        Member member;
        member.kind = Kind::fraction;
        member.fraction = value;
        return put(std::move(member));
    }
    bool string(string_t& value) override {
        if (is_list_) {
            if (members.back().list.size() == kMaxListed)
                return stop(fmt::format("{}: more than {} entries", key_, kMaxListed));
            members.back().list.push_back(std::move(value));
            return true;
        }
        Member member;
        member.kind = Kind::text;
        member.text = std::move(value);
        return put(std::move(member));
    }
    bool binary(binary_t& /*value*/) override { return false; }

    bool start_object(std::size_t /*elements*/) override {
        if (is_list_ || !inner_.empty()) return stop(key_ + ": not expected to be an object");
        if (depth_++ == 1) {
            inner_ = key_ + ".";
            objects_.push_back(key_);
        }
        return true;
    }
    bool end_object() override {
        --depth_;
        if (!inner_.empty() && (members.empty() || !members.back().key.starts_with(inner_)))
            return stop(objects_.back() + ": empty");
        inner_.clear();
        return true;
    }
    bool key(string_t& value) override {
        if (value.size() > kMaxKeyLen) return stop(fmt::format("unknown key '{}'", shown(value)));
        key_ = inner_ + value;
        const bool is_twice =
            std::find(objects_.begin(), objects_.end(), key_) != objects_.end() ||
            std::any_of(members.begin(), members.end(),
                        [this](const Member& member) { return member.key == key_; });
        return is_twice ? stop(fmt::format("key '{}' twice", key_)) : true;
    }
    bool start_array(std::size_t /*elements*/) override {
        if (is_list_) return stop(key_ + ": a list of lists");
        Member member;
        member.kind = Kind::list;
        if (!put(std::move(member))) return false;
        is_list_ = true;
        return true;
    }
    bool end_array() override {
        is_list_ = false;
        return true;
    }
    bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                     const Json::exception& /*why*/) override {
        return stop("the body is not JSON");
    }

 private:
    bool stop(std::string why) {
        if (error.empty()) error = std::move(why);
        return false;
    }
    bool put(Member member) {
        if (depth_ == 0) return stop("the body is not a JSON object");
        if (is_list_) return stop(key_ + ": not a list of strings");
        if (members.size() + objects_.size() == kMaxMembers) return stop("too many keys");
        member.key = key_;
        members.push_back(std::move(member));
        return true;
    }

    int depth_ = 0;
    bool is_list_ = false;
    std::string inner_;  ///< "canary." within that object.
    std::string key_;
    std::vector<std::string> objects_;  ///< Keys of those that were seen.
};

bool is_control(char c, bool may_break) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && !(may_break && (c == '\n' || c == '\t'))) || byte == 0x7f;
}

}  // namespace

std::string shown(std::string_view text) {
    return std::string(text.substr(0, kMaxShownLen));
}

Result<std::vector<Member>> read_body(std::string_view body) {
    Reader reader;
    if (body.empty()) return std::move(reader.members);
    if (!Json::sax_parse(body, &reader))
        return fail(Errc::invalid,
                    reader.error.empty() ? "the body is not JSON" : std::move(reader.error));
    return std::move(reader.members);
}

Result<bool> flag_of(const Member& member) {
    if (member.kind != Kind::flag)
        return fail(Errc::invalid, member.key + ": neither true nor false");
    return member.flag;
}

Result<std::uint64_t> number_of(const Member& member, std::uint64_t least, std::uint64_t most) {
    if (member.kind != Kind::number || member.number < least || member.number > most)
        return fail(Errc::invalid,
                    fmt::format("{}: not a whole number from {} to {}", member.key, least, most));
    return member.number;
}

Result<std::string> text_of(Member& member) {
    if (member.kind != Kind::text) return fail(Errc::invalid, member.key + ": not a string");
    return std::move(member.text);
}

Result<std::string> line_of(Member& member, std::size_t most, bool lines) {
    const std::string key = member.key;
    auto text = text_of(member);
    if (!text) return text;
    if (text->size() > most)
        return fail(Errc::invalid, fmt::format("{}: longer than {} bytes", key, most));
    if (std::any_of(text->begin(), text->end(), [lines](char c) { return is_control(c, lines); }))
        return fail(Errc::invalid, key + ": holds control characters");
    return text;
}

}  // namespace sluice::api
