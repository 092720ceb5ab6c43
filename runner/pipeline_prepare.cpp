#include "runner/pipeline_prepare.h"

#include <spdlog/spdlog.h>

#include "runner/base/file.h"
#include "runner/classify/expect_rules.h"
#include "runner/launch/held_command.h"
#include "runner/launch/only_test.h"
#include "runner/launch/sanitizer_options.h"
#include "runner/pipeline_outside.h"
#include "runner/pipeline_repro.h"
#include "runner/pipeline_steps.h"
#include "runner/report/report.h"

namespace crashcrawler {
namespace {

// The file of --record; one that keeps nothing without it.
Result<Recording> start_recording(const RunOptions& options, const Session& session,
                                  const Circumstances& circumstances) {
  if (options.record_file.empty()) {
    return Recording();
  }
  return Recording::create(options.record_file, session, circumstances);
}

// Where the output folder cannot be made --best-effort goes on without: options.output_directory is empty then.
Result<void> prepare_reports(RunOptions& options) {
  const Result<void> prepared = prepare_output_directory(options.output_directory);
  if (prepared || !options.best_effort) {
    return prepared;
  }
  spdlog::warn("there will be no report: {}", prepared.error().message);
  options.output_directory.clear();
  return {};
}

}  // namespace

Result<void> become_user_of(const RunOptions& options) {
  const Result<std::optional<TargetUser>> user = target_user(options.user);
  if (!user) {
    return user.error();
  }
  return *user ? become(**user) : Result<void>();
}

Result<Run> prepare_run(RunOptions options, const Circumstances& circumstances) {
  Run run;
  run.circumstances = circumstances;
  run.session = describe_session(command_of(options));
  Result<std::vector<ExpectRule>> rules = expect_rules_of(options);
  if (!rules) {
    return rules.error();
  }
  run.rules = std::move(*rules);
  if (!options.command.arguments.empty()) {
    Result<std::string> executable = resolve_executable(options.command);
    if (!executable) {
      return executable.error();
    }
    run.executable = std::move(*executable);
  }
  Result<std::string> attached = attached_cgroup_of(options);
  if (!attached) {
    return attached.error();
  }
  run.attached = std::move(*attached);
  if (const Result<void> prepared = prepare_reports(options); !prepared) {
    return prepared.error();
  }
  if (options.sanitizers == Sanitizers::abort) {
    stop_at_sanitizer_findings();
  }
  run.session.inherited = inherited_now();
  Result<Recording> recording = start_recording(options, run.session, circumstances);
  if (!recording) {
    return recording.error();
  }
  run.recording = std::move(*recording);
  if (!options.only.empty()) {
    if (const Result<void> only = run_only(options.only, run.executable, run.session.command);
        !only) {
      return only.error();
    }
  }
  run.options = std::move(options);
  return run;
}

Result<std::vector<ExpectRule>> expect_rules_of(const RunOptions& options) {
  constexpr size_t kLargestFile = 1 << 20;
  std::vector<ExpectRule> rules = options.expect_rules;
  for (const std::string& file : options.expect_files) {
    const Result<std::string> text = read_file(file, kLargestFile);
    if (!text) {
      return text.error().in("--expect-file");
    }
    Result<std::vector<ExpectRule>> more = parse_expect_file(*text, file);
    if (!more) {
      return more.error().in("--expect-file");
    }
    rules.insert(rules.end(), more->begin(), more->end());
  }
  return rules;
}

}  // namespace crashcrawler
