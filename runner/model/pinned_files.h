// Files of dead processes, opened when the death arrived: a test may delete its program a moment
// later, but what is open stays readable.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "runner/base/unique_fd.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

struct FileKey {
  uint32_t device_major = 0, device_minor = 0;
  uint64_t inode = 0;
  std::string path;  // part of the key: overlay file systems show one inode of a lower layer under
                     // several devices

  auto operator<=>(const FileKey&) const = default;
};

inline FileKey file_key(const Mapping& mapping) {
  return {mapping.device_major, mapping.device_minor, mapping.inode, mapping.path};
}

struct PinnedFile {
  UniqueFd fd;        // read-only; invalid when it could not be opened
  std::string error;  // why not
  bool changed =
      false;  // another file than the mapped one lies at the path now (fd is then invalid)
};

using PinnedFiles = std::map<FileKey, PinnedFile>;

}  // namespace crashcrawler
