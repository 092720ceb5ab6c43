// Which file was it? A path alone says little: by the time we open it another file may lie there, and in another mount
// namespace another file always may. So what is opened is accepted only if it is the mapped file: the same inode on the
// same device. Of overlayfs and btrfs the inode alone is compared: they show another device through stat(2) than the
// kernel has in the mapping (Documentation/filesystems/overlayfs.rst). That test keeps every guess honest, so of a
// process in another mount namespace these are tried, until one is the file:
//
//  1. its path, through the root directory of a process that still lives in its namespace; where nobody does, through
//     our own root;
//  2. its place in its file system, through every mount of ours that shows this part of it. What such a process runs
//     was mostly bind-mounted from where we see it too, and a container's layers are folders of the host;
//  3. if we live on an overlayfs ourselves, the folders of its layers are out of sight, but what is below them is not:
//     the ends of that place, through our overlays.
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

#include "runner/base/file.h"
#include "runner/base/mount_info.h"

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

PinnedFile accept_mapped(UniqueFd fd, const Mapping& mapping, bool elsewhere) {
  PinnedFile pinned;
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    pinned.error = elsewhere ? kElsewhere : std::strerror(errno);
    return pinned;
  }
  const bool same_device = !shows_its_device(fd.get()) ||
                           status.st_dev == ::makedev(mapping.device_major, mapping.device_minor);
  if (status.st_ino != mapping.inode || !same_device) {
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

std::vector<Mount> our_mounts() {
  const Result<std::string> mountinfo = read_file("/proc/self/mountinfo");
  return mountinfo ? mounts_of(*mountinfo) : std::vector<Mount>();
}

// The files of one crash. What it needs to know of the machine is asked when it is needed: mostly it is not.
class Opener {
 public:
  explicit Opener(const RawCrash& crash)
      : crash_(crash),
        same_namespace_(crash.mount_namespace == 0 ||
                        crash.mount_namespace == mount_namespace_of("self")) {}

  PinnedFile open(const Mapping& mapping) {
    if (!same_namespace_ && !looked_) {
      root_ = root_in_namespace(crash_);
      looked_ = true;
    }
    PinnedFile pinned =
        accept_mapped(open_below(root_, mapping.path), mapping, !same_namespace_ && !root_);
    if (!pinned.fd) {
      for (const std::string& path : ways_to(mapping)) {
        PinnedFile found = accept_mapped(open_below({}, path), mapping, true);
        if (found.fd) {
          return found;
        }
      }
    }
    return pinned;
  }

 private:
  // Where our mounts show it, or may show it.
  std::vector<std::string> ways_to(const Mapping& mapping) {
    std::vector<std::string> paths;
    if (mounts_.empty() && !mapping.in_file_systems.empty()) {
      mounts_ = our_mounts();
    }
    const auto add = [&](const Mount& mount, const std::string& path) {
      if (auto way = path_through(mount, path)) {
        paths.push_back(std::move(*way));
      }
    };
    for (const PathInFileSystem& place : mapping.in_file_systems) {
      for (const Mount& mount : mounts_) {
        if (mount.device_major == place.device_major && mount.device_minor == place.device_minor) {
          add(mount, place.path);
        }
      }
    }
    for (const PathInFileSystem& place : mapping.in_file_systems) {
      for (const Mount& mount : mounts_) {
        if (mount.type == "overlay") {
          for (size_t end = 0; end != std::string::npos; end = place.path.find('/', end + 1)) {
            add(mount, place.path.substr(end));
          }
        }
      }
    }
    return paths;
  }

  const RawCrash& crash_;
  bool same_namespace_;
  bool looked_ = false;
  UniqueFd root_;  // of somebody who lives in its namespace; invalid: nobody does
  std::vector<Mount> mounts_;
};

}  // namespace

void pin_files(const RawCrash& crash, PinnedFiles& files) {
  Opener opener(crash);
  for (const Mapping& mapping : crash.mappings) {
    if (!mapping.executable || mapping.path.empty()) {
      continue;
    }
    const FileKey key = file_key(mapping);
    if (!files.contains(key)) {
      files.emplace(key, opener.open(mapping));
    }
  }
}

}  // namespace crashcrawler
