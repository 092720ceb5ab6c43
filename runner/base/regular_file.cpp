#include "runner/base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/base/nanoseconds.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {

std::optional<RegularFile> read_regular_file(const std::string& path, size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<size_t>(status.st_size) > limit) {
    return std::nullopt;
  }
  RegularFile file;
  file.modified_ns = nanoseconds(status.st_mtim);
  file.bytes.resize(static_cast<size_t>(status.st_size));
  size_t size = 0;
  while (size < file.bytes.size()) {
    const ssize_t got = ::read(fd.get(), file.bytes.data() + size, file.bytes.size() - size);
    if (got <= 0) {
      break;
    }
    size += static_cast<size_t>(got);
  }
  file.bytes.resize(size);
  return file;
}

}  // namespace crashcrawler
