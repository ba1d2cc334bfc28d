// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A BPF array map as memory: created with BPF_F_MMAPABLE, read and written in place while packets
/// read it, without a system call. What is stored while the data plane runs must be one aligned
/// word.

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace sluice::kernel {

template <typename T>
class MappedArray {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0,
                  "the kernel lays elements out at multiples of eight bytes");

 public:
    MappedArray() = default;
    MappedArray(MappedArray&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    MappedArray& operator=(MappedArray&& other) noexcept {
        if (this != &other) {
            unmap();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }
    MappedArray(const MappedArray&) = delete;
    MappedArray& operator=(const MappedArray&) = delete;
    ~MappedArray() { unmap(); }

    /// Maps `entries` elements of the map behind `fd`; the descriptor stays the caller's.
    static Result<MappedArray> map(int fd, std::uint32_t entries, const std::string& name) {
        MappedArray out;
        void* memory = ::mmap(nullptr, bytes(entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED) {
            const int saved = errno;
            return fail(sys_error(saved, "map " + name));
        }
        out.data_ = static_cast<T*>(memory);
        out.size_ = entries;
        return out;
    }

    [[nodiscard]] std::span<T> all() { return {data_, size_}; }
    [[nodiscard]] std::span<const T> all() const { return {data_, size_}; }
    [[nodiscard]] std::uint32_t size() const { return size_; }

 private:
    static std::size_t bytes(std::uint32_t entries) {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        return (std::size_t{entries} * sizeof(T) + page - 1) / page * page;
    }
    void unmap() {
        if (data_ != nullptr) ::munmap(data_, bytes(size_));
        data_ = nullptr;
    }

    T* data_ = nullptr;
    std::uint32_t size_ = 0;
};

/// One aligned word, stored so that a packet sees all that was written before it.
template <typename Word>
void publish(Word& place, Word value) {
    std::atomic_ref<Word>(place).store(value, std::memory_order_release);
}

}  // namespace sluice::kernel
