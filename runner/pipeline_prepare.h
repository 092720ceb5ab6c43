// What a run is before anything of it has begun.
#pragma once

#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/capture/crash_source.h"
#include "runner/capture/recording.h"
#include "runner/main/options.h"
#include "runner/model/expect_rule.h"
#include "runner/model/session.h"

namespace crashcrawler {

struct Run {
  RunOptions options;
  Circumstances circumstances;
  std::vector<ExpectRule> rules;
  Session session;         // the command that will run, and all that is known before it does
  std::string executable;  // its path; empty: there is no command
  std::string attached;    // the cgroup of others that is watched; empty: none
  Recording recording;
};

// From here on we are the user on whose behalf we are root, if we are that; otherwise nothing happens.
Result<void> become_user_of(const RunOptions& options);

// Everything up to the command's start, as the user sees it: reads what the options name, and makes the output folder. Error:
// what is wrong with them.
Result<Run> prepare_run(RunOptions options, const Circumstances& circumstances);

// The rules of --expect and those in the files of --expect-file. Error: which file cannot be read, or what is wrong where.
Result<std::vector<ExpectRule>> expect_rules_of(const RunOptions& options);

}  // namespace crashcrawler
