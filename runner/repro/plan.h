// What is to be done, as values: nothing here starts or reads anything.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runner/repro/recorded_crash.h"

namespace crashcrawler {

struct AttemptsToMake {
  int number = 1;
  bool until_same = false;  // no more than it takes to see the crash again
};

// `asked`: --repeat. Without it as many as bring a crash of the recorded rate back in 95 of 100 cases, at most 1,000; the rate is
// taken at the lower end of its interval, because one that ended with its first crash looks more frequent than it is.
AttemptsToMake attempts_to_make(const RecordedCrash& crash, std::optional<int> asked);

// The arguments of crashcrawler-run that run the command of `crash` again, with reports in `output`; those of the
// command last.
std::vector<std::string> wrapper_arguments(const RecordedCrash& crash,
                                           const AttemptsToMake& attempts,
                                           const std::string& output);

// The build-id of the file at a path now: "" when it has none, none when there is no such file.
using BuildIdOf = std::function<std::optional<std::string>(const std::string& path)>;

struct FilesNow {
  std::string program_problem;      // in words; empty: the program is the one that crashed
  bool program_is_missing = false;  // then that is the problem
  std::vector<std::string> others;  // one line for each other file that is not the one it was
};

FilesNow compare_files(const RecordedCrash& crash, const BuildIdOf& build_id_of);

}  // namespace crashcrawler
