// What CTest knows of its tests, asked once per build folder, and what its log says of how they ended.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/session.h"

namespace crashcrawler {

struct CtestTest {
  std::string name;
  std::vector<std::string> command;
  std::string working_directory;
  bool will_fail = false;
  std::string file;  // of its add_test(), or the macro around it; empty: not known
  int line = 0;
  RunnerResult result = RunnerResult::unknown;
  std::string last_run;  // the last "[ RUN      ] Suite.Name" of its output that has no end
};

// Whether this is the command line of a ctest that runs tests.
bool is_ctest(const std::vector<std::string>& arguments);

// Of the caller's arguments to ctest those that say which tests there are; none that writes a file.
std::vector<std::string> selecting_arguments(const std::vector<std::string>& arguments);

// The answer of `ctest --show-only=json-v1` (cmake(1) "ctest --show-only", version 1 of its object model). Hostile text
// gives an error or what of it could be read.
Result<std::vector<CtestTest>> parse_show_only(const std::string& json);

// Fills result and last_run from Testing/Temporary/LastTest.log.
void read_log(const std::string& log, std::vector<CtestTest>& tests);

// Asks ctest for the tests in a build folder, with the selecting ones of `arguments`. Nothing is written into the folder.
// `since`: an older log is of another run.
Result<std::vector<CtestTest>> ask_ctest(const std::vector<std::string>& arguments,
                                         const std::string& build_folder,
                                         std::chrono::system_clock::time_point since);

// The tests that `crash` may belong to: those whose command is that of the outermost process below ctest that has one. More than one when they have all the same command and folder.
std::vector<const CtestTest*> tests_of(const RawCrash& crash, const std::vector<CtestTest>& tests);

}  // namespace crashcrawler
