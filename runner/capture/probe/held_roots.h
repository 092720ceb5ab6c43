// Mount namespaces of containers, kept alive for those who ask for files in them after their last process has died.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

#include "runner/base/unique_fd.h"

namespace crashcrawler {

class HeldRoots {
 public:
  // Holds the mount namespace with this inode number, which `pid` is in. One that is not ours to open, or gone, is left out,
  // and so is everything beyond a bound.
  void hold(pid_t pid, uint32_t mount_namespace);

  // Its root directory as it is by now (O_PATH), which takes entering it (setns(2), CAP_SYS_ADMIN). Invalid: it is not held,
  // or may not be entered.
  UniqueFd open_root(uint32_t mount_namespace) const;

 private:
  std::map<uint32_t, UniqueFd> namespaces_;
};

}  // namespace crashcrawler
