// The same crash many times is one crash with a count.
#pragma once

#include <vector>

#include "runner/model/session.h"

namespace crashcrawler {

struct DistinctCrash {
  std::vector<const CrashReport*> reports;  // in the order of death, never empty

  const CrashReport& first() const { return *reports.front(); }
};

// By signature, in the order in which each was first seen. A crash without a signature is alone. Deaths on purpose are
// left out.
std::vector<DistinctCrash> distinct_crashes(const Session& session);

}  // namespace crashcrawler
