#include "runner/capture/probe/run_cgroup.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>

#include <filesystem>
#include <sstream>
#include <utility>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

std::string fresh_name(pid_t held) {
  uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) {
    random = static_cast<uint32_t>(::getpid());
  }
  char name[64];
  std::snprintf(name, sizeof name, "crashcrawler-%d-%08x", static_cast<int>(held), random);
  return name;
}

// Takes away what the probes of other runs could not, because they were killed. A cgroup that is in use does not go; one
// that is being made has a live process in its name, or, from another pid namespace, is fresh.
void sweep(const std::string& parent) {
  constexpr time_t kFresh = 60;  // seconds
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    int pid = 0, length = 0;
    unsigned random = 0;
    const std::string name = entry.path().filename();
    const bool ours =
        std::sscanf(name.c_str(), "crashcrawler-%d-%8x%n", &pid, &random, &length) == 2 &&
        static_cast<size_t>(length) == name.size();
    struct stat status {};
    const bool old =
        ::stat(entry.path().c_str(), &status) == 0 && status.st_mtime + kFresh < std::time(nullptr);
    if (ours && old && ::kill(pid, 0) != 0 && errno == ESRCH) {
      ::rmdir(entry.path().c_str());
    }
  }
}

// The directory and all directories below it, deepest first.
std::vector<std::string> tree_of(const std::string& directory) {
  std::vector<std::string> found{directory};
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory(error)) {
      found.push_back(entry->path());
    }
  }
  return {found.rbegin(), found.rend()};
}

}  // namespace

std::string directory_in_mount(const Mount& mount, const std::string& path) {
  return path.starts_with("/..") ? mount.mount_point
                                 : path_through(mount, path).value_or(mount.mount_point);
}

Result<RunCgroup> RunCgroup::create(pid_t held) {
  const Result<std::string> mountinfo = read_file("/proc/self/mountinfo");
  if (!mountinfo) {
    return mountinfo.error();
  }
  const Result<std::string> membership = read_file("/proc/" + std::to_string(held) + "/cgroup");
  if (!membership) {
    return membership.error();
  }
  std::string reasons;
  for (const Mount& mount : cgroup2_mounts(*mountinfo)) {
    std::vector<std::string> parents{directory_in_mount(mount, cgroup2_path(*membership))};
    if (parents[0] != mount.mount_point) {
      parents.push_back(mount.mount_point);
    }
    for (const std::string& parent : parents) {
      sweep(parent);
      const std::string directory = parent + "/" + fresh_name(held);
      if (::mkdir(directory.c_str(), 0755) != 0) {
        reasons += "; " + errno_error("cannot create a cgroup in " + parent).message;
        continue;
      }
      RunCgroup cgroup(directory);
      const Result<void> moved =
          write_control_file(directory + "/cgroup.procs", std::to_string(held));
      if (moved) {
        return cgroup;
      }
      reasons += "; " + moved.error().message;
    }
  }
  if (reasons.empty()) {
    return Error{
        "no cgroup2 file system is mounted; mount one (mount -t cgroup2 none /sys/fs/cgroup), or "
        "in a container "
        "start it with --cgroupns host -v /sys/fs/cgroup:/sys/fs/cgroup:rw"};
  }
  return Error{
      "no cgroup can be made for the command" + reasons +
      "; in a container, start it with --cgroupns host -v /sys/fs/cgroup:/sys/fs/cgroup:rw"};
}

RunCgroup::RunCgroup(RunCgroup&& other) noexcept
    : directory_(std::exchange(other.directory_, std::string())) {}

RunCgroup::~RunCgroup() {
  ignore(remove());
}

Result<void> RunCgroup::delegate_to(uid_t user) {
  for (const char* file : {"", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"}) {
    if (::chown((directory_ + file).c_str(), user, static_cast<gid_t>(-1)) != 0) {
      return errno_error("cannot give " + directory_ + file + " to user " + std::to_string(user));
    }
  }
  return {};
}

Result<void> RunCgroup::kill_all() {
  return write_control_file(directory_ + "/cgroup.kill", "1");
}

Result<void> RunCgroup::remove() {
  if (directory_.empty()) {
    return {};
  }
  const std::string parent = fs::path(directory_).parent_path();
  constexpr int kRounds = 1000;
  Result<void> last;
  for (int round = 0; round < kRounds; ++round) {
    bool gone = true;
    for (const std::string& directory : tree_of(directory_)) {
      // Of a threaded cgroup, which the command may have made it, cgroup.procs cannot be read. A thread's number moves
      // its process, too.
      const Result<std::string> members = read_file(directory + "/cgroup.threads");
      std::istringstream pids(members ? *members : "");
      for (std::string pid; pids >> pid;) {
        ignore(write_control_file(parent + "/cgroup.procs", pid));  // it may have ended since
      }
      if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) {
        last = errno_error("cannot remove " + directory);
        gone = false;
      }
    }
    if (gone) {
      directory_.clear();
      return {};
    }
    ::usleep(1000);  // a zombie counts as a member until it is reaped or its last thread is gone
  }
  return last;
}

}  // namespace crashcrawler
