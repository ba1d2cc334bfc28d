// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A generation made of any XDP object file: for programs that are no load balancer
/// (examples/hotreload). Its program is of section xdp.frags. Some of its maps are state: they are
/// pinned beside the generations, and the next one goes on with them.
///
///   load()     the object, with the state that is there already
///   run()      a packet through it, attached or not
///   Instance::keep()
///   carry()    the last thing before Instance::swap_to()
///   settle()   the first thing after it
///
/// A state map that the new object declares larger (values that have grown at their end, more
/// entries) is copied by carry(); settle() adds the entries that are new since, and puts the copy
/// in the old one's place. What the old program changes of a copied entry between the two is not in
/// the copy. Generations from before keep the map that they have. Any other difference is refused.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/pinnable.h"

namespace sluice::kernel {

struct ObjectSource {
    std::string file;                ///< ELF, as clang made it.
    std::string program;             ///< Its entry, by the name of the function.
    std::vector<std::string> state;  ///< Maps of it that outlive generations.
};

class ObjectGeneration : public Pinnable {
 public:
    /// `state_directory`: of the instance; empty: state of its own that nobody else sees, as for a
    /// proof. Errors: not_found (the file, the program, a map of `state`); invalid; conflict for
    /// state that does not fit; unsupported, with the verifier's telling line.
    static Result<ObjectGeneration> load(const ObjectSource& source,
                                         const std::string& state_directory);
    /// The one that is pinned at `directory`, to be swapped back to.
    static Result<ObjectGeneration> adopt(const std::string& directory);

    /// XDP_* for a frame. State counts it: prove on a generation that was loaded without a state
    /// directory.
    [[nodiscard]] Result<int> run(std::span<const std::uint8_t> frame) const;

    /// Nothing to do, both, unless a state map has grown.
    Result<void> carry();
    Result<void> settle();

    [[nodiscard]] int program_fd() const override { return program_.get(); }
    [[nodiscard]] Result<void> pin(const std::string& directory) const override;

 private:
    struct Moved {
        UniqueFd from;
        UniqueFd to;
        std::string path;
    };
    ObjectGeneration() = default;

    UniqueFd program_;
    std::map<std::string, UniqueFd> maps_;
    std::vector<Moved> moved_;
};

}  // namespace sluice::kernel
