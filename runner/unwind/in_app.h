// Whose code is a frame: the program's under test, or a system package's?
#pragma once

#include <string>
#include <vector>

#include "runner/model/backtrace.h"

namespace crashcrawler {

class AppFilter {
 public:
  // `directories` hold the program's own files and sources; `executable` is the path of the
  // program.
  AppFilter(const std::vector<std::string>& directories, const std::string& executable);

  // `module` may be null.
  bool in_app(const Frame& frame, const Module* module) const;

 private:
  const std::vector<std::string>& directories_;
  std::string executable_;  // empty when it is a system program
};

}  // namespace crashcrawler
