// From one frame to its caller by call frame information.
#pragma once

#include <cstdint>
#include <string>

#include "runner/unwind/address_space.h"
#include "runner/unwind/elf_image.h"
#include "runner/unwind/register_set.h"

namespace crashcrawler {

struct CfiStep {
  enum class Outcome {
    caller,        // `registers` are the caller's
    end_of_stack,  // the table says that there is none
    no_table,      // no entry covers the address
    unreadable,    // the return address or what leads to it was at `address`, of which nothing was
                   // captured
    unusable,      // see `why`
  };

  Outcome outcome;
  RegisterSet registers;
  bool signal_frame = false;  // the frame stepped out of is the kernel's signal trampoline
  uint64_t cfa = 0;           // when it could be computed, else 0
  uint64_t address = 0;
  std::string why;
};

// `callee` are the registers of the frame to leave; `lookup` is the runtime address inside its call
// instruction (its pc - 1), or its pc when it was interrupted and did not call.
CfiStep step_by_cfi(ElfImage& image, uint64_t load_bias, uint64_t lookup, const RegisterSet& callee,
                    const AddressSpace& memory);

}  // namespace crashcrawler
