#include "runner/attribute/root_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <memory>

namespace crashcrawler {
namespace {

constexpr size_t kMostBytes = size_t{1} << 30;  // of one root
constexpr size_t kMostNames = 200'000;  // a machine with everything has some 10,000 packages

}  // namespace

RootFiles::RootFiles(int root, std::string name)
    : root_(root), name_(std::move(name)), budget_(kMostBytes) {
  name_.resize(name_.find_last_not_of('/') + 1);
}

UniqueFd RootFiles::open(const std::string& path, int flags) const {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT;
  for (;;) {
    const long fd = ::syscall(SYS_openat2, root_, path.c_str(), &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) {  // EAGAIN: something was renamed meanwhile
      return UniqueFd(static_cast<int>(fd));
    }
  }
}

bool RootFiles::exists(const std::string& path) const {
  return static_cast<bool>(open(path, O_PATH));
}

Result<void> RootFiles::read(const std::string& path, size_t limit, std::string& buffer) {
  const UniqueFd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    return errno_error("cannot read " + name_of(path));
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{"cannot read " + name_of(path) + ": it is not a regular file"};
  }
  const auto size = static_cast<size_t>(status.st_size);
  if (size > limit || size > budget_) {
    return Error{"did not read " + name_of(path) + ": it has " + std::to_string(size) +
                 " bytes, more than " + std::to_string(std::min(limit, budget_)) +
                 " are not looked at"};
  }
  budget_ -= size;
  buffer.resize(size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t got = ::read(fd.get(), buffer.data() + filled, size - filled);
    if (got < 0 && errno != EINTR) {
      return errno_error("cannot read " + name_of(path));
    }
    if (got == 0) {
      break;
    }
    filled += got > 0 ? static_cast<size_t>(got) : 0;
  }
  buffer.resize(filled);
  return {};
}

Result<std::vector<std::string>> RootFiles::list(const std::string& path) const {
  UniqueFd fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
  if (!fd) {
    return errno_error("cannot open " + name_of(path));
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd.get()), ::closedir);
  if (!directory) {
    return errno_error("cannot list " + name_of(path));
  }
  fd.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (!entry) {
      break;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    if (names.size() == kMostNames) {
      return Error{"did not read " + name_of(path) + ": it has more than " +
                   std::to_string(kMostNames) + " entries"};
    }
    names.push_back(name);
  }
  if (errno != 0) {
    return errno_error("cannot list " + name_of(path));
  }
  return names;
}

}  // namespace crashcrawler
