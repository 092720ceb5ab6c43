// Which JUnit files a process would have written, by its command line and environment.
#pragma once

#include <string>
#include <vector>

#include "runner/model/raw_crash.h"

namespace crashcrawler {

enum class Writer { ctest, googletest, catch2, doctest, boost_test, pytest };

struct ReportFile {
  Writer writer = Writer::ctest;
  std::string path;        // as the process was told: relative to `directory`, unless absolute
  std::string directory;   // ctest: --test-dir, may be empty; a relative `path` is below it
  bool in_folder = false;  // googletest: `path` is a folder, the file has the program's name
};

// Of a command line (arguments[0] is the program) and the variables of it that are known. Unknown options are nothing.
std::vector<ReportFile> report_files(const std::vector<std::string>& arguments,
                                     const std::vector<EnvironmentVariable>& environment);

}  // namespace crashcrawler
