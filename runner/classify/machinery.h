// The functions that turn a failed check into a signal.
#pragma once

#include <string_view>

namespace crashcrawler {

// Whether a normalised name belongs to the way from "this must not happen" to the signal, in glibc,
// musl, libstdc++, libc++abi, libgcc or Rust's std: of no interest to who looks for the failed
// check.
bool is_raising_machinery(std::string_view name);

}  // namespace crashcrawler
