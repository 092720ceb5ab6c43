// Another program asked for its words, with bounds on everything it may take.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

struct CommandLimits {
  std::chrono::milliseconds time{5000};
  size_t output = size_t{1} << 20;  // bytes
};

// Standard output of `arguments`, whose first is looked for in PATH. It has `environment` ("NAME=value") and PATH, no
// input, and ends with us. Error: it is not there, ran over a limit, or exited other than with 0 (the first line of its
// standard error is in the message).
Result<std::string> output_of_command(const std::vector<std::string>& arguments,
                                      const std::vector<std::string>& environment,
                                      const CommandLimits& limits);

}  // namespace crashcrawler
