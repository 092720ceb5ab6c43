// What a static program of ours cannot ask libraries of the machine, it asks programs.
#pragma once

#include <string>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

// True when no dynamic linker has loaded us (AT_BASE of getauxval(3) is 0). Such a program must not load libraries, also
// not by way of the C library (nsswitch.conf(5)): they belong to another C library than the one that is in it.
bool is_static_program();

// What comes from `fd` until its end: the first `most` bytes. The rest is read, too, so that the writer never waits.
std::string read_until_end(int fd, size_t most);

struct ProgramOutput {
  int exit_status = 0;  // 127: there is no such program; 128+N: signal N ended it
  std::string text;     // the first 64 KiB of its standard output
};

// Runs `command` (found in PATH), with nothing on standard input and standard error thrown away, until it ends; it dies
// with the calling thread. Error: no pipe or no process to be had.
Result<ProgramOutput> output_of(const std::vector<std::string>& command);

// Runs it in the same way for the first line that it says on standard error. Empty: it says nothing, or could not be run.
std::string complaint_of(const std::vector<std::string>& command);

}  // namespace crashcrawler
