// What the kernel leaves on the stack for a signal handler to return to.
#pragma once

#include <cstdint>
#include <optional>

#include "runner/model/backtrace.h"
#include "runner/unwind/address_space.h"

namespace crashcrawler {

// Whether the code at `pc` is what handlers return to: rt_sigreturn(2), without anything before it.
bool is_restorer(uint64_t pc, const AddressSpace& memory);

// The signal frame of a 64-bit process whose restorer is about to run with `sp`. `dead`: the registers of the thread
// when it died; segment bases are not in the frame. Nothing: it was not captured.
std::optional<Interrupted> read_signal_frame(uint64_t sp, const Registers& dead,
                                             const AddressSpace& memory);

}  // namespace crashcrawler
