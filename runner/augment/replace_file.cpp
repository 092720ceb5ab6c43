#include "runner/augment/replace_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

constexpr off_t kLargestFile = off_t{32} << 20;

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// A file beside `path` that is gone unless keep() is called.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : name_(path + ".crashcrawler-" + std::to_string(::getpid())) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!name_.empty()) {
      ::unlink(name_.c_str());
    }
  }

  Result<void> write(const std::string& bytes, mode_t mode, const struct stat* owner) {
    ::unlink(name_.c_str());
    UniqueFd fd(::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd) {
      return errno_error("cannot be replaced: cannot create " + name_);
    }
    if (owner && (owner->st_uid != ::geteuid() || owner->st_gid != ::getegid()) &&
        ::fchown(fd.get(), owner->st_uid, owner->st_gid) != 0) {
      return errno_error("cannot be replaced: the new one cannot be given to its owner");
    }
    if (owner && ::fchmod(fd.get(), mode) != 0) {
      return errno_error("cannot be replaced: the new one cannot be given its mode");
    }
    if (Result<void> written = write_all(fd.get(), bytes, name_); !written) {
      return written;
    }
    if (::close(fd.release()) != 0) {
      return errno_error("cannot be replaced: cannot write " + name_);
    }
    return {};
  }

  const std::string& name() const { return name_; }
  void keep() { name_.clear(); }

 private:
  std::string name_;
};

// Another name for the original; where the file system has no links, a copy.
Result<void> keep_original(const std::string& path, const OriginalFile& original) {
  const std::string kept = path + kOriginalSuffix;
  if (::unlink(kept.c_str()) != 0 && errno != ENOENT) {
    return errno_error("cannot be kept as " + kept);
  }
  if (::link(path.c_str(), kept.c_str()) == 0) {
    return {};
  }
  return write_file_atomically(kept, original.bytes, original.status.st_mode & 07777);
}

}  // namespace

Result<std::optional<OriginalFile>> read_original(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return std::optional<OriginalFile>();
    }
    return errno == ELOOP ? Error{"is a symbolic link"} : errno_error("cannot be opened");
  }
  OriginalFile file;
  if (::fstat(fd.get(), &file.status) != 0) {
    return errno_error("cannot be read");
  }
  if (!S_ISREG(file.status.st_mode)) {
    return Error{"is no regular file"};
  }
  if ((file.status.st_mode & 0222) == 0 ||
      ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
    return Error{"may only be read"};
  }
  if (file.status.st_nlink != 1) {
    return Error{"has other names, which would keep the old content"};
  }
  if (file.status.st_size > kLargestFile) {
    return Error{"is larger than " + std::to_string(kLargestFile >> 20) + " MiB"};
  }
  file.bytes.resize(static_cast<size_t>(file.status.st_size));
  size_t done = 0;
  while (done < file.bytes.size()) {
    const ssize_t got = ::read(fd.get(), file.bytes.data() + done, file.bytes.size() - done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return got < 0 ? errno_error("cannot be read") : Error{"is being written to"};
    }
    done += static_cast<size_t>(got);
  }
  return std::optional(std::move(file));
}

bool is_newer(const struct stat& status, std::chrono::system_clock::time_point time) {
  // file systems take the time of the last timer tick (current_time(), fs/inode.c), at most 10 ms ago
  constexpr std::chrono::milliseconds kTick{20};
  const auto written = std::chrono::seconds(status.st_mtim.tv_sec) +
                       std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  return written + kTick >= time.time_since_epoch();
}

Result<void> replace_file(const std::string& path, const OriginalFile& original,
                          const std::string& bytes) {
  TemporaryFile temporary(path);
  Result<void> done = temporary.write(bytes, original.status.st_mode & 07777, &original.status);
  if (done) {
    struct stat now {};
    if (::lstat(path.c_str(), &now) != 0 || !is_same(now, original.status)) {
      return Error{"has changed while it was read"};
    }
    done = keep_original(path, original);
  }
  if (done && ::rename(temporary.name().c_str(), path.c_str()) != 0) {
    done = errno_error("cannot be replaced");
    ::unlink((path + kOriginalSuffix).c_str());
  }
  if (done) {
    temporary.keep();
  }
  return done;
}

Result<void> create_file(const std::string& path, const std::string& bytes) {
  std::error_code code;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), code);
  TemporaryFile temporary(path);
  if (Result<void> written = temporary.write(bytes, 0644, nullptr); !written) {
    return written;
  }
  if (::renameat2(AT_FDCWD, temporary.name().c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) !=
      0) {
    return errno_error("cannot be created");
  }
  temporary.keep();
  return {};
}

}  // namespace crashcrawler
