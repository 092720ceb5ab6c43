#include "runner/capture/pin_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "runner/base/file.h"

namespace crashcrawler {
namespace {

// The inode decides whether it is the mapped file. The device is not compared: overlay file systems
// and btrfs show another one through stat(2) than the kernel has in the mapping
// (Documentation/filesystems/overlayfs.rst).
PinnedFile open_mapped(const FileKey& key) {
  PinnedFile pinned;
  UniqueFd fd(::open(key.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    pinned.error = std::strerror(errno);
    return pinned;
  }
  if (!S_ISREG(status.st_mode)) {
    pinned.error = "not a regular file";
    return pinned;
  }
  if (status.st_ino != key.inode) {
    pinned.changed = true;
    pinned.error = "another file lies there now";
    return pinned;
  }
  pinned.fd = std::move(fd);
  return pinned;
}

}  // namespace

void pin_files(const RawCrash& crash, PinnedFiles& files) {
  for (const Mapping& mapping : crash.mappings) {
    if (!mapping.executable || mapping.path.empty()) {
      continue;
    }
    const FileKey key = file_key(mapping);
    if (!files.contains(key)) {
      files.emplace(key, open_mapped(key));
    }
  }
}

}  // namespace crashcrawler
