// Whether programs that are started from here lie at random addresses (personality(2)).
#pragma once

#include <sys/personality.h>

namespace crashcrawler {

// The process's own setting; there is one of the machine, too (randomize_va_space, proc(5)).
inline bool has_fixed_addresses() {
  constexpr unsigned long kAsk = 0xffffffff;
  const int persona = ::personality(kAsk);
  return persona >= 0 && (persona & ADDR_NO_RANDOMIZE) != 0;
}

// For a child before its exec; what is not allowed is left out. Async-signal-safe.
inline void fix_addresses() {
  constexpr unsigned long kAsk = 0xffffffff;
  ::personality(static_cast<unsigned long>(::personality(kAsk)) | ADDR_NO_RANDOMIZE);
}

}  // namespace crashcrawler
