// Files of dead processes, opened when the death arrived: a test may delete its program a moment
// later, but what is open stays readable.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
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
  int64_t modified_ns = 0;  // Mapping::modified_ns: what is written over in place is another file

  auto operator<=>(const FileKey&) const = default;
};

inline FileKey file_key(const Mapping& mapping) {
  return {mapping.device_major, mapping.device_minor, mapping.inode, mapping.path,
          mapping.modified_ns};
}

// The root directory that a dead process had, or the best that could be had of it.
struct RootDirectory {
  UniqueFd fd;           // O_PATH
  std::string name;      // where it lies, as a person would look for it: "/", "/srv/chroot"
  bool is_ours = false;  // "/" of the wrapper itself
};

struct PinnedFile {
  UniqueFd fd;        // read-only; invalid when it could not be opened
  std::string error;  // why not
  bool changed =
      false;  // another file than the mapped one lies at the path now (fd is then invalid)
  bool vanished = false;  // nothing lies there any more

  // Where the file had its name, for whoever asks who put it there; null: not known.
  std::shared_ptr<const RootDirectory> root;
  std::string path_in_root;
  bool root_is_gone = false;  // that of its process; `root` is where the same file lies, too
  std::shared_ptr<const RootDirectory>
      ours;  // of another root: ours, if the same file has the same path there; else null

  uint64_t copied = 0;  // bytes, when `fd` is a copy in memory
};

using PinnedFiles = std::map<FileKey, PinnedFile>;

}  // namespace crashcrawler
