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

// A few lines of a source file.
struct SourceText {
  int first_line = 0;
  std::vector<std::string> lines;   // as they are in the file, long ones cut
  bool newer_than_program = false;  // the file was written after the module that names it
};

struct SourceLocation {
  std::string
      file;      // as the debug information names it, made absolute with its compilation directory
  int line = 0;  // 0: unknown
  int column = 0;
  std::shared_ptr<const SourceText> text;  // the lines around it; null: not read
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

struct Instruction {
  uint64_t address = 0;
  std::string bytes;  // as they were in memory
  std::string text;   // "mov dword ptr [rax], 3"; empty: they are no instruction
};

// Memory that an instruction names as an operand.
struct MemoryAccess {
  uint64_t address = 0, size = 0;
  bool reads = false, writes = false;
};

// The instruction at which execution stood, and its neighbours.
struct Disassembly {
  std::vector<Instruction> instructions;  // ascending, without a gap
  size_t current = 0;                     // index of the one that was being executed
  std::vector<MemoryAccess> accesses;     // of that one, as far as they are certain
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
  std::shared_ptr<const Disassembly>
      disassembly;      // of a frame that a fault interrupted; null: no code, or no fault
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
