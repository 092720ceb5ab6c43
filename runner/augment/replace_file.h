// Files of somebody else, read and replaced without harm: what is not an ordinary file that we may change is refused.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <optional>
#include <string>

#include "runner/base/result.h"

namespace crashcrawler {

constexpr const char* kOriginalSuffix = ".crashcrawler-orig";

struct OriginalFile {
  std::string bytes;
  struct stat status {};
};

// A regular file with one name, writable by somebody, of at most 32 MiB, read without following a symbolic link.
// Error: which of these it is not. nullopt: there is none.
Result<std::optional<OriginalFile>> read_original(const std::string& path);

// Whether it was written after `time`, as far as the file system's clock tells.
bool is_newer(const struct stat& status, std::chrono::system_clock::time_point time);

// Puts `bytes` in the place of `original`, with its mode and owner, which stays beside it as NAME.crashcrawler-orig. A
// reader sees the old or the new one. Error: it has changed since it was read, or the folder does not permit it;
// then everything is as it was.
Result<void> replace_file(const std::string& path, const OriginalFile& original,
                          const std::string& bytes);

// A new file, with the folders above it; an error when there is one of that name.
Result<void> create_file(const std::string& path, const std::string& bytes);

}  // namespace crashcrawler
