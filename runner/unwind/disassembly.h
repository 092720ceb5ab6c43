// The instruction that a fault interrupted, with its neighbours, in words.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "runner/model/backtrace.h"
#include "runner/model/raw_crash.h"
#include "runner/unwind/address_space.h"

namespace crashcrawler {

// A place where execution stood.
struct CodePlace {
  uint64_t address = 0;                    // of the instruction, at run time
  std::optional<uint64_t> function_start;  // of the function around it
  Registers registers;                     // before the instruction
};

// The instruction at `place` and up to four on each side; null: its bytes are not known. What the collector kept of the
// memory goes before what `files` have: it is what was executed. Those before are decoded from the start of the
// function, which must be near, because nobody can tell where an instruction begins by looking backwards.
std::shared_ptr<const Disassembly> disassemble(const CodePlace& place, const RawCrash& crash,
                                               const AddressSpace& files);

}  // namespace crashcrawler
