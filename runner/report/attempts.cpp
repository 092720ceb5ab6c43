#include "runner/report/attempts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace crashcrawler {
namespace {

bool has_passed(const Attempt& attempt) {
  return attempt.exit_code == 0 && attempt.signal == 0 && !attempt.timed_out;
}

// A percentage with as many digits as mean something.
std::string percent(double share) {
  const double value = share * 100;
  return value < 10 ? fmt::format("{:.2g}", value) : fmt::format("{:.3g}", value);
}

std::set<int> crashed_attempts(const AttemptCounts& counts) {
  std::set<int> crashed;
  for (const SignatureCount& signature : counts.signatures) {
    crashed.insert(signature.attempts.begin(), signature.attempts.end());
  }
  return crashed;
}

}  // namespace

Interval wilson(size_t hits, size_t all) {
  if (all == 0) {
    return {};
  }
  constexpr double z = 1.959963984540054;  // the normal distribution's quantile of 97.5 %
  const double n = static_cast<double>(all), p = static_cast<double>(hits) / n;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {hits == 0 ? 0 : std::max(0.0, middle - half),
          hits == all ? 1 : std::min(1.0, middle + half)};
}

AttemptCounts count_attempts(const Session& session) {
  AttemptCounts counts;
  std::map<std::string, size_t> signature_at;  // by place
  for (const DistinctCrash& crash : distinct_crashes(session)) {
    SignatureCount count{crash, {}, crash.reports.size()};
    for (const CrashReport* report : crash.reports) {
      if (report->raw.attempt > 0) {
        count.attempts.insert(report->raw.attempt);
      } else {
        ++counts.without_attempt;
      }
      signature_at.try_emplace(report->raw.place, counts.signatures.size());
    }
    counts.signatures.push_back(std::move(count));
  }
  for (const FurtherCrash& further : session.repetition->further) {
    const auto known = signature_at.find(further.place);
    if (known == signature_at.end()) {
      continue;  // what happened there was no crash, or on purpose
    }
    ++counts.not_kept;
    SignatureCount& count = counts.signatures[known->second];
    ++count.times;
    if (further.attempt > 0) {
      count.attempts.insert(further.attempt);
    }
  }
  const std::set<int> crashed = crashed_attempts(counts);
  for (const Attempt& attempt : session.repetition->attempts) {
    if (crashed.contains(attempt.number)) {
      ++counts.crashed;
    } else if (attempt.interrupted) {
      ++counts.interrupted;
      continue;
    } else if (has_passed(attempt)) {
      ++counts.passed;
    } else {
      ++counts.failed;
    }
    ++counts.all;
  }
  return counts;
}

std::string share_in_words(size_t hits, size_t all) {
  const Interval interval = wilson(hits, all);
  const double share = all == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(all);
  return fmt::format("{} of {}, {} % (95 %: {} to {} %)", hits, all, percent(share),
                     percent(interval.low), percent(interval.high));
}

bool passed_elsewhere(const DistinctCrash& crash, const AttemptCounts& counts,
                      const Session& session) {
  const TestCase& test = crash.first().test;
  std::set<int> crashed;
  for (const SignatureCount& signature : counts.signatures) {
    const TestCase& other = signature.crash.first().test;
    if (test.name.empty() || (other.name == test.name && other.suite == test.suite)) {
      crashed.insert(signature.attempts.begin(), signature.attempts.end());
    }
  }
  return std::ranges::any_of(session.repetition->attempts, [&](const Attempt& attempt) {
    return !crashed.contains(attempt.number) && !attempt.interrupted &&
           (!test.name.empty() ? !attempt.timed_out : has_passed(attempt));
  });
}

}  // namespace crashcrawler
