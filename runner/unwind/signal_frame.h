// What the kernel leaves on the stack for a signal handler to return to.
#pragma once

#include <cstdint>
#include <optional>

#include "runner/model/backtrace.h"
#include "runner/unwind/address_space.h"

namespace crashcrawler {

// Whether a frame with these registers is that of a restorer: the code that handlers return to, which is a system call
// and nothing else.
bool is_restorer(Architecture architecture, uint64_t pc, uint64_t sp, const AddressSpace& memory);

// The signal frame that a restorer with this stack pointer would return from. `dead`: the registers of the thread when
// it died, for those that are not in the frame. Nothing: it was not captured.
std::optional<Interrupted> read_signal_frame(Architecture architecture, uint64_t sp,
                                             const Registers& dead, const AddressSpace& memory);

}  // namespace crashcrawler
