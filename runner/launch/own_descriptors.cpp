#include "runner/launch/own_descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace crashcrawler {

void close_own_descriptors(int keep) {
  std::vector<int> open;
  DIR* directory = ::opendir("/proc/self/fd");
  if (!directory) {
    return;
  }
  while (const dirent* entry = ::readdir(directory)) {
    const int fd = std::atoi(entry->d_name);  // 0 for . and ..
    if (fd > STDERR_FILENO && fd != keep && fd != ::dirfd(directory)) {
      open.push_back(fd);
    }
  }
  ::closedir(directory);
  for (const int fd : open) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) != 0) {
      ::close(fd);
    }
  }
}

}  // namespace crashcrawler
