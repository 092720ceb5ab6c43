// The programs in programs/, and crashes of them.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/unwind/unwind.h"
#include "tests/support/live_snapshot.h"

namespace crashcrawler::tests {

std::string program(const std::string& name);

// The number of the line of programs/`file` that says "MARK: `mark`".
int marked_line(const std::string& file, const std::string& mark);

std::string source(const std::string& file);

// A crash of programs/`name` run with `argument`. A failure of the current test when the program does not come so far.
LiveSnapshot crash_of(const std::string& name, const std::string& argument, int signal = SIGSEGV,
                      size_t stack_bytes = 65536);

// Its backtrace, through the stage's public interface.
Backtrace backtrace_of(const LiveSnapshot& snapshot, const UnwindLimits& limits = {});

const Frame* frame_of(const ThreadBacktrace& thread, const std::string& function);

// For failure messages: one line per frame.
std::string to_text(const Backtrace& backtrace);

// A folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace crashcrawler::tests
