// Sessions made by hand for the tests of the reports.
#pragma once

#include <string>
#include <vector>

#include "runner/model/session.h"

namespace crashcrawler {

inline constexpr const char* kDirectory = "/home/user/project";  // of the samples' command

// A run of `ctest` that exited with 8 after 5.25 s, on a healthy collector, without a crash.
Session quiet_session();

// null_write, SIGSEGV at address 0: two threads, inlined functions, three modules, one of them of a package.
CrashReport null_write(const std::string& id = "0001-null_write-SIGSEGV");

// recurse() 1000 deep in a stack of 8 MiB, the stack pointer below it.
CrashReport stack_overflow(const std::string& id = "0002-deep-SIGSEGV");

// abort() from check() through the C library.
CrashReport failed_check(const std::string& id = "0003-check-SIGABRT");

// All of these, null_write twice, and everything else a session can have: troubles, leftovers, a degraded collector.
Session busy_session();

// Everything in it that a crashed program could choose is as bad as it gets.
CrashReport hostile_crash(const std::string& id = "0004-hostile-SIGSEGV");

Frame frame(const std::string& function, const std::string& file, int line, size_t module = 0);

}  // namespace crashcrawler
