// A container whose first process crashes is gone a moment later, its mounts with it: nobody could open its libraries or
// read its package database then. A namespace goes with its last process or the last descriptor of it
// (mount_namespaces(7)), so a descriptor is taken when it is seen first, mostly while the container waits to be started. Its
// root directory is asked for later, because the engine puts it in place later (pivot_root(2)).
#include "runner/capture/probe/held_roots.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

namespace crashcrawler {
namespace {

constexpr size_t kMost = 256;

// In a thread of its own, because only what shares its directories with no other thread may change its mount namespace.
UniqueFd root_inside(int mount_namespace) {
  UniqueFd root;
  std::thread inside([&] {
    if (::unshare(CLONE_FS) == 0 && ::setns(mount_namespace, CLONE_NEWNS) == 0) {
      root.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
  });
  inside.join();
  return root;
}

}  // namespace

void HeldRoots::hold(pid_t pid, uint32_t mount_namespace) {
  if (namespaces_.size() >= kMost || namespaces_.contains(mount_namespace)) {
    return;
  }
  UniqueFd held(::open(("/proc/" + std::to_string(pid) + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (held && ::fstat(held.get(), &status) == 0 && status.st_ino == mount_namespace) {
    namespaces_.emplace(mount_namespace, std::move(held));
  }
}

UniqueFd HeldRoots::open_root(uint32_t mount_namespace) const {
  const auto held = namespaces_.find(mount_namespace);
  return held == namespaces_.end() ? UniqueFd() : root_inside(held->second.get());
}

}  // namespace crashcrawler
