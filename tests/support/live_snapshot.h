// A crash as the collector would deliver it, without the collector: a program runs under ptrace
// until one of its threads gets a certain signal, and its registers, stacks and memory map become a
// RawCrash. Needs no privileges.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler::tests {

struct LiveSnapshot {
  RawCrash crash;
  PinnedFiles files;
};

// Runs arguments[0] until `signal` is about to be delivered; other signals reach the program. It is
// killed afterwards. At most `stack_bytes` are taken of each thread's stack.
Result<LiveSnapshot> snapshot_at_signal(const std::vector<std::string>& arguments, int signal,
                                        size_t stack_bytes = 65536);

}  // namespace crashcrawler::tests
