// What proc(5) tells of a process or of one thread of it, in the form that the records need. `folder` is
// "/proc/PID" or "/proc/PID/task/TID": the second one while only that thread is left, for the leader's has nothing
// in it any more. All of it is empty or zero when there is nothing to be read.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace crashcrawler {

std::string folder_of_process(pid_t pid);
std::string folder_of_thread(pid_t pid, pid_t tid);

// The whole file.
std::string bytes_of_file(const std::string& path);

// What one read(2) of so many bytes gives.
std::string start_of_file(const std::string& path, size_t most);

// The name that the kernel shows (comm).
std::string name_in(const std::string& folder);

std::string link_target(const std::string& path);

// The numbers of proc_pid_stat(5), counted from 1 as the manual does.
class Stat {
 public:
  explicit Stat(const std::string& folder);

  pid_t parent() const { return static_cast<pid_t>(field(4)); }
  uint64_t session() const { return field(6); }
  uint64_t start_ns() const;  // CLOCK_BOOTTIME, in steps of a clock tick
  uint64_t field(size_t number) const;

 private:
  std::vector<uint64_t> numbers_;  // from the fourth on
};

// The numbers after "Name:" in proc_pid_status(5); `base` 16 for sets of signals.
std::vector<uint64_t> status_numbers(const std::string& status, const std::string& name,
                                     int base = 10);

// Whether this process has a capability, by its number in linux/capability.h, in effect.
bool has_capability(unsigned number);

// One line of proc_pid_maps(5).
struct Region {
  uint64_t start = 0, end = 0, offset = 0, inode = 0;
  uint32_t device = 0;  // kernel encoding: major << 20 | minor
  uint32_t flags = 0;   // as in struct cc_mapping
  std::string path;
};

std::vector<Region> regions_in(const std::string& folder);

// The one that `address` is in; null: none.
const Region* region_at(const std::vector<Region>& regions, uint64_t address);

// The threads of a process.
std::vector<pid_t> threads_of(pid_t pid);

// CLOCK_BOOTTIME
uint64_t boot_time_ns();

}  // namespace crashcrawler
