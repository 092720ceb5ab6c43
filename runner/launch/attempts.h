// Stage 1, second half, for a command that is run many times.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/launch/attempt_server.h"
#include "runner/launch/chaos.h"
#include "runner/launch/supervise.h"
#include "runner/model/attempt.h"

namespace crashcrawler {

// How often, and until when. One of `most`, `until_crash` and `duration` is given.
struct AttemptPlan {
  std::optional<int> most;
  bool until_crash = false;
  std::optional<std::chrono::milliseconds> duration;  // no attempt begins when this is over
  int jobs = 1;                                       // attempts at a time
  std::optional<uint64_t> chaos_seed;
  int chaos_first = 1;  // the number by which the settings of the first attempt are drawn
  std::string
      until_fingerprint;  // with until_crash: until one whose signature begins so; empty: any that is not on purpose
};

// What has been done so far.
struct AttemptProgress {
  int ended = 0, not_passed = 0;  // the latter by their exit status
  std::chrono::nanoseconds since_start{};
};

struct AttemptHooks {
  // Asked after each attempt of until_crash: whether it is to be the last one. Given: all attempts that have ended.
  std::function<bool(const std::vector<Attempt>&)> has_crashed;
  // Told after each attempt.
  std::function<void(const AttemptProgress&)> progress;
};

struct AttemptsOutcome {
  Repetition repetition;
  std::chrono::system_clock::time_point started;
  std::chrono::nanoseconds duration{};
  std::vector<LeftoverProcess> leftovers;
  bool killed = false;     // a second interrupt has killed what ran
  int interrupted_by = 0;  // the signal that ended it; 0: none did
  std::vector<std::string> soft_errors;
};

// Runs attempts until the plan is fulfilled, or until SIGINT, SIGTERM, SIGHUP or SIGQUIT: then those that run are waited for (they
// get the signal) and no other begins. A second SIGINT kills them. `supervision` is meant for each attempt by itself: its time-out,
// its grace, its leftovers. Each attempt has a cgroup of its own below that of the run, "attempt-N", and its end touches
// nobody else; where that cannot be had, attempts can only be told apart when there is one at a time.
// `competitors`: of as many jobs, where plan.chaos_seed is given.
// Error: the command cannot be executed (126, 127), several at a time are not possible, or the server is gone.
Result<AttemptsOutcome> run_attempts(AttemptServer& server, const Command& command,
                                     const AttemptPlan& plan, const Supervision& supervision,
                                     Competitors* competitors, const AttemptHooks& hooks);

}  // namespace crashcrawler
