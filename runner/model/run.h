// What was run and how it ended.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crashcrawler {

struct Command {
  std::vector<std::string> arguments;  // arguments[0] as the user wrote it
  std::string working_directory;       // absolute
};

struct LeftoverProcess {
  pid_t pid = 0;
  std::string name;                    // comm
  std::vector<std::string> arguments;  // empty when it could not be read
};

struct RunOutcome {
  std::chrono::system_clock::time_point started;
  std::chrono::nanoseconds duration{};
  int exit_code = 0;  // of exit(3); meaningless when signal is not 0
  int signal = 0;     // that ended the command itself
  std::vector<LeftoverProcess> leftovers;
  bool interrupted = false;                            // a second SIGINT made us kill the tree
  std::optional<std::chrono::milliseconds> timed_out;  // this time was over, so the tree was ended
  std::vector<std::string> soft_errors;
};

// How well the collector could do its work. Anything but zeros and an empty list is told to the
// user.
struct Health {
  bool complete = true;               // false: for some or all of the run nobody was watching
  uint64_t lost_crashes = 0;          // deaths of which nothing is known but that they happened
  uint64_t lost_records = 0;          // parts of deaths that did not fit the ring
  uint64_t truncated = 0;             // crashes in the report that lack a part
  std::vector<std::string> degraded;  // what this machine does not allow, in words
};

}  // namespace crashcrawler
