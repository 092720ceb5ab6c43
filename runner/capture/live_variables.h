// Global variables of a stopped process, by name, and its environment as its program sees it now.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/capture/process_memory.h"

namespace crashcrawler {

// The runtime address of the variable where the first of the loaded objects defines it. `auxv`: that of the process
// (proc_pid_auxv(5)). 0: a static or 32-bit program, or nobody has it: there is no way to find it.
uint64_t find_variable(const ProcessMemory& memory, std::string_view auxv, std::string_view name);

// The variables ("NAME=value", cut at `most` bytes) that the C library's `environ` leads to. nullopt: it was not found.
std::optional<std::vector<std::string>> live_environment(const ProcessMemory& memory,
                                                         std::string_view auxv, size_t most);

}  // namespace crashcrawler
