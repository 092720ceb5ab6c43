// The steps of the pipeline that belong to no single stage: they join two, or turn options into
// what a stage takes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/capture/bpf_source.h"
#include "runner/capture/recording.h"
#include "runner/launch/start_probe.h"
#include "runner/launch/supervise.h"
#include "runner/main/options.h"
#include "runner/model/session.h"
#include "runner/unwind/unwind.h"

namespace crashcrawler {

// What is watched besides the command's own tree.
struct Outside {
  std::string cgroup;       // of others; empty: none
  bool containers = false;  // the command starts one
  bool no_command =
      false;  // there is nothing but `cgroup`; the caller is given in place of a held process

  bool any() const { return containers || !cgroup.empty(); }
};

// The running probe, or the tracer. However we leave, it is told, waited for, and by then has removed what it
// made.
class Collector {
 public:
  // Starts the probe, unless it is not wanted; that it could not be started is said by begin().
  explicit Collector(CollectorChoice choice);
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  ~Collector() { end(); }

  // Has it watch `held` and everything it becomes; where the probe cannot and that is allowed, has a tracer do so and
  // says why on stderr. Error: what is missing on this machine, and how to get it.
  Result<BpfSource> begin(pid_t held, const RunOptions& options, const Circumstances& circumstances,
                          Recording& recording, const Outside& outside = {});

  // "bpf" or "ptrace"; once begin() has succeeded.
  const std::string& backend() const { return backend_; }

  void end();

 private:
  Result<BpfSource> begin_with_current(pid_t held, const RunOptions& options,
                                       const Circumstances& circumstances, Recording& recording,
                                       const Outside& outside);

  CollectorChoice choice_;
  Result<ProbeProcess> process_;
  std::string backend_ = "bpf";
  bool ended_ = false;
};

// A session with all that is known before the run: the command, the machine, the collector.
Session describe_session(const Command& command);

// When the time is over, the processes go to `source` as they are then.
Supervision supervision_of(const RunOptions& options, Result<BpfSource>& source,
                           const Collector& collector);

// The file of --record; one that keeps nothing without it.
Result<Recording> start_recording(const RunOptions& options, const Session& session,
                                  const Circumstances& circumstances);

// Limits of the unwinder, where debug files lie, and where the program's own code lies: the work tree
// around the working directory.
UnwindLimits unwind_limits_of(const Command& command, const RunOptions& options);

// Takes out the deaths that are no crashes whatever their stacks say. After a time-out: what was looked at alive is not
// told again by its death, what could not be looked at is a hang as it was when we killed it, and whoever has a hanging
// child comes after it.
// Of attempts each has a time-out of its own.
void drop_deaths_on_purpose(Captured& captured, const Session& session);

// Of a command that is run many times: moves the crashes that were one too many at their place to the session's repetition.
void take_out_further(Captured& captured, Session& session);

// And fills which attempt each crash belongs to: by the cgroup it died in, and where it had left that or had none, by its
// ancestors. Unknown where neither says it.
void find_attempts(Captured& captured, Session& session);

// Pairs each crash with its stacks and judges it; what was no crash after all is left out, and what may have been one is
// named in soft_errors.
void make_reports(std::vector<RawCrash> crashes, std::vector<Backtrace> backtraces,
                  Session& session);

// The rules of --expect and those in the files of --expect-file. Error: which file cannot be read, or what is wrong where.
Result<std::vector<ExpectRule>> expect_rules_of(const RunOptions& options);

// Fills which test was running and which deaths were on purpose; what could not be found out goes to soft_errors.
void name_tests(Session& session, const std::vector<ExpectRule>& rules, const RunOptions& options);

// The reports show no raw stack bytes but those that registers point to: they are the bulk of what is in memory.
void let_stacks_go(std::vector<CrashReport>& crashes);

// Crashes of which a part is missing.
uint64_t count_truncated(const std::vector<CrashReport>& crashes);

// Puts the crashes into the JUnit files that the command has written; what could not be done becomes soft errors.
void augment_reports_of_others(Session& session, const RunOptions& options);

// Makes the output folder. Where that fails --best-effort goes on without: options.output_directory is empty then.
Result<void> prepare_reports(RunOptions& options);

// All files of the reports, into options.output_directory; none if that is empty. Cores are given up where these have no room.
Result<void> write_reports_of(Session& session, const RunOptions& options);

// The contract's exit status: the command's own; 70 when it succeeded over a crash; 124 when its time was over; 125
// when crashes were lost sight of, or the reports not `written`, and --best-effort does not allow that.
int exit_status_of(const Session& session, const RunOptions& options, const Result<void>& written);

}  // namespace crashcrawler
