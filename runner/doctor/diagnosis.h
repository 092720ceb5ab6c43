// From findings and trials to one sentence, an exit status, and what to do.
#pragma once

#include <string>
#include <vector>

#include "runner/doctor/finding.h"
#include "runner/doctor/place.h"
#include "runner/doctor/world.h"

namespace crashcrawler {

enum class Capture { bpf, bpf_without_cgroup, ptrace, none };

// 0: full capture. 1: captured, but something of the findings is not ok. 2: crashcrawler-run captures nothing here, or
// does not start the command.
struct Diagnosis {
  Place place = Place::plain;
  Capture capture = Capture::none;
  int exit_status = 2;
  std::string verdict;              // one sentence
  std::vector<Finding> findings;    // in the order of kChecks; the last is the trial
  std::vector<Need> needs;          // of those that matter
  std::vector<std::string> lines;   // that mend it in this place
  std::vector<std::string> advice;  // for what no line of this place mends
};

// The trials overrule the findings of their part.
Diagnosis diagnose(const World& world, Place place, std::vector<Finding> findings,
                   const Trials& trials);

// "bpf", "bpf-without-cgroup", "ptrace", "none".
const char* name_of(Capture capture);

// "ok", "limited", "missing".
const char* name_of(State state);

}  // namespace crashcrawler
