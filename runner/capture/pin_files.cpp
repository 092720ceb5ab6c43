// Which file was it? A path alone says little: by the time we open it another file may lie there, and in another mount
// namespace another file always may. So what is opened is accepted only if it is the mapped file: the same inode on the
// same device. Of overlayfs and btrfs the inode alone is compared: they show another device through stat(2) than the
// kernel has in the mapping (Documentation/filesystems/overlayfs.rst). That test keeps every guess honest, so of a
// process in another mount namespace these are tried, until one is the file:
//
//  1. its path, through the root directory that the probe has opened for us, which it does for containers outside of the
//     command's tree; else its own, if it still has one; else that of a process that lives in its namespace; where nobody
//     does, through our own root;
//  2. its place in its file system, through every mount of ours that shows this part of it. What such a process runs
//     was mostly bind-mounted from where we see it too, and a container's layers are folders of the host;
//  3. if we live on an overlayfs ourselves, the folders of its layers are out of sight, but what is below them is not:
//     the ends of that place, through our overlays.
//
// The same inode can have other bytes by now. A file that is written over in place shows that by its times: what was
// written after the death was not what ran. What was written while the process lived may have been mapped before or
// after; if nobody has read the file since (relatime keeps that much, mount(8)), the mapping is the older of the two.
// A file that other processes have read meanwhile, or one on a mount that keeps no access times, is believed; so is what
// happens within one tick of the kernel, the grain of file times.
//
// Root directories are opened together with the files: whose package a file is, is asked in the root that the process
// had, at the end of the run, when a container may be gone. In one namespace processes may have several roots (chroot(2)),
// so that of another is taken only if a file of ours lies in it at its path. Where none is left, which happens to
// the last process of a namespace in the command's tree, as soon as it is dead, that is noted. Nothing can be held before:
// while somebody has the root open its file systems stay mounted, and a test that unmounts or detaches what is below them
// would fail because of us; and in its last moments a process waits for nobody.
#include "runner/capture/pin_files.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <tuple>

#include "runner/base/file.h"
#include "runner/base/mount_info.h"
#include "runner/base/nanoseconds.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kLargestCopies = uint64_t{256} << 20;  // bytes of all copies together
constexpr const char* kElsewhere =
    "it lies in a mount namespace that could not be reached any more";

// Inode number of the mount namespace that `process` ("self", "4711") is in; 0: gone, or not ours to know.
uint64_t mount_namespace_of(const std::string& process) {
  struct stat status {};
  return ::stat(("/proc/" + process + "/ns/mnt").c_str(), &status) == 0 ? status.st_ino : 0;
}

