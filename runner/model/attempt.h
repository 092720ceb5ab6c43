// A command that was run many times: each time, and what they have in common.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/model/run.h"

namespace crashcrawler {

enum class Priority { normal, batch, idle };  // SCHED_OTHER, SCHED_BATCH, SCHED_IDLE (sched(7))

// How one attempt is disturbed. All of it follows from the seed of the run and the number of the attempt.
// Trivially copyable: it is sent to the process that starts the attempt.
struct ChaosSettings {
  int number =
      0;  // by which they were drawn: that of the attempt, unless --chaos=SEED:NUMBER began later
  uint64_t seed = 0;                // of this attempt's random times
  bool randomize_addresses = true;  // false: ADDR_NO_RANDOMIZE (personality(2))
  Priority priority = Priority::normal;
  int nice = 0;            // 0 to 19
  int cpus = 0;            // it may use so many; 0: all that we may
  uint32_t first_cpu = 0;  // the place of the first of them among those that we may use
  uint32_t go_us = 0,
           stop_us = 0;         // it runs and is kept waiting for about so long by turns; 0: never
  bool stop_one_cpu = false;    // only on the first of its processors
  bool stop_threads = false;    // only while one of its processes has several threads
  uint32_t timer_slack_us = 0;  // 0: as it was (PR_SET_TIMERSLACK, prctl(2))
  uint32_t malloc_perturb = 0;  // 0: MALLOC_PERTURB_ is left alone (mallopt(3))
  uint64_t memory_high = 0;  // bytes; 0: none (cgroup-v2.rst), as where there is no such controller
  uint64_t io_bytes_per_second = 0;
};

struct Attempt {
  int number = 0;  // from 1 on
  pid_t pid = 0;   // of the command itself
  std::chrono::system_clock::time_point started;
  std::chrono::nanoseconds duration{};
  int exit_code = 0;  // meaningless when signal is not 0
  int signal = 0;
  std::optional<std::chrono::milliseconds> timed_out;
  bool interrupted = false;  // we were told to end while it ran: how it ended says nothing of it
  std::optional<ChaosSettings> chaos;
};

// A crash at a place where enough had crashed before: nothing is kept of it but that it happened.
struct FurtherCrash {
  std::string place;  // RawCrash::place
  int attempt = 0;
};

enum class EndedBy { number, crash, time, interrupt };

struct Repetition {
  int jobs = 1;
  std::optional<uint64_t> seed;  // of --chaos
  EndedBy ended_by = EndedBy::number;
  std::vector<Attempt> attempts;  // by number
  std::vector<FurtherCrash> further;
};

// Of attempt `number`; null: there was none.
inline const Attempt* find_attempt(const Repetition& repetition, int number) {
  const auto place = static_cast<size_t>(number - 1);
  return number > 0 && place < repetition.attempts.size() ? &repetition.attempts[place] : nullptr;
}

// As the command of a run is told of.
inline RunOutcome outcome_of(const Attempt& attempt) {
  RunOutcome outcome;
  outcome.started = attempt.started;
  outcome.duration = attempt.duration;
  outcome.exit_code = attempt.exit_code;
  outcome.signal = attempt.signal;
  outcome.timed_out = attempt.timed_out;
  return outcome;
}

}  // namespace crashcrawler
