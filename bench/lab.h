// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Network namespaces for benchmarks. They have no names: they are held by descriptors of this
/// process and vanish with it, also when it is killed.

#include <functional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::bench {

class Namespace {
 public:
    /// A new one; the calling thread stays where it is. Its loopback interface is up.
    static Result<Namespace> create();
    static Result<Namespace> current();

    /// Moves the calling thread.
    [[nodiscard]] Result<void> enter() const;
    /// For `ip link ... netns PATH`.
    [[nodiscard]] std::string path() const;

 private:
    UniqueFd fd_;
};

/// The calling thread is inside for as long as this lives.
class Inside {
 public:
    static Result<Inside> enter(const Namespace& where);
    Inside(Inside&&) noexcept = default;
    Inside& operator=(Inside&&) = delete;
    ~Inside();

 private:
    explicit Inside(Namespace back) : back_(std::move(back)) {}
    Namespace back_;
};

/// Runs a program in the calling thread's namespace; an error carries what it wrote.
Result<void> run_command(const std::vector<std::string>& words, const std::string& input = {});
/// Words separated by single blanks.
Result<void> run_line(const std::string& line);
Result<void> set_sysctl(const std::string& path, const std::string& value);

/// Switches an offload of an interface: ETHTOOL_SGRO, ETHTOOL_STXCSUM, ETHTOOL_STSO.
Result<void> set_offload(const std::string& interface, std::uint32_t command, bool on);

Result<std::uint32_t> index_of(const std::string& interface);

struct VethEnd {
    std::string name;
    MacAddress mac;
    std::string address;  ///< "10.77.0.1/24"; empty: none.
};

/// A pair between two namespaces, with a queue for each of `queues` CPUs; both ends up, transmit
/// checksum and segmentation offload off (XDP forwards partial checksums as they are), GRO on (it
/// makes a veth end take frames from XDP even when no program is on its peer).
Result<void> connect_veth(const Namespace& left, const VethEnd& left_end, const Namespace& right,
                          const VethEnd& right_end, unsigned queues);

}  // namespace sluice::bench
