// What the registers of the crashed thread point to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runner/model/crash_report.h"

namespace crashcrawler {

// Copies what registers point to in captured stacks to RawCrash::memory, before the stacks are let go.
void keep_memory_of_registers(CrashReport& report);

// A piece of RawCrash::memory and the registers of the crashed thread that point into it.
struct PointedMemory {
  const MemoryRange* memory = nullptr;
  std::vector<const char*> registers;
};

// Those that a register points into, ascending.
std::vector<PointedMemory> pointed_memory(const CrashReport& report);

// The kept bytes at `address`, at most `most`; empty: none.
std::string_view bytes_at(const RawCrash& raw, uint64_t address, size_t most);

}  // namespace crashcrawler
