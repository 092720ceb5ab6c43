// The processes of the command's cgroup, as somebody who may only read sees them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/model/run.h"

namespace crashcrawler {

class ProcessTree {
 public:
  // `cgroup`: its directory in a cgroup2 file system. Error: not readable, or no cgroup2.
  static Result<ProcessTree> watch(const std::string& cgroup);

  // To be polled for POLLPRI: the tree may have become empty. Call is_populated() to arm it again.
  int fd() const { return events_.get(); }

  // Whether a process lives in the cgroup or below. Error: the cgroup has been removed.
  Result<bool> is_populated();

  // Process ids in the cgroup and below, of the pid namespace we are in; those outside of it have
  // none here.
  std::vector<pid_t> pids() const;

  // The same with what a person recognises them by.
  std::vector<LeftoverProcess> processes() const;

 private:
  ProcessTree(std::string cgroup, UniqueFd events)
      : cgroup_(std::move(cgroup)), events_(std::move(events)) {}

  std::string cgroup_;
  UniqueFd events_;  // cgroup.events
};

}  // namespace crashcrawler
