// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Runs the programs of command checks, on a thread of its own: starting a program may wait for a
/// disk, and no other check may wait with it.
///
/// A program gets /dev/null as its input, a pipe as its output, no other descriptor, nothing in its
/// environment but what it is given, "/" as its folder, a session of its own, no privilege and no
/// way to gain any (no_new_privs, no capabilities, where the daemon is root the user nobody), and
/// limits: memory, processes, files, no core. When it ends, its time is over or this thread ends,
/// its whole process group is killed.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/reactor.h"
#include "health/outcome.h"

namespace sluice::health {

class CommandThread {
 public:
    static constexpr std::size_t kMostOutput = 65536;  ///< Who writes more has failed.

    using Done = std::function<void(Finding)>;

    struct Job {
        std::vector<std::string> command;      ///< Absolute path and arguments.
        std::vector<std::string> environment;  ///< "NAME=value".
    };

    /// `most`: programs at once. The thread itself starts with the first program.
    explicit CommandThread(std::size_t most);
    CommandThread(const CommandThread&) = delete;
    CommandThread& operator=(const CommandThread&) = delete;
    /// Kills what still runs.
    ~CommandThread();

    /// A number for cancel(), never 0. `done` is called on this object's thread, once, unless the
    /// run is cancelled before. The end of a run that is over the limit is Why::local.
    std::uint64_t run(Job job, Done done);
    /// Kills the program and forgets it. `done` may just be running.
    void cancel(std::uint64_t id);

 private:
    struct Running;

    void start(std::uint64_t id, const Job& job, Done done);
    void on_output(Running& running);
    void on_exit(Running& running);
    /// Kills the group. The program is forgotten when it has ended, which a disk may delay: until
    /// then it counts as running.
    void kill(Running& running);
    void tell(Running& running, Finding finding);

    std::size_t most_;
    std::uint64_t last_id_ = 0;
    std::unique_ptr<ReactorThread> thread_;
    std::map<std::uint64_t, std::unique_ptr<Running>> running_;  ///< The thread's.
};

}  // namespace sluice::health
