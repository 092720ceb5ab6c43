// The steps of the pipeline that belong to no single stage: they join two, or turn options into
// what a stage takes.
#pragma once

#include <vector>

#include "runner/base/result.h"
#include "runner/capture/bpf_source.h"
#include "runner/launch/supervise.h"
#include "runner/main/options.h"
#include "runner/model/expect_rule.h"
#include "runner/model/session.h"
#include "runner/pipeline_collector.h"
#include "runner/unwind/unwind.h"

namespace crashcrawler {

// A session with all that is known before the run: the command, the machine, the collector.
Session describe_session(const Command& command);

// When the time is over, the processes go to `source` as they are then.
Supervision supervision_of(const RunOptions& options, Result<BpfSource>& source,
                           const Collector& collector);

// Limits of the unwinder, where debug files lie, and where the program's own code lies: the work tree
// around the working directory.
UnwindLimits unwind_limits_of(const Command& command, const RunOptions& options);

// Pairs each crash with its stacks and judges it; what was no crash after all is left out, and what may have been one is
// named in soft_errors.
void make_reports(std::vector<RawCrash> crashes, std::vector<Backtrace> backtraces,
                  Session& session);

// Fills which test was running and which deaths were on purpose; what could not be found out goes to soft_errors.
void name_tests(Session& session, const std::vector<ExpectRule>& rules, const RunOptions& options);

// The reports show no raw stack bytes but those that registers point to: they are the bulk of what is in memory.
void let_stacks_go(std::vector<CrashReport>& crashes);

// Crashes of which a part is missing.
uint64_t count_truncated(const std::vector<CrashReport>& crashes);

// Puts the crashes into the JUnit files that the command has written; what could not be done becomes soft errors.
void augment_reports_of_others(Session& session, const RunOptions& options);

// All files of the reports, into options.output_directory; none if that is empty. Cores are given up where these have no room.
Result<void> write_reports_of(Session& session, const RunOptions& options);

// The contract's exit status: the command's own; 70 when it succeeded over a crash; 124 when its time was over; 125
// when crashes were lost sight of, or the reports not `written`, and --best-effort does not allow that.
int exit_status_of(const Session& session, const RunOptions& options, const Result<void>& written);

}  // namespace crashcrawler