// The root directory of a process, if it is in the mount namespace still. Invalid: it is not, or not ours to open.
UniqueFd root_in_namespace(uint32_t mount_namespace, const std::string& process) {
  UniqueFd root;
  if (mount_namespace_of(process) == mount_namespace) {
    root =
        UniqueFd(::open(("/proc/" + process + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  return root;
}

// All processes there are, those that may well be in the mount namespace of `crash` first.
std::vector<std::string> relatives_first(const RawCrash& crash) {
  std::vector<std::string> pids{std::to_string(crash.parent_pid)};
  for (const Ancestor& ancestor : crash.ancestors) {
    pids.push_back(std::to_string(ancestor.pid));
  }
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (std::isdigit(static_cast<unsigned char>(name.front())) != 0) {
      pids.push_back(name);
    }
  }
  return pids;
}

// Two directories with the same one show the same files.
using DirectoryPlace = std::tuple<uint32_t, uint32_t, uint64_t, uint64_t>;

DirectoryPlace place_of_directory(int fd) {
  struct statx status {};
  ::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &status);
  return {status.stx_dev_major, status.stx_dev_minor, status.stx_ino, status.stx_mnt_id};
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

// Whether a read of the file behind `fd`, since it was last written, would have left a later access time than that.
bool keeps_access_times(int fd) {
  struct statvfs mount {};
  struct statfs system {};
  if (::fstatvfs(fd, &mount) != 0 || (mount.f_flag & (ST_NOATIME | ST_RDONLY)) != 0 ||
      ::fstatfs(fd, &system) != 0) {
    return false;
  }
  constexpr std::array<int64_t, 6> kLocal{EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,
                                          BTRFS_SUPER_MAGIC,     TMPFS_MAGIC,
                                          OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
  return std::ranges::find(kLocal, int64_t{system.f_type}) != kLocal.end();
}

// Why the bytes of the file cannot be those that were mapped, though it is the same inode; empty: they may well be.
std::string written_over(const struct stat& file, int fd, const Mapping& mapping,
                         const RawCrash& crash) {
  if (mapping.file_offset + (mapping.end - mapping.start) >
      (static_cast<uint64_t>(file.st_size) + kPage - 1) / kPage * kPage) {
    return "it is shorter now than what was mapped of it";
  }
  // utimensat(2) can set the one, and rename(2), link(2) and chmod(2) change the other
  const int64_t written = std::min(nanoseconds(file.st_mtim), nanoseconds(file.st_ctim));
  if (crash.time != std::chrono::system_clock::time_point() && written > nanoseconds(crash.time)) {
    return "it was written to after the process had died";
  }
  const bool while_it_lived = crash.started != std::chrono::system_clock::time_point() &&
                              written > nanoseconds(crash.started);
  if (while_it_lived && nanoseconds(file.st_atim) < nanoseconds(file.st_mtim) &&
      keeps_access_times(fd)) {
    return "it was written to after it had been mapped";
  }
  return "";
}

PinnedFile accept_mapped(UniqueFd fd, const Mapping& mapping, bool elsewhere) {
  PinnedFile pinned;
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    pinned.vanished = !elsewhere && (errno == ENOENT || errno == ENOTDIR);
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

// Takes the `tail` away from the end of `path`; "/" when nothing is left. None: it does not end so.
std::optional<std::string> without_tail(const std::string& path, const std::string& tail) {
  if (!path.ends_with(tail)) {
    return std::nullopt;
  }
  return path.size() == tail.size() ? "/" : path.substr(0, path.size() - tail.size());
}

// The files of one crash. What it needs to know of the machine is asked when it is needed: mostly it is not.
class Opener {
 public:
  Opener(const RawCrash& crash, const PinnedFiles& known, const std::map<uint32_t, UniqueFd>& roots)
      : crash_(crash),
        known_(known),
        roots_(roots),
        same_namespace_(crash.mount_namespace == 0 ||
                        crash.mount_namespace == mount_namespace_of("self")) {}

  PinnedFile open(const Mapping& mapping) {
    if (!same_namespace_ && !looked_) {
      root_ = find_root();
      looked_ = true;
    }
    PinnedFile pinned =
        accept_mapped(open_below(root_, mapping.path), mapping, !same_namespace_ && !root_);
    if (!pinned.fd) {
      for (const std::string& path : ways_to(mapping)) {
        PinnedFile found = accept_mapped(open_below({}, path), mapping, true);
        if (found.fd) {
          const std::optional<std::string> root = without_tail(path, mapping.path);
          found.root = root_at(root.value_or("/"));
          found.path_in_root = root ? mapping.path : path;
          found.root_is_gone = !root_;
          return found;
        }
      }
    }
    name_in_root(mapping, pinned);
    return pinned;
  }

  bool sees_same_files() const { return same_namespace_; }

 private:
  // Of the namespace of the crash, so that its paths mean something there. Invalid: there is none any more.
  UniqueFd find_root() const {
    if (const auto opened = roots_.find(crash_.mount_namespace);
        opened != roots_.end() && shows_a_file(opened->second)) {
      return UniqueFd(::fcntl(opened->second.get(), F_DUPFD_CLOEXEC, 0));
    }
    UniqueFd own = root_in_namespace(crash_.mount_namespace, std::to_string(crash_.pid));
    if (own && shows_a_file(own)) {
      return own;
    }
    std::set<DirectoryPlace> seen;
    for (const std::string& process : relatives_first(crash_)) {
      UniqueFd root = root_in_namespace(crash_.mount_namespace, process);
      if (root && seen.insert(place_of_directory(root.get())).second && shows_a_file(root)) {
        return root;
      }
    }
    return own;
  }

  // Whether a mapped file lies at its path below `root`.
  bool shows_a_file(const UniqueFd& root) const {
    return std::ranges::any_of(crash_.mappings, [&](const Mapping& mapping) {
      return mapping.executable && !mapping.path.empty() &&
             accept_mapped(open_below(root, mapping.path), mapping, true).fd;
    });
  }

  void name_in_root(const Mapping& mapping, PinnedFile& pinned) {
    pinned.path_in_root = mapping.path;
    if (!same_namespace_ && root_) {
      pinned.root = share(UniqueFd(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0)),
                          "mnt:[" + std::to_string(crash_.mount_namespace) + "]");
      if (pinned.fd && accept_mapped(open_below({}, mapping.path), mapping, true).fd) {
        pinned.ours = our_root();
      }
    } else if (same_namespace_ && crash_.root_directory.size() > 1 &&
               mapping.path.starts_with(crash_.root_directory + "/")) {
      pinned.root = root_at(crash_.root_directory);
      pinned.path_in_root = mapping.path.substr(crash_.root_directory.size());
      pinned.root_is_gone = !pinned.root;
    } else if (same_namespace_ || pinned.fd) {
      pinned.root = root_at("/");
      pinned.root_is_gone = !same_namespace_;
    } else {
      pinned.root_is_gone = true;
    }
  }

  std::shared_ptr<const RootDirectory> our_root() {
    if (!our_root_) {
      our_root_ = root_at("/");
    }
    return our_root_;
  }

  std::shared_ptr<const RootDirectory> root_at(const std::string& path) {
    return share(UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), path);
  }

  // The one of this run that is the same directory, so that each is held open once. Null: `fd` is invalid.
  std::shared_ptr<const RootDirectory> share(UniqueFd fd, const std::string& name) {
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) {
      return nullptr;
    }
    const auto is_same = [&](const std::shared_ptr<const RootDirectory>& root) {
      struct stat other {};
      return root && root->name == name && ::fstat(root->fd.get(), &other) == 0 &&
             other.st_ino == status.st_ino && other.st_dev == status.st_dev;
    };
    if (is_same(last_root_)) {
      return last_root_;
    }
    for (const auto& [key, file] : known_) {
      for (const std::shared_ptr<const RootDirectory>& known : {file.root, file.ours}) {
        if (known != last_root_ && is_same(known)) {
          return last_root_ = known;
        }
      }
    }
    auto root = std::make_shared<RootDirectory>();
    root->fd = std::move(fd);
    root->name = name;
    root->is_ours = name == "/";
    return last_root_ = std::move(root);
  }

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
  const PinnedFiles& known_;
  const std::map<uint32_t, UniqueFd>& roots_;
  bool same_namespace_;
  bool looked_ = false;
  UniqueFd root_;  // of somebody who lives in its namespace; invalid: nobody does
  std::vector<Mount> mounts_;
  std::shared_ptr<const RootDirectory> last_root_, our_root_;
};

// A copy stays what it was; whether the file is still the same is asked of what lies at its path.
bool was_written_to(const FileKey& key, const PinnedFile& file) {
  struct stat status {};
  if (file.copied > 0) {
    return ::stat(key.path.c_str(), &status) == 0 && status.st_ino == key.inode &&
           nanoseconds(status.st_mtim) != key.modified_ns;
  }
  return file.fd && ::fstat(file.fd.get(), &status) == 0 &&
         nanoseconds(status.st_mtim) != key.modified_ns;
}

bool is_on_one_of(const std::set<uint64_t>& mounts, int fd) {
  struct statx status {};
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0 ||
         (status.stx_mask & STATX_MNT_ID) == 0 || mounts.contains(status.stx_mnt_id);
}

// In place of the file, if there is room for `size` bytes.
void keep_as_copy(PinnedFile& file, uint64_t size, const PinnedFiles& files) {
  uint64_t kept = size;
  for (const auto& [key, other] : files) {
    kept += other.copied;
  }
  if (size == 0 || kept > kLargestCopies) {
    return;
  }
  UniqueFd copy(::memfd_create("mapped file", MFD_CLOEXEC));
  off_t done = 0;
  while (copy && static_cast<uint64_t>(done) < size &&
         ::sendfile(copy.get(), file.fd.get(), &done, size - static_cast<uint64_t>(done)) > 0) {
  }
  if (copy && static_cast<uint64_t>(done) == size) {
    file.fd = std::move(copy);
    file.copied = size;
  }
}

// What is known of the file at this moment: invalid when it was not opened yet, or has been written to since.
PinnedFiles::iterator newest(PinnedFiles& files, FileKey key) {
  key.modified_ns = std::numeric_limits<int64_t>::max();
  const auto after = files.upper_bound(key);
  if (after == files.begin()) {
    return files.end();
  }
  const auto found = std::prev(after);
  key.modified_ns = found->first.modified_ns;
  return found->first == key && !was_written_to(found->first, found->second) ? found : files.end();
}

}  // namespace

std::set<uint64_t> mounts_now() {
  std::set<uint64_t> ids;
  for (const Mount& mount : our_mounts()) {
    ids.insert(mount.id);
  }
  return ids;
}

void pin_files(RawCrash& crash, PinnedFiles& files, const std::set<uint64_t>& mounts_before,
               const std::map<uint32_t, UniqueFd>& roots) {
  Opener opener(crash, files, roots);
  std::map<FileKey, int64_t> modified;  // of the files of this crash
  for (const Mapping& mapping : crash.mappings) {
    const FileKey key = file_key(mapping);
    if (!mapping.executable || mapping.path.empty() || mapping.modified_ns != 0 ||
        modified.contains(key)) {
      continue;
    }
    auto pinned = newest(files, key);
    if (pinned == files.end() || pinned->second.root_is_gone) {
      PinnedFile file = opener.open(mapping);
      struct stat status {};
      FileKey now = key;
      if (file.fd && ::fstat(file.fd.get(), &status) == 0) {
        now.modified_ns = nanoseconds(status.st_mtim);
        if (opener.sees_same_files()) {
          file.error = written_over(status, file.fd.get(), mapping, crash);
          file.changed = !file.error.empty();
        }
      }
      if (file.changed) {
        file.fd.reset();
      } else if (file.fd && !is_on_one_of(mounts_before, file.fd.get())) {
        keep_as_copy(file, static_cast<uint64_t>(status.st_size), files);
      }
      if (pinned == files.end() || (!file.root_is_gone && (file.fd || !pinned->second.fd))) {
        pinned = files.insert_or_assign(now, std::move(file)).first;
      }
    }
    modified[key] = pinned->first.modified_ns;
  }
  // All mappings of a file name it the same way, those of its data too.
  for (Mapping& mapping : crash.mappings) {
    if (const auto known = modified.find(file_key(mapping)); known != modified.end()) {
      mapping.modified_ns = known->second;
    }
  }
}

void let_go_of_changed_files(PinnedFiles& files) {
  for (auto& [key, file] : files) {
    if (file.copied == 0 && was_written_to(key, file)) {
      file.fd.reset();
      file.changed = true;
      file.error = "it was written to after the process had died";
    }
  }
}

}  // namespace crashcrawler
