// What many attempts say together: how many passed, and how often each crash came.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "runner/model/session.h"
#include "runner/report/distinct.h"

namespace crashcrawler {

// Of a share that was seen as `hits` of `all`: where the true one lies with 95 % confidence. Wilson's score interval (E. B. Wilson, Probable
// Inference, the Law of Succession, and Statistical Inference, JASA 22, 1927): right for small numbers and for 0 of N, too. All unknown: 0 to 1.
struct Interval {
  double low = 0, high = 1;
};
Interval wilson(size_t hits, size_t all);

struct SignatureCount {
  DistinctCrash crash;
  std::set<int> attempts;  // in which it happened
  size_t times = 0;        // more than reports, where not all were kept
};

struct AttemptCounts {
  size_t all = 0, passed = 0, failed = 0, crashed = 0;  // failed: without a crash
  size_t interrupted = 0;                               // not among `all`: they could not end
  std::vector<SignatureCount> signatures;               // of unexpected crashes
  size_t not_kept = 0;         // crashes of which there is no report of their own
  size_t without_attempt = 0;  // unexpected crashes of which the attempt is not known
};

// Of session.repetition, which must be there.
AttemptCounts count_attempts(const Session& session);

// "3 of 200, 1.5 % (95 %: 0.5 to 4.3 %)"
std::string share_in_words(size_t hits, size_t all);

// Whether the test that the crash is in, or without one the whole command, ended well in another attempt.
bool passed_elsewhere(const DistinctCrash& crash, const AttemptCounts& counts,
                      const Session& session);

}  // namespace crashcrawler
