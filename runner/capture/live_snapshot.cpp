// What the BPF programs read from the kernel's structures comes from proc(5) here. Differences: the start time has the
// resolution of a clock tick, so the key is never that of the same process's death; paths are as we see them, not as
// the process does; the depth of a pid namespace is counted from ours; ancestors are those that live.
#include "runner/capture/live_snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "bpf/crash_event.h"
#include "runner/base/file.h"
#include "runner/capture/environment_names.h"
#include "runner/capture/live_environment.h"
#include "runner/capture/stopped_process.h"

namespace crashcrawler {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kTimeForAll{10};
constexpr std::chrono::seconds kTimeForOne{2};

std::string proc_path(pid_t pid, const std::string& name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

std::string bytes_of(const std::string& path) {
  const Result<std::string> bytes = read_file(path);
  return bytes ? *bytes : "";
}

std::string name_of(pid_t pid, const std::string& below = "") {
  const std::string name = bytes_of(proc_path(pid, below + "comm"));
  return name.substr(0, name.find('\n'));
}

// The numbers of proc_pid_stat(5), counted from 1 as the manual does. Empty when the process is gone.
class Stat {
 public:
  explicit Stat(pid_t pid) {
    const std::string text = bytes_of(proc_path(pid, "stat"));
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) {
      return;
    }
    std::istringstream fields(text.substr(name_end + 1));
    std::string state;
    fields >> state;
    for (std::string number; fields >> number;) {  // some are negative, some beyond INT64_MAX
      numbers_.push_back(std::strtoull(number.c_str(), nullptr, 10));
    }
  }

  uint64_t parent() const { return field(4); }
  uint64_t session() const { return field(6); }
  uint64_t start_ns() const {
    const auto per_second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    return field(22) * (1'000'000'000 / per_second);
  }
  uint64_t field(size_t number) const {
    constexpr size_t kFirst = 4;
    return number - kFirst < numbers_.size() ? numbers_[number - kFirst] : 0;
  }

 private:
  std::vector<uint64_t> numbers_;
};

// The numbers after "Name:" in proc_pid_status(5).
std::vector<uint32_t> status_numbers(const std::string& status, const std::string& name) {
  std::vector<uint32_t> numbers;
  const size_t at = status.find("\n" + name + ":");
  if (at != std::string::npos) {
    const size_t begin = at + name.size() + 2;
    std::istringstream line(status.substr(begin, status.find('\n', begin) - begin));
    for (uint32_t number = 0; line >> number;) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

template <size_t Size>
void copy_text(char (&to)[Size], std::string_view text) {
  std::memcpy(to, text.data(), std::min(text.size(), Size - 1));
}

uint64_t boot_time_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

std::string link_target(const std::string& path) {
  std::error_code gone;
  return std::filesystem::read_symlink(path, gone);
}

// One line of proc_pid_maps(5).
struct Region {
  uint64_t start = 0, end = 0, offset = 0, inode = 0;
  uint32_t device = 0, flags = 0;
  std::string path;
};

Region parse_region(const std::string& line) {
  Region region;
  char permissions[5] = "";
  unsigned long start = 0, end = 0, offset = 0, inode = 0;
  unsigned int major = 0, minor = 0;
  int path = 0;
  std::sscanf(line.c_str(), "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, permissions, &offset,
              &major, &minor, &inode, &path);
  region.start = start;
  region.end = end;
  region.offset = offset;
  region.inode = inode;
  region.device = major << 20 | minor;
  region.flags = (permissions[0] == 'r' ? 1U : 0) | (permissions[1] == 'w' ? 2U : 0) |
                 (permissions[2] == 'x' ? 4U : 0) | (permissions[3] == 's' ? 8U : 0);
  region.path = line.substr(static_cast<size_t>(path));
  return region;
}

std::vector<Region> regions_of(pid_t pid) {
  std::vector<Region> regions;
  std::istringstream lines(bytes_of(proc_path(pid, "maps")));
  for (std::string line; std::getline(lines, line);) {
    regions.push_back(parse_region(line));
  }
  return regions;
}

class Train {
 public:
  Train(pid_t pid, const SnapshotOptions& options, const StoppedProcess& process,
        const RecordSink& sink)
      : pid_(pid),
        options_(options),
        process_(process),
        sink_(sink),
        stat_(pid),
        auxv_(bytes_of(proc_path(pid, "auxv"))) {
    key_.tgid = static_cast<uint32_t>(pid);
    key_.start_ns = stat_.start_ns();
  }

  void send() {
    const std::vector<pid_t> threads = process_.threads();
    const std::vector<Region> regions = regions_of(pid_);
    send_process(threads.front(), regions);
    send_ancestors();
    send_path(CC_PATH_EXE, link_target(proc_path(pid_, "exe")));
    send_path(CC_PATH_CWD, link_target(proc_path(pid_, "cwd")));
    send_cgroup();
    send_memory(CC_BYTES_ARGV, 0, stat_.field(48),
                std::min(stat_.field(49), stat_.field(48) + CC_ARGV_PAGES * CC_PAGE_SIZE));
    send_environment();
    for (const pid_t tid : threads) {
      const bool first = tid == threads.front();
      send_thread(tid, first ? CC_THREAD_CRASHED : 0,
                  first ? options_.crash_stack_bytes : options_.thread_stack_bytes);
    }
    send_regions(regions);
    send_end(threads.size(), regions.size());
  }

 private:
  template <typename Record>
  Record begin(cc_record_type type) const {
    Record record{};
    record.header = {static_cast<__u16>(type), CC_RECORD_VERSION, sizeof record, key_};
    return record;
  }

  template <typename Record>
  void end(const Record& record) const {
    sink_({reinterpret_cast<const char*>(&record), record.header.size});
  }

  void send_process(pid_t first, const std::vector<Region>& regions) const {
    auto record = begin<cc_process>(CC_RECORD_PROCESS);
    record.time_ns = boot_time_ns();
    record.cause = CC_CAUSE_TIMEOUT;
    record.tid = record.ns_tid = static_cast<uint32_t>(first);
    record.ns_tgid = static_cast<uint32_t>(pid_);
    record.parent_tgid = static_cast<uint32_t>(stat_.parent());
    record.session = static_cast<uint32_t>(stat_.session());
    const std::string status = bytes_of(proc_path(pid_, "status"));
    if (const auto uids = status_numbers(status, "Uid"); uids.size() > 1) {
      record.uid = uids[0];
      record.euid = uids[1];
    }
    if (const auto gids = status_numbers(status, "Gid"); !gids.empty()) {
      record.gid = gids[0];
    }
    if (const auto numbers = status_numbers(status, "NSpid"); !numbers.empty()) {
      record.inner_tgid = numbers.back();
      record.pid_level = static_cast<uint32_t>(numbers.size() - 1);
    }
    struct stat mounts {};
    if (::stat(proc_path(pid_, "ns/mnt").c_str(), &mounts) == 0) {
      record.mnt_ns = static_cast<uint32_t>(mounts.st_ino);
    }
    record.start_code = stat_.field(26);
    record.end_code = stat_.field(27);
    record.start_stack = stat_.field(28);
    record.start_brk = stat_.field(47);
    const auto heap = std::ranges::find(regions, "[heap]", &Region::path);
    record.brk = heap == regions.end() ? record.start_brk : heap->end;
    record.arg_start = stat_.field(48);
    record.arg_end = stat_.field(49);
    record.env_start = stat_.field(50);
    record.env_end = stat_.field(51);
    std::memcpy(record.auxv, auxv_.data(), std::min(auxv_.size(), sizeof record.auxv));
    record.auxv_words = CC_AUXV_WORDS;
    copy_text(record.comm, name_of(pid_));
    end(record);
  }

  void send_ancestors() const {
    pid_t pid = static_cast<pid_t>(stat_.parent());
    for (uint32_t distance = 1; distance <= CC_PARENTS && is_in_tree(pid); ++distance) {
      const Stat stat(pid);
      auto record = begin<cc_parent>(CC_RECORD_PARENT);
      record.parent = {static_cast<uint32_t>(pid), 0, stat.start_ns()};
      record.ns_tgid = static_cast<uint32_t>(pid);
      record.distance = distance;
      copy_text(record.comm, name_of(pid));
      const std::string command = bytes_of(proc_path(pid, "cmdline"));
      record.command_length =
          static_cast<uint32_t>(std::min(command.size(), sizeof record.command));
      std::memcpy(record.command, command.data(), record.command_length);
      end(record);
      pid = static_cast<pid_t>(stat.parent());
    }
  }

  bool is_in_tree(pid_t pid) const {
    return std::ranges::find(options_.tree, pid) != options_.tree.end();
  }

  // Nothing for what is no path: an anonymous inode, or a directory outside of our root.
  void send_path(cc_path_purpose purpose, std::string path, uint32_t device = 0,
                 uint64_t inode = 0) const {
    if (!path.starts_with("/")) {
      return;
    }
    constexpr std::string_view kDeleted = " (deleted)";
    auto record = begin<cc_path>(CC_RECORD_PATH);
    record.purpose = static_cast<__u16>(purpose);
    record.device = device;
    record.inode = inode;
    if (path.ends_with(kDeleted)) {
      path.resize(path.size() - kDeleted.size());
      record.flags = CC_PATH_DELETED;
    }
    while (!path.empty() && record.length + path.size() - path.rfind('/') <= sizeof record.bytes) {
      const size_t slash = path.rfind('/');
      const std::string name = path.substr(slash + 1);
      if (!name.empty()) {
        std::memcpy(record.bytes + record.length, name.c_str(), name.size() + 1);
        record.length += static_cast<uint32_t>(name.size() + 1);
        ++record.components;
      }
      path.resize(slash);
    }
    record.flags |= static_cast<__u16>(path.empty() ? 0 : CC_PATH_TRUNCATED);
    record.header.size =
        static_cast<uint32_t>((offsetof(cc_path, bytes) + record.length + 7) & ~size_t{7});
    end(record);
  }

  // "0::/path" of proc_pid_cgroup(5).
  void send_cgroup() const {
    std::istringstream lines(bytes_of(proc_path(pid_, "cgroup")));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("0::/")) {
        send_path(CC_PATH_CGROUP, line.substr(3));
      }
    }
  }

  // In pieces that end with a page: one that is not there must not lose its neighbours.
  void send_memory(cc_bytes_purpose purpose, pid_t tid, uint64_t from, uint64_t to) const {
    while (from < to) {
      const uint64_t next = std::min(from / CC_PAGE_SIZE * CC_PAGE_SIZE + CC_PAGE_SIZE, to);
      const std::string bytes = process_.read(from, next - from);
      if (!bytes.empty()) {
        auto record = begin<cc_bytes>(CC_RECORD_BYTES);
        record.address = from;
        record.tid = static_cast<uint32_t>(tid);
        record.purpose = static_cast<__u16>(purpose);
        record.length = static_cast<uint32_t>(bytes.size());
        std::memcpy(record.bytes, bytes.data(), bytes.size());
        end(record);
      }
      from = next;
    }
  }

  std::vector<std::string> initial_environment() const {
    std::vector<std::string> variables;
    std::istringstream block(bytes_of(proc_path(pid_, "environ")));
    for (std::string variable; std::getline(block, variable, '\0');) {
      variables.push_back(variable);
    }
    return variables;
  }

  void send_environment() {
    std::optional<std::vector<std::string>> variables =
        live_environment(process_, auxv_, CC_VARIABLE_SIZE);
    environment_ = variables ? CC_ENVIRONMENT_LIVE : CC_ENVIRONMENT_INITIAL;
    if (!variables) {
      variables = initial_environment();
    }
    for (const std::string& variable : *variables) {
      const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
      if (std::ranges::find(kEnvironmentNames, name) == kEnvironmentNames.end()) {
        continue;
      }
      auto record = begin<cc_variable>(CC_RECORD_VARIABLE);
      record.length = static_cast<uint32_t>(std::min(variable.size(), sizeof record.text - 1));
      copy_text(record.text, variable);
      end(record);
    }
  }

  void send_thread(pid_t tid, uint32_t flags, uint32_t stack_bytes) const {
    const std::optional<user_regs_struct> registers = process_.registers(tid);
    if (!registers) {
      return;  // killed meanwhile: its death tells the rest
    }
    auto record = begin<cc_thread>(CC_RECORD_THREAD);
    record.tid = record.ns_tid = static_cast<uint32_t>(tid);
    record.flags = flags;
    static_assert(offsetof(user_regs_struct, gs_base) == offsetof(cc_registers, gs_base));
    std::memcpy(&record.registers, &*registers, sizeof record.registers);
    copy_text(record.comm, name_of(pid_, "task/" + std::to_string(tid) + "/"));
    end(record);
    const uint64_t from = (registers->rsp - CC_REDZONE) / CC_PAGE_SIZE * CC_PAGE_SIZE;
    send_memory(CC_BYTES_STACK, tid, from, from + stack_bytes);
  }

  void send_regions(const std::vector<Region>& regions) const {
    std::set<std::pair<uint32_t, uint64_t>> told;
    for (size_t i = 0; i < regions.size() && i < CC_MAPPINGS; ++i) {
      const Region& region = regions[i];
      if (region.inode != 0 && told.emplace(region.device, region.inode).second) {
        send_path(CC_PATH_MAPPING, region.path, region.device, region.inode);
      }
      auto record = begin<cc_mapping>(CC_RECORD_MAPPING);
      record.start = region.start;
      record.end = region.end;
      record.file_offset = region.offset;
      record.inode = region.inode;
      record.device = region.device;
      record.flags = region.flags;
      end(record);
    }
  }

  void send_end(size_t threads, size_t regions) const {
    auto record = begin<cc_exit>(CC_RECORD_EXIT);
    record.time_ns = boot_time_ns();
    record.threads = static_cast<uint32_t>(threads);
    record.mappings = static_cast<uint32_t>(regions);
    record.mappings_state = regions == 0 ? CC_MAPPINGS_NONE : CC_MAPPINGS_WALKED;
    record.environment = environment_;
    end(record);
  }

  pid_t pid_;
  const SnapshotOptions& options_;
  const StoppedProcess& process_;
  const RecordSink& sink_;
  Stat stat_;
  std::string auxv_;
  cc_environment environment_ = CC_ENVIRONMENT_NONE;
  cc_key key_{};
};

std::string in_words(pid_t pid) {
  const std::string name = name_of(pid);
  return "process " + std::to_string(pid) + (name.empty() ? "" : " (" + name + ")");
}

// Leaves first: by how far the furthest descendant is away.
std::vector<pid_t> children_first(const std::vector<pid_t>& tree) {
  std::map<pid_t, pid_t> parents;
  for (const pid_t pid : tree) {
    parents[pid] = static_cast<pid_t>(Stat(pid).parent());
  }
  std::map<pid_t, size_t> heights;
  for (const pid_t pid : tree) {
    // bounded, because parents that were read at different moments may go round in a circle
    size_t height = 0;
    for (auto at = parents.find(pid); at != parents.end() && height <= tree.size(); ++height) {
      heights[at->first] = std::max(heights[at->first], height);
      at = parents.find(at->second);
    }
  }
  std::vector<pid_t> ordered = tree;
  std::ranges::sort(ordered, {}, [&](pid_t pid) { return std::pair(heights[pid], pid); });
  return ordered;
}

}  // namespace

Result<void> snapshot_process(pid_t pid, const SnapshotOptions& options, const RecordSink& sink) {
  const std::string process = in_words(pid);
  size_t unstopped = 0;
  const auto look = [&](const StoppedProcess& stopped) {
    unstopped = stopped.unstopped();
    if (!stopped.threads().empty()) {
      Train(pid, options, stopped, sink).send();
    }
  };
  const Result<void> visited =
      StoppedProcess::visit(pid, std::min(options.deadline, Clock::now() + kTimeForOne), look);
  if (!visited) {
    return visited.error().in(process + " could not be looked at");
  }
  if (unstopped > 0) {
    return Error{process + ": " + std::to_string(unstopped) +
                 " of its threads did not stop to be looked at"};
  }
  return {};
}

std::vector<std::string> snapshot_tree(SnapshotOptions options, const RecordSink& sink) {
  options.deadline = std::min(options.deadline, Clock::now() + kTimeForAll);
  std::vector<std::string> missing;
  size_t too_late = 0;
  for (const pid_t pid : children_first(options.tree)) {
    if (Clock::now() >= options.deadline) {
      ++too_late;
      continue;
    }
    if (const Result<void> seen = snapshot_process(pid, options, sink); !seen) {
      missing.push_back(seen.error().message);
    }
  }
  if (too_late > 0) {
    missing.push_back("there was no time to look at " + std::to_string(too_late) +
                      " of the processes");
  }
  return missing;
}

}  // namespace crashcrawler
