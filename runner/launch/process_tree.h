// The processes of the run that live: those of its cgroup, as somebody who may only read sees them, or, without one,
// those that somebody else lists.
#pragma once

#include <sys/types.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/model/run.h"

namespace crashcrawler {

class ProcessTree {
 public:
  // `cgroup`: its directory in a cgroup2 file system. Error: not readable, or no cgroup2.
  static Result<ProcessTree> watch(const std::string& cgroup);

  // `list`: the pids of the run's processes in the pid namespace we are in (0: not in it).
  static ProcessTree listed_by(std::function<std::vector<pid_t>()> list);

  // To be polled for POLLPRI: the tree may have become empty. Call is_populated() to arm it again. -1: there is no such
  // event, is_populated() has to be asked now and then.
  int fd() const { return events_.get(); }

  // Whether one lives. Error: the cgroup has been removed.
  Result<bool> is_populated();

  // Their process ids in the pid namespace we are in; those outside of it have none here.
  std::vector<pid_t> pids() const;

  // The same with what a person recognises them by.
  std::vector<LeftoverProcess> processes() const;

 private:
  ProcessTree(std::string cgroup, UniqueFd events)
      : cgroup_(std::move(cgroup)), events_(std::move(events)) {}

  explicit ProcessTree(std::function<std::vector<pid_t>()> list) : list_(std::move(list)) {}

  std::string cgroup_;
  UniqueFd events_;                           // cgroup.events
  std::function<std::vector<pid_t>()> list_;  // empty: the cgroup knows
};

// Sends `signals` to every process that `list` names, those too that are born meanwhile.
void signal_all(const std::function<std::vector<pid_t>()>& list,
                std::initializer_list<int> signals);

}  // namespace crashcrawler
