#include "runner/pipeline_deaths.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>
#include <utility>

#include "runner/classify/verdict.h"

namespace crashcrawler {
namespace {

using Time = std::chrono::system_clock::time_point;

bool is_killed_by(const Harness& harness, const RawCrash& death) {
  return death.cause == Cause::killed && death.sender && !death.sender->in_tree &&
         (death.sender->pid == harness.wrapper || death.sender->pid == harness.probe);
}

// Whether somebody's kill was the end of one of `alive`. Between the two a pid does not come back.
bool was_looked_at(const RawCrash& death, const std::vector<std::pair<pid_t, Time>>& alive) {
  return death.cause == Cause::killed && !death.oom_killed &&
         std::ranges::any_of(alive, [&](const auto& seen) {
           return seen.first == death.pid && seen.second <= death.time;
         });
}

void tell_as_hang(RawCrash& death) {
  death.cause = Cause::timeout;
  death.signal = {};
  death.sender.reset();
}

// A process that has children does nothing but wait for them, mostly: what hangs is below.
void put_parents_last(std::vector<RawCrash>& crashes) {
  std::set<pid_t> parents;
  for (const RawCrash& crash : crashes) {
    if (crash.cause == Cause::timeout && !crash.ancestors.empty()) {
      parents.insert(crash.ancestors.front().pid);
    }
  }
  std::stable_partition(crashes.begin(), crashes.end(), [&](const RawCrash& crash) {
    return crash.cause != Cause::timeout || !parents.contains(crash.pid);
  });
}

// "/a/crashcrawler-12-0123abcd/attempt-7/x" -> 7; 0: nothing of the kind.
int attempt_in_cgroup(const std::string& cgroup) {
  constexpr std::string_view kOurs = "/crashcrawler-", kAttempt = "/attempt-";
  const size_t ours = cgroup.find(kOurs);
  const size_t at = ours == std::string::npos ? ours : cgroup.find(kAttempt, ours);
  int number = 0;
  if (at != std::string::npos) {
    std::from_chars(cgroup.data() + at + kAttempt.size(), cgroup.data() + cgroup.size(), number);
  }
  return number;
}

int attempt_by_ancestors(const RawCrash& crash, const std::vector<Attempt>& attempts) {
  const pid_t root = crash.ancestors.empty() ? crash.pid : crash.ancestors.back().pid;
  int number = 0;
  for (const Attempt& attempt : attempts) {  // the newest that was there: pids come back
    if (attempt.pid == root && attempt.started <= crash.time) {
      number = attempt.number;
    }
  }
  return number;
}

}  // namespace

RunOutcome outcome_around(const RawCrash& death, const Session& session) {
  if (!session.repetition) {
    return session.outcome;
  }
  const Attempt* attempt = find_attempt(*session.repetition, death.attempt);
  return attempt ? outcome_of(*attempt) : RunOutcome();
}

void drop_deaths_on_purpose(Captured& captured, const Session& session) {
  const Harness harness{captured.wrapper_pid, captured.probe_pid};
  std::vector<std::pair<pid_t, Time>> alive;
  for (const RawCrash& crash : captured.crashes) {
    if (crash.alive) {
      alive.emplace_back(crash.pid, crash.time);
    }
  }
  std::erase_if(captured.crashes,
                [&](const RawCrash& death) { return was_looked_at(death, alive); });
  bool any_timed_out = false;
  for (RawCrash& death : captured.crashes) {
    const RunOutcome outcome = outcome_around(death, session);
    if (!outcome.timed_out) {
      continue;
    }
    any_timed_out = true;
    const Time over = outcome.started + *outcome.timed_out;
    if (is_killed_by(harness, death) && death.started <= over && over <= death.time) {
      tell_as_hang(death);
    }
  }
  if (any_timed_out) {
    put_parents_last(captured.crashes);
  }
  std::erase_if(captured.crashes,
                [&](const RawCrash& death) { return !may_be_crash(death, harness); });
}

void find_attempts(Captured& captured, Session& session) {
  size_t unknown = 0;
  for (RawCrash& crash : captured.crashes) {
    crash.attempt = attempt_in_cgroup(crash.cgroup);
    if (crash.attempt == 0) {
      crash.attempt = attempt_by_ancestors(crash, session.repetition->attempts);
    }
    unknown += crash.attempt == 0 ? 1 : 0;
  }
  if (unknown > 0) {
    session.soft_errors.push_back(
        fmt::format("of {} deaths it is not known in which attempt they happened", unknown));
  }
}

void take_out_further(Captured& captured, Session& session) {
  std::vector<RawCrash>& all = captured.crashes;
  const auto abridged = std::stable_partition(
      all.begin(), all.end(), [](const RawCrash& crash) { return !crash.abridged; });
  Captured further;
  further.crashes.assign(std::make_move_iterator(abridged), std::make_move_iterator(all.end()));
  all.erase(abridged, all.end());
  find_attempts(further, session);
  for (RawCrash& crash : further.crashes) {
    session.repetition->further.push_back({std::move(crash.place), crash.attempt});
  }
}

}  // namespace crashcrawler
