// The stacks of a dead process, resolved as far as its files allow.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/model/module.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// How a frame was found, best first.
enum class Trust { context, cfi, frame_pointer, scan };

struct SourceLocation {
  std::string
      file;      // as the debug information names it, made absolute with its compilation directory
  int line = 0;  // 0: unknown
  int column = 0;
};

// A function whose body the compiler copied into its caller.
struct InlinedFunction {
  std::string function;      // demangled
  std::string raw_function;  // linkage name
  SourceLocation location;   // where inside it execution stood
};

// What a thread was doing when a signal came, for whose handler the kernel wrote it onto the stack.
struct Interrupted {
  RawSignal signal;  // number 0: not known, which is the rule for handlers without SA_SIGINFO
  Registers registers;
};

struct Frame {
  Trust trust = Trust::context;
  uint64_t instruction_addr = 0;  // runtime address; for callers the return address itself
  std::optional<size_t> module;   // index into Backtrace::modules
  uint64_t module_offset =
      0;                 // instruction_addr - module.load_bias: the address `addr2line -e` takes
  std::string function;  // demangled; empty: unknown
  std::string raw_function;      // linkage name
  uint64_t function_offset = 0;  // instruction_addr - start of the function
  SourceLocation
      location;  // where inside `function`; the call of inlines.back() when there are inlines
  std::vector<InlinedFunction> inlines;            // innermost first
  bool signal_frame = false;                       // the kernel's signal trampoline
  std::shared_ptr<const Interrupted> interrupted;  // of a signal frame; null: it could not be read
  bool in_app = false;  // code of the program under test, not of a system package
};

struct ThreadBacktrace {
  pid_t tid = 0;
  std::string name;
  bool crashed = false;
  Registers registers;
  std::vector<Frame> frames;   // top first
  uint64_t elided_frames = 0;  // found but not kept, in the middle: below the first `elided_after`
  size_t elided_after = 0;     // of `frames`
  std::string stop_reason;     // "end of stack", "no memory at 0x...", ...
};

// Takes the first `count` of the listed frames off, and the elided ones when those lay above the new top.
inline void drop_top(ThreadBacktrace& thread, size_t count) {
  thread.frames.erase(thread.frames.begin(),
                      thread.frames.begin() + static_cast<std::ptrdiff_t>(count));
  if (count < thread.elided_after) {
    thread.elided_after -= count;
  } else {
    thread.elided_after = 0;
    thread.elided_frames = 0;
  }
}

struct Backtrace {
  std::vector<ThreadBacktrace> threads;  // the crashing one first
  std::vector<Module> modules;           // ascending by base
  std::vector<std::string> soft_errors;
};

}  // namespace crashcrawler
