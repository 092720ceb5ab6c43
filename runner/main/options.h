// The command line of crashcrawler-run.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runner/launch/attempts.h"
#include "runner/launch/supervise.h"
#include "runner/model/expect_rule.h"
#include "runner/model/run.h"
#include "runner/report/junit.h"

namespace crashcrawler {

enum class FailOn { crash, never };
enum class Sanitizers { leave, abort };
enum class CollectorChoice { automatic, bpf, ptrace };

struct RunOptions {
  std::string output_directory = "crashcrawler-out";
  std::chrono::milliseconds linger{2000};
  LeftoverPolicy leftovers = LeftoverPolicy::leave;
  std::optional<std::chrono::milliseconds> timeout;
  std::chrono::milliseconds grace{5000};
  bool keep_core = false;
  std::string user;  // empty: the one behind sudo, or whoever we are
  FailOn fail_on = FailOn::crash;
  bool best_effort = false;
  CollectorChoice collector =
      CollectorChoice::automatic;  // BPF, and where it cannot be had ptrace(2)
  Sanitizers sanitizers = Sanitizers::leave;
  uint32_t crash_stack_bytes = 64 << 10;       // of the crashing thread
  uint32_t thread_stack_bytes = 16 << 10;      // of each other thread
  uint64_t core_limit = 64 << 20;              // bytes of all cores together; 0: none is written
  uint32_t ring_bytes = 16 << 20;              // power of two
  std::vector<std::string> debug_directories;  // besides /usr/lib/debug
  std::vector<ExpectRule> expect_rules;        // of --expect
  std::vector<std::string> expect_files;       // more of them; read when we are the user
  bool debuginfod = false;                     // ask servers for those that are nowhere
  std::string record_file;                     // empty: the run is not recorded
  std::string replay_file;                     // empty: `command` is run; else this run is replayed
  std::vector<std::string> augment_junit;      // globs of JUnit files of others
  bool augment_by_itself = true;               // also those that command lines of the run name
  bool list_tests =
      true;  // start a dead test program once more to ask for the tests that it never began
  JunitProfile junit_profile = JunitProfile::full;
  AttemptPlan attempts;                         // meaningless when `repeats` is false
  bool repeats = false;                         // the command is run as `attempts` says
  std::string only;                             // empty: all tests of the command
  std::string attach_cgroup, attach_container;  // at most one of them; empty: neither
  bool verbose = false;
  Command command;
};

// What to print instead of running: to stdout when the status is 0 (--help, --version), to stderr
// otherwise.
struct TextToPrint {
  std::string text;
  int exit_status = 0;
};

// `arguments`: without the program's name. The command's working directory is the current one.
std::variant<RunOptions, TextToPrint> parse_options(const std::vector<std::string>& arguments);

}  // namespace crashcrawler
