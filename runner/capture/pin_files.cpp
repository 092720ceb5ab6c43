// Which file was it? A path alone says little: by the time we open it another file may lie there, and in another mount
// namespace another file always may. So the path is opened where the dead process saw it, through the root directory of
// a process that still lives in its namespace, and what is opened is accepted only if it is the mapped file: the same
// inode on the same device. Of overlayfs and btrfs the inode alone is compared: they show another device through
// stat(2) than the kernel has in the mapping (Documentation/filesystems/overlayfs.rst). Where nobody lives in the
// namespace any more our own root is tried; the comparison keeps that honest.
#include "runner/capture/pin_files.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "runner/base/file.h"

namespace crashcrawler {
namespace {

constexpr const char* kElsewhere =
    "it lies in a mount namespace that could not be reached any more";

// Inode number of the mount namespace that `process` ("self", "4711") is in; 0: gone, or not ours to know.
uint64_t mount_namespace_of(const std::string& process) {
  struct stat status {};
  return ::stat(("/proc/" + process + "/ns/mnt").c_str(), &status) == 0 ? status.st_ino : 0;
}

// The root directory of a process that lives in the mount namespace, its relatives first. Invalid: nobody does, or none
// whose root we may open.
UniqueFd root_in_namespace(const RawCrash& crash) {
  const auto root_of = [&](const std::string& process) {
    UniqueFd root;
    if (mount_namespace_of(process) == crash.mount_namespace) {
      root = UniqueFd(
          ::open(("/proc/" + process + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    return root;
  };
  std::vector<std::string> relatives{std::to_string(crash.parent_pid)};
  for (const Ancestor& ancestor : crash.ancestors) {
    relatives.push_back(std::to_string(ancestor.pid));
  }
  for (const std::string& relative : relatives) {
    if (UniqueFd root = root_of(relative)) {
      return root;
    }
  }
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (std::isdigit(static_cast<unsigned char>(name.front())) != 0) {
      if (UniqueFd root = root_of(name)) {
        return root;
      }
    }
  }
  return {};
}

UniqueFd open_below(const UniqueFd& root, const std::string& path) {
  constexpr uint64_t kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  if (!root) {
    return UniqueFd(::open(path.c_str(), static_cast<int>(kFlags)));
  }
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_IN_ROOT;
  return UniqueFd(
      static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
}

bool shows_its_device(int fd) {
  struct statfs system {};
  return ::fstatfs(fd, &system) != 0 ||
         (system.f_type != OVERLAYFS_SUPER_MAGIC && system.f_type != BTRFS_SUPER_MAGIC);
}

PinnedFile open_mapped(const FileKey& key, const UniqueFd& root, bool elsewhere) {
  PinnedFile pinned;
  UniqueFd fd = open_below(root, key.path);
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    pinned.error = elsewhere ? kElsewhere : std::strerror(errno);
    return pinned;
  }
  const bool same_device =
      !shows_its_device(fd.get()) || status.st_dev == ::makedev(key.device_major, key.device_minor);
  if (status.st_ino != key.inode || !same_device) {
    pinned.changed = !elsewhere;
    pinned.error = elsewhere ? kElsewhere : "another file lies there now";
    return pinned;
  }
  if (!S_ISREG(status.st_mode)) {
    pinned.error = "not a regular file";
    return pinned;
  }
  pinned.fd = std::move(fd);
  return pinned;
}

}  // namespace

void pin_files(const RawCrash& crash, PinnedFiles& files) {
  const bool same_namespace =
      crash.mount_namespace == 0 || crash.mount_namespace == mount_namespace_of("self");
  UniqueFd root;
  bool looked = same_namespace;
  for (const Mapping& mapping : crash.mappings) {
    if (!mapping.executable || mapping.path.empty()) {
      continue;
    }
    const FileKey key = file_key(mapping);
    if (files.contains(key)) {
      continue;
    }
    if (!looked) {
      root = root_in_namespace(crash);
      looked = true;
    }
    files.emplace(key, open_mapped(key, root, !same_namespace && !root));
  }
}

}  // namespace crashcrawler
