// The cgroup of one run: made below the cgroup the command would have been in, and taken away
// without a trace.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runner/base/mount_info.h"
#include "runner/base/result.h"

namespace crashcrawler {

// Where `path` is visible below `mount`; the mount point itself when `path` lies outside of what is
// mounted (as in a private cgroup namespace, where paths above its root begin with "/..").
std::string directory_in_mount(const Mount& mount, const std::string& path);

class RunCgroup {
 public:
  // Makes a fresh cgroup below the one `held` is in and moves `held` there. Tries every cgroup2
  // mount, and in each the process's own cgroup first, then the root of the mount. Error: why none
  // of them could be used.
  static Result<RunCgroup> create(pid_t held);

  RunCgroup(RunCgroup&& other) noexcept;
  RunCgroup& operator=(RunCgroup&&) = delete;
  ~RunCgroup();  // remove(), for what goes wrong in between

  const std::string& directory() const { return directory_; }

  // Gives it to a user: he may make cgroups below it and move his processes between those
  // (cgroup-v2.rst, "Delegation"). Error: why not; it can be used as before.
  Result<void> delegate_to(uid_t user);

  // SIGKILL to every process in it and below: one write to cgroup.kill (Linux 5.14).
  Result<void> kill_all();

  // Moves the processes that are left to the parent cgroup and removes the directory with all below
  // it. Processes fork while they are moved: repeats until it is empty, and gives up with an error
  // after many rounds.
  Result<void> remove();

 private:
  explicit RunCgroup(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;  // empty: nothing to remove
};

}  // namespace crashcrawler
