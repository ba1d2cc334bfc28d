// SPDX-License-Identifier: Apache-2.0

/// What the counters of the state maps say: sums over CPUs, successors and both sets, and what a
/// canary has counted since it began.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/pinned_text.h"
#include "kernel/state_maps.h"
#include "plan/reasons.h"

namespace sluice::kernel {
namespace {

constexpr const char* kStartPin = "/canary_start";
constexpr const char* kReasons = "slc_reason_counters";
constexpr const char* kServices = "slc_service_counters";
constexpr const char* kFlows = "slc_flow_counters";
constexpr const char* kMembers = "slc_member_counters";
constexpr const char* kCustomers = "slc_customer_counters";
constexpr const char* kPolicies = "slc_policy_counters";
constexpr std::uint32_t kReasonsOfInterface = SLC_REASON_ROWS * SLC_FAMPROTO_COUNT;
constexpr const char* kDrops = "slc_drop_counters";
constexpr std::uint32_t kBatch = 1024;  // Entries that one system call reads.

/// Every counter is a record of 64-bit words, which are added up word by word.
template <typename Value>
void combine(Value& to, const void* from, std::size_t bytes, bool subtract) {
    constexpr std::size_t kWords = sizeof(Value) / sizeof(slc_u64);
    static_assert(kWords * sizeof(slc_u64) == sizeof(Value));
    slc_u64 left[kWords];
    slc_u64 right[kWords] = {};
    std::memcpy(left, &to, sizeof left);
    std::memcpy(right, from, std::min(bytes, sizeof right));
    for (std::size_t i = 0; i < kWords; ++i)
        left[i] = subtract ? left[i] - std::min(left[i], right[i]) : left[i] + right[i];
    std::memcpy(&to, left, sizeof left);
}

std::size_t cpus() {
    return static_cast<std::size_t>(std::max(::libbpf_num_possible_cpus(), 1));
}

std::uint32_t map_id(int fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    return ::bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

/// Calls `take(index, row)` with the values of all CPUs, for each entry: a batch a system call. A
/// kernel that knows none for this map is asked for each.
template <typename Take>
void read_rows(int fd, std::uint32_t entries, std::size_t row_size, const Take& take) {
    std::vector<std::uint32_t> keys(std::min(entries, kBatch));
    std::vector<char> rows(keys.size() * row_size);
    std::uint32_t done = 0;
    std::uint32_t at = 0;
    while (done < entries) {
        std::uint32_t count = std::min(entries - done, kBatch);
        const int error = ::bpf_map_lookup_batch(fd, done == 0 ? nullptr : &at, &at, keys.data(),
                                                 rows.data(), &count, nullptr);
        if (count == 0 || (error != 0 && errno != ENOENT)) break;
        for (std::uint32_t i = 0; i < count; ++i) take(keys[i], rows.data() + i * row_size);
        done += count;
        if (error != 0) break;
    }
    for (std::uint32_t index = done; index < entries; ++index)
        if (::bpf_map_lookup_elem(fd, &index, rows.data()) == 0) take(index, rows.data());
}

/// All interfaces together.
std::vector<slc_counter> folded(const std::vector<slc_counter>& rows) {
    std::vector<slc_counter> out(kReasonsOfInterface);
    for (std::size_t i = 0; i < rows.size(); ++i)
        combine(out[i % kReasonsOfInterface], &rows[i], sizeof(slc_counter), false);
    return out;
}

slc_counter& counter_of(InterfaceCounts& counts, slc_reason reason) {
    if (plan::is_drop(reason)) return counts.dropped;
    return plan::is_pass(reason) ? counts.passed : counts.sent;
}

template <typename Value>
std::string bytes_of(const std::vector<Value>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value)};
}

/// canary_start: the set of the canary, then for each set and kind the name and the sums, each with
/// its length in front.
void put_bytes(std::string& to, const std::string& bytes) {
    const std::uint64_t size = bytes.size();
    to.append(reinterpret_cast<const char*>(&size), sizeof size);
    to += bytes;
}

bool take_bytes(std::string_view& from, std::string& bytes) {
    std::uint64_t size = 0;
    if (from.size() < sizeof size) return false;
    std::memcpy(&size, from.data(), sizeof size);
    from.remove_prefix(sizeof size);
    if (from.size() < size) return false;
    bytes = from.substr(0, size);
    from.remove_prefix(size);
    return true;
}

}  // namespace

template <typename Value>
std::vector<Value> StateMaps::sum(const std::string& name, std::size_t set,
                                  std::uint32_t least) const {
    std::vector<Value> out;
    const auto found = sets_[set].find(name);
    if (found == sets_[set].end()) return out;
    for (const Epoch& epoch : found->second) {
        if (epoch.entries < least) continue;
        const std::size_t stride = (epoch.value_size + std::size_t{7}) / 8 * 8;
        const std::size_t row_size = stride * cpus();
        out.resize(std::max<std::size_t>(out.size(), epoch.entries));
        read_rows(epoch.fd.get(), epoch.entries, row_size,
                  [&](std::uint32_t index, const char* row) {
                      for (std::size_t at = 0; at < row_size; at += stride)
                          combine(out[index], row + at, epoch.value_size, false);
                  });
    }
    return out;
}

template <typename Value>
std::vector<Value> StateMaps::sum(const std::string& name) const {
    std::vector<Value> out = sum<Value>(name, 0);
    const std::vector<Value> second = sum<Value>(name, 1);
    out.resize(std::max(out.size(), second.size()));
    for (std::size_t i = 0; i < second.size(); ++i)
        combine(out[i], &second[i], sizeof(Value), false);
    return out;
}

