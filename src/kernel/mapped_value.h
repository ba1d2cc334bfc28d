// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The value of a BPF array map with one entry, as memory: read and written in place while packets
/// read it, without a system call. What is stored while the data plane runs must be one aligned
/// word.

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace sluice::kernel {

class MappedValue {
 public:
    MappedValue() = default;
    MappedValue(MappedValue&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    MappedValue& operator=(MappedValue&& other) noexcept {
        if (this != &other) {
            unmap();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }
    MappedValue(const MappedValue&) = delete;
    MappedValue& operator=(const MappedValue&) = delete;
    ~MappedValue() { unmap(); }

    /// Maps `size` bytes of the map behind `fd`, which was created with BPF_F_MMAPABLE; the
    /// descriptor stays the caller's.
    static Result<MappedValue> map(int fd, std::size_t size, const std::string& name) {
        MappedValue out;
        void* memory = ::mmap(nullptr, pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED) {
            const int saved = errno;
            return fail(sys_error(saved, "map " + name));
        }
        out.data_ = static_cast<std::byte*>(memory);
        out.size_ = size;
        return out;
    }

    /// The `count` records that begin at byte `offset`.
    template <typename T>
    [[nodiscard]] std::span<T> records(std::size_t offset, std::size_t count) const {
        static_assert(std::is_trivially_copyable_v<T>);
        assert(offset % alignof(T) == 0 && offset + count * sizeof(T) <= size_);
        return {reinterpret_cast<T*>(data_ + offset), count};
    }

    [[nodiscard]] std::size_t size() const { return size_; }

 private:
    static std::size_t pages(std::size_t size) {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        return (size + page - 1) / page * page;
    }
    void unmap() {
        if (data_ != nullptr) ::munmap(data_, pages(size_));
        data_ = nullptr;
    }

    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// One aligned word, stored so that a packet sees all that was written before it.
template <typename Word>
void publish(Word& place, Word value) {
    std::atomic_ref<Word>(place).store(value, std::memory_order_release);
}

}  // namespace sluice::kernel
