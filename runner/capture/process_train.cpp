// What the BPF programs read from the kernel's structures comes from proc(5) here. Differences: the depth of a pid
// namespace is counted from ours, the start time may have the resolution of a clock tick, and where a file lies in its
// own file system is not known.
#include "runner/capture/process_train.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "runner/capture/environment_names.h"
#include "runner/capture/live_variables.h"

namespace crashcrawler {
namespace {

uint64_t mount_namespace_in(const std::string& folder) {
  struct stat status {};
  return ::stat((folder + "/ns/mnt").c_str(), &status) == 0 ? status.st_ino : 0;
}

// What the caller could have read with ptrace(2) he may have.
bool has_other_credentials(const std::string& status) {
  const uid_t own = ::geteuid();
  const std::vector<uint64_t> uids = status_numbers(status, "Uid");
  return own != 0 && uids.size() > 2 &&
         std::any_of(uids.begin(), uids.begin() + 3, [&](uint64_t uid) { return uid != own; });
}

// CAP_PERFMON opens the map of a process that is not dumpable (mm_access(), kernel/fork.c, 6.14), and not its memory. Some
// pages cannot be read by anybody, so a few are tried.
bool is_refused(const ProcessMemory& memory, const std::vector<Region>& regions) {
  constexpr int kMost = 8;
  int tried = 0;
  for (const Region& region : regions) {
    if ((region.flags & 1) != 0 && region.inode != 0 && tried < kMost) {
      ++tried;
      if (!memory.read(region.start, 1).empty()) {
        return false;
      }
    }
  }
  return tried > 0;
}

}  // namespace

ProcessTrain::ProcessTrain(cc_key key, pid_t tid, RecordSink sink)
    : key_(key),
      folder_(folder_of_thread(static_cast<pid_t>(key.tgid), tid)),
      sink_(std::move(sink)),
      memory_(tid),
      stat_(folder_),
      status_(bytes_of_file(folder_ + "/status")),
      auxv_(bytes_of_file(folder_ + "/auxv")),
      root_(link_target(folder_ + "/root")),
      regions_(regions_in(folder_)),
      mount_namespace_(static_cast<uint32_t>(mount_namespace_in(folder_))),
      elsewhere_(mount_namespace_ != 0 && mount_namespace_ != mount_namespace_in("/proc/self")),
      withheld_(has_other_credentials(status_)),
      refused_(!withheld_ && is_refused(memory_, regions_)) {}

cc_process ProcessTrain::process(cc_cause cause, pid_t tid) const {
  auto record = begin<cc_process>(CC_RECORD_PROCESS);
  record.time_ns = boot_time_ns();
  record.cause = cause;
  record.tid = record.ns_tid = static_cast<uint32_t>(tid);
  record.ns_tgid = key_.tgid;
  record.parent_tgid = static_cast<uint32_t>(stat_.parent());
  record.session = static_cast<uint32_t>(stat_.session());
  if (const auto uids = status_numbers(status_, "Uid"); uids.size() > 1) {
    record.uid = static_cast<uint32_t>(uids[0]);
    record.euid = static_cast<uint32_t>(uids[1]);
  }
  if (const auto gids = status_numbers(status_, "Gid"); !gids.empty()) {
    record.gid = static_cast<uint32_t>(gids[0]);
  }
  if (const auto numbers = status_numbers(status_, "NStgid"); !numbers.empty()) {
    record.inner_tgid = static_cast<uint32_t>(numbers.back());
    record.pid_level = static_cast<uint32_t>(numbers.size() - 1);
  }
  record.mnt_ns = mount_namespace_;
  record.start_code = stat_.field(26);
  record.end_code = stat_.field(27);
  record.start_stack = stat_.field(28);
  record.start_brk = stat_.field(47);
  const auto heap = std::ranges::find(regions_, "[heap]", &Region::path);
  record.brk = heap == regions_.end() ? record.start_brk : heap->end;
  record.arg_start = stat_.field(48);
  record.arg_end = stat_.field(49);
  record.env_start = stat_.field(50);
  record.env_end = stat_.field(51);
  std::memcpy(record.auxv, auxv_.data(), std::min(auxv_.size(), sizeof record.auxv));
  record.auxv_words = CC_AUXV_WORDS;
  record.memory_withheld = withheld_  ? CC_MEMORY_WITHHELD
                           : refused_ ? CC_MEMORY_REFUSED
                                      : CC_MEMORY_GIVEN;
  copy_text(record.comm, name_in(folder_of_process(pid())));
  return record;
}

void ProcessTrain::send_ancestors(const std::vector<AncestorRecord>& ancestors) const {
  for (size_t i = 0; i < ancestors.size() && i < CC_PARENTS; ++i) {
    auto record = begin<cc_parent>(CC_RECORD_PARENT);
    record.parent = ancestors[i].key;
    record.ns_tgid = ancestors[i].key.tgid;
    record.distance = static_cast<uint32_t>(i + 1);
    copy_text(record.comm, ancestors[i].name);
    record.command_length = copy_block(record.command, ancestors[i].command);
    send(record);
  }
}

void ProcessTrain::send_surroundings() const {
  send_path(CC_PATH_EXE, link_target(folder_ + "/exe"));
  send_path(CC_PATH_CWD, link_target(folder_ + "/cwd"));
  send_path(CC_PATH_ROOT, root_);
  send_cgroup();
  send_memory(CC_BYTES_ARGV, 0, stat_.field(48),
              std::min(stat_.field(49), stat_.field(48) + CC_ARGV_PAGES * CC_PAGE_SIZE));
}

// Nothing for what is no path: an anonymous inode, or a directory outside of our root. In another mount namespace all
// paths begin where that of the process does, for there they are looked for.
void ProcessTrain::send_path(cc_path_purpose purpose, std::string path, uint32_t device,
                             uint64_t inode) const {
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
  if (elsewhere_ && root_.size() > 1 && (path == root_ || path.starts_with(root_ + "/"))) {
    path.erase(0, root_.size());
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
  send(record);
}

// "0::/path" of proc_pid_cgroup(5).
void ProcessTrain::send_cgroup() const {
  std::istringstream lines(bytes_of_file(folder_ + "/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) {
      send_path(CC_PATH_CGROUP, line.substr(3));
    }
  }
}

void ProcessTrain::send_memory(cc_bytes_purpose purpose, pid_t tid, uint64_t from, uint64_t to,
                               uint32_t patience) const {
  uint32_t unreadable = 0;
  while (from < to && unreadable < patience && !withheld_) {
    const uint64_t next = std::min(from / CC_PAGE_SIZE * CC_PAGE_SIZE + CC_PAGE_SIZE, to);
    const std::string bytes = memory_.read(from, next - from);
    unreadable = bytes.empty() ? unreadable + 1 : 0;
    if (!bytes.empty()) {
      auto record = begin<cc_bytes>(CC_RECORD_BYTES);
      record.address = from;
      record.tid = static_cast<uint32_t>(tid);
      record.purpose = static_cast<__u16>(purpose);
      record.length = static_cast<uint32_t>(bytes.size());
      std::memcpy(record.bytes, bytes.data(), bytes.size());
      send(record);
    }
    from = next;
  }
}

std::vector<std::string> ProcessTrain::initial_environment() const {
  std::vector<std::string> variables;
  std::istringstream block(bytes_of_file(folder_ + "/environ"));
  for (std::string variable; std::getline(block, variable, '\0');) {
    variables.push_back(variable);
  }
  return variables;
}

void ProcessTrain::send_environment() {
  if (withheld_) {
    return;
  }
  std::optional<std::vector<std::string>> variables =
      live_environment(memory_, auxv_, CC_VARIABLE_SIZE);
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
    send(record);
  }
}

void ProcessTrain::send_thread(pid_t tid, uint32_t flags, const StackPart& part,
                               const user_regs_struct& registers) const {
  auto record = begin<cc_thread>(CC_RECORD_THREAD);
  record.tid = record.ns_tid = static_cast<uint32_t>(tid);
  record.flags = flags;
  record.registers = record_of(registers);
  if (withheld_) {
    record.registers = {};
    record.registers.rip = registers.rip;
    record.registers.rsp = registers.rsp;
    record.registers.cs = registers.cs;
  }
  copy_text(record.comm, name_in(folder_of_thread(pid(), tid)));
  send(record);
  const uint64_t from = (registers.rsp - part.below) / CC_PAGE_SIZE * CC_PAGE_SIZE;
  send_memory(CC_BYTES_STACK, tid, from, from + part.below - CC_REDZONE + part.above,
              part.patience);
}

// A heap of many pieces must not push out the libraries, which lie above it.
std::vector<Region> ProcessTrain::kept_regions() const {
  std::vector<Region> kept;
  size_t files = 0, others = 0;
  for (const Region& region : regions_) {
    if (++(region.inode != 0 ? files : others) <= CC_MAPPINGS) {
      kept.push_back(region);
    }
  }
  return kept;
}

void ProcessTrain::send_regions() const {
  std::set<std::pair<uint32_t, uint64_t>> told;
  for (const Region& region : kept_regions()) {
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
    send(record);
  }
}

void ProcessTrain::send_end(size_t threads, int exit_code, bool oom_killed) const {
  auto record = begin<cc_exit>(CC_RECORD_EXIT);
  record.time_ns = boot_time_ns();
  record.exit_code = exit_code;
  record.oom_killed = oom_killed ? 1 : 0;
  record.threads = static_cast<uint32_t>(threads);
  record.mappings = static_cast<uint32_t>(regions_.size());
  record.mappings_left_out = static_cast<uint32_t>(regions_.size() - kept_regions().size());
  record.mappings_state = regions_.empty() ? CC_MAPPINGS_NONE : CC_MAPPINGS_WALKED;
  record.environment = environment_;
  send(record);
}

}  // namespace crashcrawler
