// Walks one stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/model/raw_crash.h"
#include "runner/unwind/address_space.h"
#include "runner/unwind/modules.h"

namespace crashcrawler {

struct WalkedFrame {
  uint64_t pc = 0;
  uint64_t lookup = 0;  // an address inside the instruction that the frame stands in: what to ask
                        // the symbol table for
  Trust trust = Trust::context;
  bool signal_frame = false;
  std::shared_ptr<const Interrupted> interrupted;  // see Frame
};

struct StackWalk {
  std::vector<WalkedFrame> frames;  // top first, never empty
  uint64_t elided_frames = 0;       // between frames[elided_after - 1] and frames[elided_after]
  size_t elided_after = 0;
  std::string stop_reason;
  std::vector<std::string> soft_errors;
};

// At most `most_frames` frames are kept (one at least), half of them from each end. `behind`: how many bytes the program counter stands behind the instruction that
// stopped the thread; 1 after int3, which is a trap: it is reported when the instruction is done.
StackWalk walk_stack(const RawThread& thread, Architecture architecture, uint64_t stack_start,
                     const ModuleMap& modules, const AddressSpace& memory, size_t most_frames,
                     uint64_t behind = 0);

}  // namespace crashcrawler
