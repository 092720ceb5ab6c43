// The environment of a stopped process as its program sees it now.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/capture/stopped_process.h"

namespace crashcrawler {

// The variables ("NAME=value", cut at `most` bytes) that the C library's `environ` leads to. `auxv`: that of the
// process (proc_pid_auxv(5)). nullopt: a static or 32-bit program, or another library: there is no way to find it.
std::optional<std::vector<std::string>> live_environment(const StoppedProcess& process,
                                                         std::string_view auxv, size_t most);

}  // namespace crashcrawler
