// What every process of a run has from its command, and that from us, unless it has changed it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/model/raw_crash.h"

namespace crashcrawler {

struct ResourceLimit {
  std::string name;                    // of kLimitKinds
  std::optional<uint64_t> soft, hard;  // none: unlimited
};

struct Inherited {
  std::vector<EnvironmentVariable> environment;  // those of the list of names that are kept
  std::vector<ResourceLimit> limits;             // of the command when it is started
  bool randomizes_addresses = true;
};

}  // namespace crashcrawler
