// What lies where in the memory of a dead process, in words. Nothing is guessed: a mapping is a stack when the stack
// pointer of a thread is in it, the heap when the kernel had it between start_brk and brk; of the others only their
// size is known.
#pragma once

#include <cstdint>
#include <string>

#include "runner/model/crash_report.h"

namespace crashcrawler {

inline constexpr const char* kNoAccess = "memory without access rights";

// Of the mapping that holds `address`: "the stack of thread 12 (worker)", "libc.so.6+0x1d2cc0 (data)", "a 4096-byte
// heap mapping", "the guard page of the stack of thread 12 (worker)"; empty: none does. Printable.
std::string region_in_words(const CrashReport& report, uint64_t address);

// Of an address that cannot be accessed, the nearest memory less than 64 KiB away that can: "8 bytes past a 4096-byte
// heap mapping", "4 bytes before libfoo.so's data"; empty: there is none, or `address` can be accessed. Printable.
std::string neighbour_in_words(const CrashReport& report, uint64_t address);

}  // namespace crashcrawler
