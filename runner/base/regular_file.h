// Files whose names come from debug information, which may say anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace crashcrawler {

struct RegularFile {
  std::string bytes;
  int64_t modified_ns = 0;  // since 1970
};

// All of the file at `path`. Nothing when it cannot be opened, is no regular file (a FIFO is not waited for), or has more
// than `limit` bytes.
std::optional<RegularFile> read_regular_file(const std::string& path, size_t limit);

}  // namespace crashcrawler
