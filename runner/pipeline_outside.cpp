#include "runner/pipeline_outside.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "runner/launch/attached.h"
#include "runner/launch/process_tree.h"
#include "runner/pipeline.h"

namespace crashcrawler {
namespace {

// Of a container that runs; none: it has ended, or is not to be seen here.
std::optional<ProcessTree> processes_in(const std::string& id) {
  const Result<std::string> cgroup = find_cgroup_of_id(id);
  Result<ProcessTree> tree =
      cgroup ? ProcessTree::watch(*cgroup) : Result<ProcessTree>(cgroup.error());
  return tree ? std::optional(std::move(*tree)) : std::nullopt;
}

// docker-run(1): it has failed, or, as it does where it may not speak to its engine, says of a container that was never made that
// it cannot be started.
bool is_failure_of_client(const RunOutcome& outcome) {
  constexpr int kFirst = 125, kLast = 127;
  return outcome.signal == 0 && outcome.exit_code >= kFirst && outcome.exit_code <= kLast;
}

}  // namespace

Command command_of(const RunOptions& options) {
  Command command = options.command;
  if (command.arguments.empty()) {
    const bool container = options.attach_cgroup.empty();
    command.arguments = {"crashcrawler-run", container ? "--attach-container" : "--attach-cgroup",
                         container ? options.attach_container : options.attach_cgroup};
  }
  return command;
}

Result<std::string> attached_cgroup_of(const RunOptions& options) {
  if (!options.attach_cgroup.empty()) {
    const Result<std::string> found = find_cgroup(options.attach_cgroup);
    return found ? found : found.error().in("--attach-cgroup");
  }
  if (!options.attach_container.empty()) {
    const Result<std::string> found = find_cgroup_of_container(options.attach_container);
    return found ? found : found.error().in("--attach-container");
  }
  return std::string();
}

Result<int> run_attached(Run& run, Collector& collector) {
  const Outside outside{.cgroup = run.attached, .no_command = true};
  Result<BpfSource> source =
      collector.begin(::getpid(), run.options, run.circumstances, run.recording, outside);
  if (!source) {
    return source.error().in("crashes cannot be captured");
  }
  run.session.backend = collector.backend();
  spdlog::debug("{} is watched until it is empty", run.attached);

  Result<RunOutcome> outcome = watch_attached(run.attached, run.options.timeout);
  if (!outcome) {
    return outcome.error();
  }
  run.session.outcome = std::move(*outcome);
  Captured captured = source->finish();
  if (const Result<void> recorded = run.recording.end(run.session, ""); !recorded) {
    run.session.soft_errors.push_back(recorded.error().message);
  }
  return report_on(std::move(run.session), std::move(captured), run.rules, run.options);
}

FollowedContainer follow_container(ContainerId& container, Result<BpfSource>& source) {
  container.wait_for([&](const std::string& id) {
    if (source && !container.is_descendant()) {
      source->name_container(id);
    }
  });
  return FollowedContainer(container);
}

void look_into_container(Supervision& supervision, const ContainerId& container) {
  if (!container.is_expected() || !supervision.at_timeout) {
    return;
  }
  supervision.at_timeout = [look = std::move(supervision.at_timeout),
                            &container](std::vector<pid_t> pids) {
    if (const std::optional<std::string> id = container.id()) {
      if (const std::optional<ProcessTree> tree = processes_in(*id)) {
        for (const pid_t pid : tree->pids()) {
          if (std::ranges::find(pids, pid) == pids.end()) {
            pids.push_back(pid);
          }
        }
      }
    }
    return look(pids);
  };
}

void settle_container(ContainerId& container, Result<BpfSource>& source, RunOutcome& outcome) {
  if (!container.is_expected()) {
    return;
  }
  const std::optional<std::string> id = container.end();
  if (!id) {
    if (source && !container.is_descendant() && !is_failure_of_client(outcome) &&
        outcome.signal == 0) {
      outcome.soft_errors.push_back(
          "nothing was captured in the container: its id has not been written to the file of "
          "--cidfile");
    }
    return;
  }
  if (std::optional<ProcessTree> tree = processes_in(*id)) {
    std::vector<LeftoverProcess> left = tree->processes();
    if (!left.empty()) {
      outcome.soft_errors.push_back("the container " + id->substr(0, 12) +
                                    " goes on; what crashes in it from now on is not captured");
    }
    for (LeftoverProcess& process : left) {
      if (std::ranges::find(outcome.leftovers, process.pid, &LeftoverProcess::pid) ==
          outcome.leftovers.end()) {
        outcome.leftovers.push_back(std::move(process));
      }
    }
  }
}

void judge_unwatched(Captured& captured, const RunOutcome& outcome) {
  if (captured.unwatched.empty()) {
    return;
  }
  if (is_failure_of_client(outcome)) {
    captured.soft_errors.push_back(captured.unwatched);
    return;
  }
  captured.health.complete = false;
  captured.health.degraded.push_back(captured.unwatched);
}

}  // namespace crashcrawler
