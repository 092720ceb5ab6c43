#include "runner/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "runner/base/unique_fd.h"

namespace crashcrawler {

Result<std::string> read_file(const std::string& path, size_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return errno_error("cannot open " + path);
  }
  std::string bytes;
  char piece[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), piece, sizeof piece);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return errno_error("cannot read " + path);
    }
    if (got == 0) {
      return bytes;
    }
    bytes.append(piece, static_cast<size_t>(got));
    if (bytes.size() > limit) {
      return Error{path + " is larger than " + std::to_string(limit) + " bytes"};
    }
  }
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put < 0) {
      return errno_error("cannot write " + path);
    }
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Result<void> write_control_file(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) {
    return errno_error("cannot open " + path);
  }
  if (::write(fd.get(), text.data(), text.size()) < 0) {
    return errno_error("cannot write " + std::string(text) + " to " + path);
  }
  return {};
}

Result<void> write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode) {
  // A file without a name (open(2), O_TMPFILE) leaves nothing behind when we are killed over it.
  const std::string directory = path.substr(0, path.find_last_of('/') + 1);
  UniqueFd nameless(
      ::open(directory.empty() ? "." : directory.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, mode));
  if (nameless) {
    if (Result<void> written = write_all(nameless.get(), bytes, path); !written) {
      return written;
    }
    const std::string source = "/proc/self/fd/" + std::to_string(nameless.get());
    if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      return {};
    }
  }
  // There is a file already, or the file system has none without names. O_EXCL and O_NOFOLLOW: in a shared folder
  // nobody may have put a link in our way. What a killed run of the same pid left there is ours to take away.
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) {
    return errno_error("cannot create " + temporary);
  }
  Result<void> written = write_all(fd.get(), bytes, temporary);
  if (written &&
      ::close(fd.release()) != 0) {  // a full disk may show only here (close(2), NFS and quotas)
    written = errno_error("cannot write " + temporary);
  }
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = errno_error("cannot rename " + temporary + " to " + path);
  }
  if (!written) {
    ::unlink(temporary.c_str());
  }
  return written;
}

}  // namespace crashcrawler
