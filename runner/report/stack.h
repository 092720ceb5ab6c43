// The crashed stack as a person reads it: one line for each function, inlined ones included.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runner/model/crash_report.h"

namespace crashcrawler {

// A function of a stack: that of a frame, or one inlined into it.
struct StackLine {
  size_t index = 0;  // of the frame in its thread
  const Frame* frame = nullptr;
  const InlinedFunction* inlined = nullptr;  // null: the frame's own function

  const std::string& function() const;  // the linkage name when there is no other; may be empty
  const SourceLocation& location() const { return inlined ? inlined->location : frame->location; }
};

// nullptr when no stack is known at all.
const ThreadBacktrace* crashed_thread(const Backtrace& backtrace);

std::vector<StackLine> stack_lines(const ThreadBacktrace& thread);

// The lines of the program's own code, top first: what the reader can change. Without the machinery
// that raised the signal and without headers of the system that were compiled into the program, as
// long as something remains.
std::vector<StackLine> own_lines(const CrashReport& report);

// The line a headline names: the first of own_lines(), else the first that is not raising
// machinery.
std::optional<StackLine> culprit(const CrashReport& report);

// "write_null(int*)", or module and offset without a name; printable.
std::string function_text(const StackLine& line, const Backtrace& backtrace);

// "src/null_write.cpp:12:3" as seen from `directory`, else "libc.so.6+0x1234"; empty when that is
// the function's text already or nothing is known. Printable.
std::string place_text(const StackLine& line, const Backtrace& backtrace,
                       const std::string& directory);

// "src/null_write.cpp:12", empty without line information; printable.
std::string file_and_line(const SourceLocation& location, const std::string& directory);

// Frames [first, first + length) are followed by `more` more turns of themselves, the last one
// perhaps unfinished: `skipped` frames in all. length 0: one frame, not repeated.
struct Fold {
  size_t first = 0, length = 0, skipped = 0;
};

// The frames of a thread with repeated cycles of up to four folded, when that saves more than a
// line or two.
std::vector<Fold> folded(std::span<const Frame> frames);

}  // namespace crashcrawler
