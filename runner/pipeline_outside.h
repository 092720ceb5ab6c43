// The steps of a run that looks outside of its command's tree: attached to a cgroup of others, or around `docker run`.
#pragma once

#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/launch/container_id.h"
#include "runner/launch/supervise.h"
#include "runner/pipeline_collector.h"
#include "runner/pipeline_prepare.h"

namespace crashcrawler {

// The command of the run; without one, what was asked of us.
Command command_of(const RunOptions& options);

// The cgroup of --attach-cgroup or --attach-container; empty without them. Error: there is none, or it is not clear which.
Result<std::string> attached_cgroup_of(const RunOptions& options);

// A run without a command: watches run.attached until it is empty, and reports. The exit status, as of run_pipeline().
Result<int> run_attached(Run& run, Collector& collector);

// As long as it lives `source` is told which container the command starts.
class FollowedContainer {
 public:
  explicit FollowedContainer(ContainerId& container) : container_(container) {}
  FollowedContainer(const FollowedContainer&) = delete;
  FollowedContainer& operator=(const FollowedContainer&) = delete;
  ~FollowedContainer() { container_.end(); }

 private:
  ContainerId& container_;
};

// Has `source` told of it as soon as it is known.
FollowedContainer follow_container(ContainerId& container, Result<BpfSource>& source);

// When the time is over the processes of the command's container are looked at with the others. `container` has to live as
// long.
void look_into_container(Supervision& supervision, const ContainerId& container);

// The command has ended: its container is told to `source` if it was not yet, what still runs in it becomes leftovers, and what
// is not known of it soft errors. Nobody in it is ended by us.
void settle_container(ContainerId& container, Result<BpfSource>& source, RunOutcome& outcome);

// A container that nobody has watched is a part of the run that nobody has: never to be taken for one in which nothing crashed.
// Where the client has failed there may have been none; then it is no more than said.
void judge_unwatched(Captured& captured, const RunOutcome& outcome);

}  // namespace crashcrawler
