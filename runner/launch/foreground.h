// A program that is started with our terminal and waited for, as a shell does it.
#pragma once

#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/inherited.h"

namespace crashcrawler {

struct ForegroundProgram {
  std::vector<std::string> arguments;  // arguments[0]: a path, or a name that PATH of ours leads to
  std::string directory;               // empty: ours
  Inherited inherited;  // set in it: variables are added to ours, soft limits as far as is allowed
};

struct ForegroundEnd {
  int status = 0;          // of exit(3); 128+N: signal N ended it
  int interrupted_by = 0;  // a signal that was meant to end us meanwhile; 0: none
};

// Runs it to its end. SIGTERM and SIGHUP are handed on to it, SIGINT and SIGQUIT unless they came from the terminal, which sends them
// to both; they do not end us. Error: it cannot be started (126, 127).
Result<ForegroundEnd> run_in_foreground(const ForegroundProgram& program);

}  // namespace crashcrawler
