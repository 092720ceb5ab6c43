// crashcrawler-run from top to bottom. Every step is one call into a stage; the stages know nothing
// of each other.
#include "runner/pipeline.h"

#include <spdlog/spdlog.h>

#include <cstdio>

#include "runner/attribute/packages.h"
#include "runner/capture/recorded_source.h"
#include "runner/classify/signature.h"
#include "runner/launch/held_command.h"
#include "runner/launch/supervise.h"
#include "runner/pipeline_collector.h"
#include "runner/pipeline_deaths.h"
#include "runner/pipeline_outside.h"
#include "runner/pipeline_prepare.h"
#include "runner/pipeline_repeat.h"
#include "runner/pipeline_repro.h"
#include "runner/pipeline_steps.h"
#include "runner/report/cores.h"
#include "runner/report/report.h"
#include "runner/report/repro_script.h"
#include "runner/unwind/unwind.h"

namespace crashcrawler {

namespace {

Result<int> run_once(Run& run, Collector& collector);

}  // namespace

Result<int> run_pipeline(RunOptions options) {
  const Circumstances circumstances = circumstances_now();

  // The probe is started first, while we may still be root on somebody's behalf; from then on we never are.
  Collector collector(options.collector);
  if (const Result<void> dropped = become_user_of(options); !dropped) {
    return dropped.error();
  }

  // What is wrong with the command or the output is said before anything runs, and as the user sees it.
  Result<Run> run = prepare_run(std::move(options), circumstances);
  if (!run) {
    return run.error();
  }

  // However it ends, nothing of ours is left then: the probe has detached and removed the cgroup.
  return run->executable.empty() ? run_attached(*run, collector)
         : run->options.repeats  ? run_many_times(*run, collector)
                                 : run_once(*run, collector);
}

namespace {

// The command exists but has not begun: it waits before its exec until the probe watches its cgroup.
Result<int> run_once(Run& run, Collector& collector) {
  const RunOptions& options = run.options;
  Session& session = run.session;
  // A container that it starts is no descendant of it, but its client can be made to say which one it is.
  Result<ContainerId> container = ContainerId::prepare(session.command);
  if (!container) {
    return container.error();
  }
  Result<HeldCommand> command =
      HeldCommand::start(container->command(), run.executable, options.keep_core);
  if (!command) {
    return command.error();
  }
  Result<BpfSource> source =
      collector.begin(command->pid(), options, run.circumstances, run.recording,
                      {run.attached, container->is_expected(), false});
  if (!source && !options.best_effort) {
    return Error{
        source.error().in("crashes cannot be captured, so the command was not started").message +
        "; `crashcrawler doctor` says what is missing"};
  }
  session.backend = collector.backend();
  spdlog::debug("{} is held as process {} in {}", run.executable, command->pid(),
                !source                    ? "no cgroup: nothing is captured"
                : source->cgroup().empty() ? "no cgroup: its forks are followed"
                                           : source->cgroup());

  // From here on nothing that dies in the tree is missed, nor in the container.
  const FollowedContainer followed = follow_container(*container, source);
  if (const Result<void> released = command->release(); !released) {
    return released.error();
  }
  Supervision supervision = supervision_of(options, source, collector);
  look_into_container(supervision, *container);
  Result<RunOutcome> outcome = supervise(*command, supervision);
  if (!outcome) {
    return outcome.error();
  }
  settle_container(*container, source, *outcome);
  session.soft_errors = std::move(outcome->soft_errors);
  session.outcome = std::move(*outcome);

  // From here on the command is dead and nothing new can arrive.
  Captured captured = source ? source->finish() : nothing_captured(source.error().message);
  const Result<void> recorded = run.recording.end(session, source ? "" : source.error().message);
  if (!recorded) {
    session.soft_errors.push_back(recorded.error().message);
  }
  return report_on(std::move(session), std::move(captured), run.rules, options);
}

}  // namespace

Result<int> report_on(Session session, Captured captured, const std::vector<ExpectRule>& rules,
                      const RunOptions& options) {
  judge_unwatched(captured, session.outcome);
  session.health = captured.health;
  session.soft_errors.insert(session.soft_errors.end(), captured.soft_errors.begin(),
                             captured.soft_errors.end());
  spdlog::debug("the command has ended; {} deaths were captured", captured.crashes.size());

  // Not every death is a crash: what processes of the run did to each other on purpose is not looked at.
  drop_deaths_on_purpose(captured, session);

  // What the dead left becomes frames with names, in a child that may fail over hostile files.
  std::vector<Backtrace> backtraces =
      unwind(captured.crashes, captured.files, unwind_limits_of(session.command, options));

  spdlog::debug("{} of them may be crashes; their stacks are walked", backtraces.size());

  // Which package and version each library is, and which crashes are the same crash.
  make_reports(std::move(captured.crashes), std::move(backtraces), session);
  session.health.truncated = count_truncated(session.crashes);
  for (std::string& problem : attribute_modules(session.crashes, captured.files)) {
    session.soft_errors.push_back(std::move(problem));
  }

  // The tests that were running, and which of them want a death. ctest is asked at most once for each of its folders.
  name_tests(session, rules, options);
  for (CrashReport& crash : session.crashes) {
    crash.signature = sign(crash.raw, crash.backtrace);
  }

  // What runs a crash again, and a small core of each that is worth one, while its memory is still at hand.
  find_tests_alone(session);
  if (!options.output_directory.empty()) {
    write_repro_scripts(session, options.output_directory);
    write_cores(session, captured.files, options.core_limit, options.output_directory);
  }
  let_stacks_go(session.crashes);

  // The test runner's own reports get the crashes, while what could not be done there can still be told in ours.
  augment_reports_of_others(session, options);

  // The files, then the few lines that a person reads, who gets these also when the files cannot be written.
  const Result<void> written = write_reports_of(session, options);
  const int status = exit_status_of(session, options, written);
  std::fputs(summary(session, written ? options.output_directory : "", status).c_str(), stderr);
  if (!written && !options.best_effort) {
    return written.error();
  }
  if (!written) {
    spdlog::error("{}", written.error().message);
  }
  return status;
}

Result<int> replay_pipeline(const RunOptions& options) {
  // As after a run, root on somebody's behalf is that user before anything is opened.
  if (const Result<void> dropped = become_user_of(options); !dropped) {
    return dropped.error();
  }

  const Result<std::vector<ExpectRule>> rules = expect_rules_of(options);
  if (!rules) {
    return rules.error();
  }

  // What is wrong with the recording or the output is said before the old reports are touched.
  Result<RecordedSource> source = RecordedSource::open(options.replay_file);
  if (!source) {
    return source.error();
  }
  if (const Result<void> prepared = prepare_output_directory(options.output_directory); !prepared) {
    return prepared.error();
  }

  // What was known of the run, and everything that was captured.
  Replayed run = source->finish();
  return report_on(std::move(run.session), std::move(run.captured), *rules, options);
}

}  // namespace crashcrawler
