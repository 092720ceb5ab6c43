#include "runner/pipeline_repeat.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "runner/classify/signature.h"
#include "runner/launch/attempt_server.h"
#include "runner/launch/attempts.h"
#include "runner/launch/chaos.h"
#include "runner/pipeline.h"
#include "runner/pipeline_deaths.h"
#include "runner/pipeline_steps.h"
#include "runner/unwind/unwind.h"

namespace crashcrawler {
namespace {

// One line that is written over on a terminal; elsewhere a line now and then.
class Progress {
 public:
  explicit Progress(const AttemptPlan& plan) : plan_(plan) {}

  void tell(const AttemptProgress& progress) {
    using namespace std::chrono_literals;
    if (progress.since_start < next_) {
      return;
    }
    next_ = progress.since_start + (on_terminal_ ? 200ms : 10s);
    shown_ = true;
    std::fprintf(stderr, on_terminal_ ? "\r\x1b[Kcrashcrawler: %s" : "crashcrawler: %s\n",
                 words(progress).c_str());
    std::fflush(stderr);
  }

  void end() const {
    if (shown_ && on_terminal_) {
      std::fputs("\r\x1b[K", stderr);
    }
  }

 private:
  std::string words(const AttemptProgress& progress) const {
    const auto seconds = std::chrono::duration<double>(progress.since_start).count();
    return fmt::format("attempt {}{} ended, {} not passed, {:.0f} s", progress.ended,
                       plan_.most ? fmt::format(" of {}", *plan_.most) : "", progress.not_passed,
                       seconds);
  }

  const AttemptPlan& plan_;
  const bool on_terminal_ = ::isatty(STDERR_FILENO) == 1;
  // In CI the first line comes when it is clear that this takes a while.
  std::chrono::nanoseconds next_ = std::chrono::seconds(on_terminal_ ? 0 : 10);
  bool shown_ = false;
};

// The attempts that have ended by now are in `attempts`; those that run have no outcome yet.
bool has_unexpected(std::vector<RawCrash> crashes, const PinnedFiles& files, pid_t probe,
                    const Session& before, const std::vector<Attempt>& attempts,
                    const std::vector<ExpectRule>& rules, const RunOptions& options) {
  Session session = before;
  session.repetition.emplace();
  session.repetition->attempts = attempts;
  Captured captured;
  captured.crashes = std::move(crashes);
  captured.wrapper_pid = ::getpid();
  captured.probe_pid = probe;
  take_out_further(captured, session);
  find_attempts(captured, session);
  drop_deaths_on_purpose(captured, session);
  std::vector<Backtrace> backtraces =
      unwind(captured.crashes, files, unwind_limits_of(session.command, options));
  make_reports(std::move(captured.crashes), std::move(backtraces), session);
  if (const std::string& wanted = options.attempts.until_fingerprint; !wanted.empty()) {
    return std::ranges::any_of(session.crashes, [&](const CrashReport& crash) {
      return sign(crash.raw, crash.backtrace).hash.starts_with(wanted);
    });
  }
  name_tests(session, rules, options);
  return std::ranges::any_of(session.crashes, is_unexpected);
}

// The exit status is that of the first attempt that did not pass.
RunOutcome outcome_of(const AttemptsOutcome& all) {
  RunOutcome outcome;
  const auto& attempts = all.repetition.attempts;
  const auto failed = std::ranges::find_if(attempts, [](const Attempt& attempt) {
    return !attempt.interrupted &&
           (attempt.exit_code != 0 || attempt.signal != 0 || attempt.timed_out);
  });
  if (failed != attempts.end()) {
    outcome = outcome_of(*failed);
  } else if (all.interrupted_by != 0) {
    outcome.signal = all.interrupted_by;
  }
  outcome.started = all.started;
  outcome.duration = all.duration;
  outcome.interrupted = all.killed;
  outcome.leftovers = all.leftovers;
  return outcome;
}

}  // namespace

Result<int> run_many_times(Run& run, Collector& collector) {
  const RunOptions& options = run.options;
  Session& session = run.session;
  // All that is forked is forked before the thread that receives crashes exists.
  std::optional<Competitors> competitors;
  if (options.attempts.chaos_seed) {
    Result<Competitors> started = Competitors::start(options.attempts.jobs);
    if (!started) {
      return started.error();
    }
    competitors.emplace(std::move(*started));
  }
  Result<AttemptServer> server =
      AttemptServer::start(session.command, run.executable, options.keep_core);
  if (!server) {
    return server.error();
  }

  // The server waits like a held command: nothing has begun when the probe begins to watch.
  Recording nothing;
  Result<BpfSource> source = collector.begin(server->pid(), options, run.circumstances, nothing);
  if (!source && !options.best_effort) {
    return source.error().in("crashes cannot be captured, so the command was not started");
  }
  session.backend = collector.backend();
  const Supervision supervision = supervision_of(options, source, collector);

  Progress progress(options.attempts);
  AttemptHooks hooks;
  hooks.progress = [&](const AttemptProgress& done) { progress.tell(done); };
  hooks.has_crashed = [&](const std::vector<Attempt>& attempts) {
    bool crashed = false;
    if (source) {
      source->look([&](std::vector<RawCrash> crashes, const PinnedFiles& files, pid_t probe) {
        crashed =
            has_unexpected(std::move(crashes), files, probe, session, attempts, run.rules, options);
      });
    }
    return crashed;
  };
  Result<AttemptsOutcome> outcome =
      run_attempts(*server, session.command, options.attempts, supervision,
                   competitors ? &*competitors : nullptr, hooks);
  progress.end();
  competitors.reset();
  if (!outcome) {
    return outcome.error();
  }
  session.soft_errors = std::move(outcome->soft_errors);
  session.outcome = outcome_of(*outcome);
  session.repetition = std::move(outcome->repetition);

  // From here on all attempts are over and nothing new can arrive.
  Captured captured = source ? source->finish() : nothing_captured(source.error().message);
  take_out_further(captured, session);
  find_attempts(captured, session);
  return report_on(std::move(session), std::move(captured), run.rules, options);
}

}  // namespace crashcrawler