template <typename Value>
std::vector<Value> StateMaps::sum_since(const std::string& name, std::size_t set) const {
    std::vector<Value> out = sum<Value>(name, set);
    const auto start = start_[set].find(name);
    if (start == start_[set].end()) return out;
    const std::size_t known = std::min(out.size(), start->second.size() / sizeof(Value));
    for (std::size_t i = 0; i < known; ++i)
        combine(out[i], start->second.data() + i * sizeof(Value), sizeof(Value), true);
    return out;
}

CounterTotals StateMaps::since_start(std::size_t set) const {
    CounterTotals out;
    out.reasons = folded(sum_since<slc_counter>(kReasons, set));
    out.services = sum_since<slc_service_counter>(kServices, set);
    out.flows = sum_since<slc_flow_counter>(kFlows, set);
    out.members = sum_since<slc_counter>(kMembers, set);
    out.customers = sum_since<slc_counter>(kCustomers, set);
    out.policies = sum_since<slc_counter>(kPolicies, set);
    return out;
}

std::size_t StateMaps::set_of(int counters_fd) const {
    const std::uint32_t id = counters_fd < 0 ? 0 : map_id(counters_fd);
    const auto found = sets_[1].find(kReasons);
    if (id == 0 || found == sets_[1].end()) return 0;
    for (const Epoch& epoch : found->second)
        if (map_id(epoch.fd.get()) == id) return 1;
    return 0;
}

Result<void> StateMaps::write_start() {
    std::string text(1, static_cast<char>('0' + canary_set_));
    for (std::size_t set = 0; set < sets_.size(); ++set) {
        Sums& sums = start_[set];
        sums[kReasons] = bytes_of(sum<slc_counter>(kReasons, set));
        sums[kServices] = bytes_of(sum<slc_service_counter>(kServices, set));
        sums[kFlows] = bytes_of(sum<slc_flow_counter>(kFlows, set));
        sums[kMembers] = bytes_of(sum<slc_counter>(kMembers, set));
        sums[kCustomers] = bytes_of(sum<slc_counter>(kCustomers, set));
        sums[kPolicies] = bytes_of(sum<slc_counter>(kPolicies, set));
        for (const auto& [name, bytes] : sums) {
            put_bytes(text, std::string(1, static_cast<char>('0' + set)) + name);
            put_bytes(text, bytes);
        }
    }
    return directory_.empty() ? Result<void>() : write_pinned_text(directory_ + kStartPin, text);
}

/// What cannot be read, or is of another version's sizes, leaves a canary's counts without a start:
/// totals do not depend on it.
void StateMaps::read_start() {
    const auto text = read_pinned_text(directory_ + kStartPin);
    if (!text || text->empty()) return;
    canary_set_ = text->front() == '0' ? 0 : 1;
    std::string_view rest = std::string_view(*text).substr(1);
    std::string name;
    std::string bytes;
    while (take_bytes(rest, name) && take_bytes(rest, bytes))
        if (!name.empty()) start_[name[0] == '0' ? 0 : 1][name.substr(1)] = bytes;
}

std::vector<slc_counter> StateMaps::reasons() const {
    return folded(sum<slc_counter>(kReasons));
}
std::vector<slc_service_counter> StateMaps::services() const {
    return sum<slc_service_counter>(kServices);
}
std::vector<slc_flow_counter> StateMaps::flow_counters() const {
    return sum<slc_flow_counter>(kFlows);
}
std::vector<slc_counter> StateMaps::members() const {
    return sum<slc_counter>(kMembers);
}
std::vector<slc_counter> StateMaps::customers() const {
    return sum<slc_counter>(kCustomers);
}
std::vector<slc_counter> StateMaps::policies() const {
    return sum<slc_counter>(kPolicies);
}

std::vector<InterfaceCounts> StateMaps::interfaces() const {
    std::vector<InterfaceCounts> out(SLC_INTERFACE_ROWS);
    for (std::size_t set = 0; set < sets_.size(); ++set) {
        const auto counters = sum<slc_counter>(kReasons, set, kReasonsOfInterface * 2);
        for (std::size_t i = 0; i < counters.size(); ++i) {
            const auto reason = i / SLC_FAMPROTO_COUNT % SLC_REASON_ROWS;
            if (reason >= SLC_REASON_COUNT) continue;
            InterfaceCounts& to = out[i / kReasonsOfInterface % SLC_INTERFACE_ROWS];
            combine(counter_of(to, static_cast<slc_reason>(reason)), &counters[i],
                    sizeof(slc_counter), false);
        }
    }
    return out;
}
std::vector<slc_counter> StateMaps::drops() const {
    return sum<slc_counter>(kDrops);
}

int StateMaps::talkers_fd() const {
    const auto found = sets_[0].find("slc_talkers");
    return found == sets_[0].end() || found->second.empty() ? -1 : found->second.back().fd.get();
}

slc_counter StateMaps::member(std::uint32_t id) const {
    slc_counter out{};
    for (const Epochs& set : sets_) {
        const auto found = set.find(kMembers);
        if (found == set.end()) continue;
        for (const Epoch& epoch : found->second) {
            const std::size_t stride = (epoch.value_size + std::size_t{7}) / 8 * 8;
            std::string row(stride * cpus(), '\0');
            if (id >= epoch.entries || ::bpf_map_lookup_elem(epoch.fd.get(), &id, row.data()) != 0)
                continue;
            for (std::size_t at = 0; at < row.size(); at += stride)
                combine(out, row.data() + at, epoch.value_size, false);
        }
    }
    return out;
}

}  // namespace sluice::kernel
