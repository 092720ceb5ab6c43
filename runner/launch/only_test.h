// --only: a command that runs many tests, told to run one.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/model/run.h"

namespace crashcrawler {

// Adds what makes ctest, pytest or a GoogleTest program (`executable`: the file that arguments[0] means) run `test` alone:
//   ctest       -R ^TEST$, with what a regular expression of CMake means something else by quoted
//   pytest      FILE::TEST in place of the files and folders that were named, or -k TEST
//   GoogleTest  --gtest_filter=TEST
// Error: the command is none of these, or `test` cannot be written so that it means one test.
Result<void> run_only(const std::string& test, const std::string& executable, Command& command);

}  // namespace crashcrawler
