// SPDX-License-Identifier: Apache-2.0
#include "traffic/options.h"

#include <charconv>

namespace sluice::traffic {

Result<Options> Options::parse(int argc, const char* const* argv) {
    Options out;
    for (int i = 0; i < argc; i += 2) {
        const std::string name = argv[i];
        if (!name.starts_with("--") || i + 1 == argc)
            return fail(Errc::invalid, name + " is no option with a value");
        out.values_[name.substr(2)].emplace_back(argv[i + 1]);
    }
    return out;
}

std::vector<std::string> Options::all(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>() : found->second;
}

std::string Options::text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second.back();
}

Result<std::uint64_t> Options::number(const std::string& name, std::uint64_t otherwise) const {
    const std::string value = text(name, std::to_string(otherwise));
    std::uint64_t out = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), out);
    if (problem != std::errc() || end != value.data() + value.size())
        return fail(Errc::invalid, "--" + name + ": '" + value + "' is no number");
    return out;
}

Result<std::vector<IpAddress>> Options::addresses(const std::string& name) const {
    std::vector<IpAddress> out;
    for (const std::string& value : all(name)) {
        const auto address = IpAddress::parse(value);
        if (!address) return fail(Errc::invalid, "--" + name + ": '" + value + "' is no address");
        out.push_back(*address);
    }
    return out;
}

IpAddress after(IpAddress address, std::uint32_t steps) {
    std::uint64_t carry = steps;
    for (std::size_t i = address.is_ip6 ? 16 : 4; i > 0 && carry != 0; --i) {
        carry += address.bytes[i - 1];
        address.bytes[i - 1] = static_cast<std::uint8_t>(carry);
        carry >>= 8;
    }
    return address;
}

}  // namespace sluice::traffic
