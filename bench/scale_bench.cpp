// SPDX-License-Identifier: Apache-2.0
#include "bench/scale_bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <ctime>
#include <utility>

#include "base/digest.h"
#include "base/file.h"
#include "config/parse.h"
#include "config/print.h"
#include "plan/header_template.h"
#include "plan/image.h"

namespace sluice::bench {
namespace {

/// Of CPU time: nothing here waits, and what else the machine does is not in the figures.
double cpu_ms() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

std::string address_of(std::uint32_t number) {
    const std::uint32_t address = 0x0a400000u + number;
    return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255,
                       address & 255);
}

double peak_mib() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// Parts of the whole, in the order in which they run, each measured once in every round.
class Parts {
 public:
    template <typename Work>
    auto time(const std::string& name, Work work) {
        const double start = cpu_ms();
        auto out = work();
        const double taken = cpu_ms() - start;
        for (auto& [known, figures] : figures_) {
            if (known != name) continue;
            figures.push_back(taken);
            return out;
        }
        figures_.push_back({name, {taken}});
        return out;
    }
    [[nodiscard]] const auto& figures() const { return figures_; }

 private:
    std::vector<std::pair<std::string, std::vector<double>>> figures_;
};

std::size_t build_templates(const config::Config& config, const plan::Image& image) {
    plan::NextHop hop;
    hop.state = plan::HopState::resolved;
    hop.mtu = 1500;
    const plan::TunnelSources sources{config.node.tunnel_source4, config.node.tunnel_source6,
                                      config.node.gue_port};
    std::size_t built = 0;
    for (const auto& member : image.members)
        built += plan::build_template(config::Forward::ipip, false, member.address, hop, sources)
                     .has_value();
    return built;
}

/// What a daemon does with a file before it touches the kernel, and again with one in which every
/// backend is another.
Result<void> run_round(const std::string& text, const std::string& other, Parts& parts) {
    const auto parsed =
        parts.time("parse and validate", [&] { return config::parse(text, "scale.yaml"); });
    if (!parsed.ok()) return fail(Errc::internal, parsed.errors.front().text());
    (void)parts.time("digest", [&] { return sha256_hex(text); });
    plan::IdStore ids;
    const auto image = parts.time("compile", [&] { return plan::compile(parsed.config, ids, {}); });
    if (!image) return fail(image.error());
    (void)parts.time("owners of all rings", [&] {
        std::size_t slots = 0;
        for (const auto& ring : image->ring_list)
            slots += plan::ring_owners(parsed.config, ids, {}, ring).size();
        return slots;
    });
    (void)parts.time("header templates", [&] { return build_templates(parsed.config, *image); });
    const auto stored = parts.time("ids to JSON", [&] { return ids.to_json(); });
    auto loaded = parts.time("ids from JSON", [&] { return plan::IdStore::from_json(stored); });
    if (!loaded) return fail(loaded.error());
    const auto again = config::parse(other, "other.yaml");
    if (!again.ok()) return fail(Errc::internal, again.errors.front().text());
    const auto replaced = parts.time("compile, every backend another",
                                     [&] { return plan::compile(again.config, *loaded, {}); });
    if (!replaced) return fail(replaced.error());
    (void)parts.time("print", [&] { return config::to_yaml(parsed.config).size(); });
    return {};
}

}  // namespace

std::string scale_config(const ScaleOptions& options) {
    std::string out =
        "version: 2\n"
        "node:\n"
        "  interfaces: [in0]\n"
        "  ring_secret: 000102030405060708090a0b0c0d0e0f\n"
        "groups:\n";
    std::uint32_t number = options.shift;
    for (unsigned group = 0; group < options.services; ++group) {
        out += fmt::format("  group-{:05}:\n    backends:\n", group);
        const std::uint64_t until =
            options.shift + std::uint64_t{options.backends} * (group + 1) / options.services;
        for (; number < until; ++number)
            out += number % 10 == 9
                       ? fmt::format("      - {{address: {}, weight: 2}}\n", address_of(number))
                       : fmt::format("      - {}\n", address_of(number));
    }
    out += "services:\n";
    for (unsigned i = 0; i < options.services; ++i)
        out += fmt::format(
            "  - {{name: service-{:05}, vip: 198.{}.{}.{}, port: 80, group: "
            "group-{:05}}}\n",
            i, 18 + (i >> 16), i >> 8 & 255, i & 255, i);
    return out;
}

Result<nlohmann::json> run_scale(const ScaleOptions& options, std::vector<Asked>& asked) {
    const std::string text = scale_config(options);
    if (!options.write.empty()) {
        SLC_CHECK(write_file(options.write, text), "scale");
        return nlohmann::json::object();
    }
    ScaleOptions shifted = options;
    shifted.shift = options.shift + options.backends;
    const std::string other = scale_config(shifted);
    Parts parts;
    for (unsigned round = 0; round < options.rounds; ++round) {
        progress(fmt::format("scale: round {} of {}", round + 1, options.rounds));
        SLC_CHECK(run_round(text, other, parts), "scale");
    }
    Table table({"part", "ms of CPU"});
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& [name, figures] : parts.figures()) {
        table.add({name, text_of(spread_of(figures))});
        rows.push_back({{"part", name}, {"ms", to_json(spread_of(figures))}});
    }
    progress("");
    fmt::print("{} services, {} backends, {:.1f} MB of text\n\n{}\npeak memory {:.0f} MiB\n\n",
               options.services, options.backends, static_cast<double>(text.size()) / 1e6,
               table.text(), peak_mib());
    asked.push_back(at_most("parsing and compiling, s",
                            (spread_of(parts.figures()[0].second).median +
                             spread_of(parts.figures()[2].second).median) /
                                1000,
                            2.0));
    return nlohmann::json{{"services", options.services},
                          {"backends", options.backends},
                          {"bytes", text.size()},
                          {"parts", rows},
                          {"peak_mib", peak_mib()}};
}

}  // namespace sluice::bench
