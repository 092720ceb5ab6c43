// Which file systems are mounted where: /proc/PID/mountinfo (proc_pid_mountinfo(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crashcrawler {

struct Mount {
  std::string mount_point;
  std::string
      root;  // the directory (or file) of the file system that is mounted, "/" for all of it
  std::string type;
  uint32_t device_major = 0, device_minor = 0;
  uint64_t id = 0;  // as statx(2) has it in stx_mnt_id
};

// All mounts in the text of a mountinfo file, in its order. Lines that say nothing are left out.
std::vector<Mount> mounts_of(const std::string& mountinfo);

// Where `path`, counted from the root of the file system, is visible through `mount`; none when it lies outside of what
// is mounted there.
std::optional<std::string> path_through(const Mount& mount, const std::string& path);

// All cgroup2 mounts in the text of a mountinfo file: the only one of a pure system, .../unified of
// a hybrid one.
std::vector<Mount> cgroup2_mounts(const std::string& mountinfo);

// The cgroup2 path ("0::/...") in the text of a /proc/PID/cgroup file; empty when there is none.
std::string cgroup2_path(const std::string& proc_cgroup);

}  // namespace crashcrawler
