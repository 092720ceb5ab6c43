// Stage 5: was this death a crash, and of what kind?
#pragma once

#include <string>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/model/crash_report.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Who is running the run: kills that come from us are nobody's crash.
struct Harness {
  pid_t wrapper = 0;
  pid_t probe = 0;
};

// False for the deaths that are none of our business, before any work goes into them: a signal that a process of the
// run sent to another on purpose, the terminal's, our own; and for an inner run that waits. The rules are in verdict.cpp.
bool may_be_crash(const RawCrash& death, const Harness& harness);

// Fills report.kind. For a fault that had gone to a handler that never returned, the fault becomes the crash: its
// signal, its registers and its stack, with what the process died of later in followed_by. False: it was no crash
// after all (the handler had returned, and the program exited non-zero for reasons of its own).
bool judge(CrashReport& report);

// Of what judge() has called no crash: why that is not sure, in a sentence; empty: it is sure.
std::string why_unclear(const RawCrash& raw);

// Takes out the deaths of processes that handed on how their child had died, by sending the same signal to themselves,
// as timeout(1), unshare(1) and strace(1) do. The child's report says so in relayed_by. Of all that judge() let pass.
void drop_relayed(std::vector<CrashReport>& reports);

}  // namespace crashcrawler
