// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The benchmark's own BPF programs (bench/bpf/wrapper.bpf.c), loaded for one scenario: they write
/// its packets and drive the program under test.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "bench/bpf/scenario.h"
#include "bench/harness.h"

struct bpf_object;

namespace sluice::bench {

enum class Traffic {
    tcp4,  ///< ACK with ten bytes: an established connection.
    udp4,
    tcp6,
    syn4,
    not_ours4,  ///< TCP to 203.0.113.0/24.
};

inline constexpr const char* kVip4 = "192.0.2.10";
inline constexpr const char* kVip6 = "2001:db8:a::10";
inline constexpr std::uint16_t kPort = 80;
inline constexpr std::uint64_t kEveryFlow = 1ull << 32;  ///< A flood: none comes twice.

struct Packets {
    Traffic traffic = Traffic::tcp4;
    std::uint64_t flows = 100;
    std::uint64_t pace_ns = 0;  ///< Live frames: time for 64 packets; 0: no limit.
    MacAddress source{{2, 0, 0, 0, 0, 1}};
    MacAddress destination{{2, 0, 0, 0, 0, 2}};
};

bool is_ip6(Traffic traffic);

/// The scenario as the programs have it, sums included.
bench_scenario scenario_of(const Packets& packets);

struct CloseObject {
    void operator()(bpf_object* object) const;
};
using ObjectPtr = std::unique_ptr<bpf_object, CloseObject>;

/// Silences libbpf and opens an object that is embedded in this program.
Result<ObjectPtr> open_object(const void* bytes, std::size_t size, const char* name);
Result<void> load_object(bpf_object* object, const char* name);

/// Sets the first bytes of a constant or variable before the object is loaded.
Result<void> set_global(bpf_object* object, const char* map, const void* value, std::size_t size);
int map_of(bpf_object* object, const char* name);
int program_of(bpf_object* object, const char* name);

class Driver {
 public:
    static Result<Driver> load(const Packets& packets);

    /// Flows from now on: from `first` in steps of `stride`, which has no factor in common with
    /// their number, so that all come before one comes again.
    Result<void> set_order(std::uint64_t first, std::uint64_t stride);

    /// What the next runs tail-call. `frags`: the program is of section xdp.frags.
    Result<void> aim(int program, bool frags);

    /// One measurement of the program aimed at.
    Result<TestRun> run(std::uint32_t repeat);

    /// ns that bench_wrap itself takes for each packet: alone, and with undoing the head.
    struct Cost {
        double plain = 0;
        double undoing = 0;
    };
    Result<Cost> own_cost(std::uint32_t repeat);

    [[nodiscard]] int program(const char* name) const { return program_of(object_.get(), name); }
    [[nodiscard]] int map(const char* name) const { return map_of(object_.get(), name); }
    [[nodiscard]] std::uint32_t frame_len() const { return scenario_.frame_len; }

 private:
    ObjectPtr object_;
    bench_scenario scenario_{};
    bool frags_ = true;
};

}  // namespace sluice::bench
