// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The tools' BPF programs (bpf/traffic.bpf.c), loaded.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

struct bpf_object;

namespace sluice::traffic {

class Programs {
 public:
    /// `name` is a section of constants; `value` becomes its first bytes. `arrived`, when it is not
    /// 0, is the id of another process' traffic_arrived, which takes the place of an own one.
    static Result<Programs> load(const char* name, const void* value, std::size_t size,
                                 std::uint32_t arrived = 0);
    [[nodiscard]] int program(const char* name) const;
    [[nodiscard]] int map(const char* name) const;

 private:
    struct Close {
        void operator()(bpf_object* object) const;
    };
    std::unique_ptr<bpf_object, Close> object_;
};

/// The id by which other processes can open a map.
Result<std::uint32_t> id_of_map(int map);

/// Attaches a program until the process ends.
Result<void> attach(int program, std::uint32_t ifindex);

/// Sends live frames from `program` out of the interface, whose namespace the process is in.
Result<void> send_live(int program, std::uint32_t ifindex, std::uint32_t frame_len,
                       std::uint32_t count);

}  // namespace sluice::traffic
