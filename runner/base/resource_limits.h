// The limits of getrlimit(2) that change how a program runs, and how others call them.
#pragma once

#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace crashcrawler {

struct LimitKind {
  std::string_view
      name;  // as limits.conf(5) has it; that of docker run --ulimit, too, but for "as"
  __rlimit_resource resource;
  char letter;    // of ulimit in sh
  uint64_t unit;  // bytes that ulimit counts in; 1: no bytes
  std::optional<uint64_t> usual =
      {};  // the soft limit that most systems start with; none: unlimited
};

// Without RLIMIT_CORE, which crashcrawler-run sets itself, and RLIMIT_NPROC, which counts all processes of a user.
inline constexpr std::array<LimitKind, 7> kLimitKinds = {{
    {"as", RLIMIT_AS, 'v', 1024},
    {"cpu", RLIMIT_CPU, 't', 1},
    {"data", RLIMIT_DATA, 'd', 1024},
    {"fsize", RLIMIT_FSIZE, 'f', 512},
    {"memlock", RLIMIT_MEMLOCK, 'l', 1024, 8 << 20},
    {"nofile", RLIMIT_NOFILE, 'n', 1, 1024},
    {"stack", RLIMIT_STACK, 's', 1024, 8 << 20},
}};

}  // namespace crashcrawler
