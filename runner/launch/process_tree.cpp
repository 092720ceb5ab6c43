// Everything here races with processes that end and cgroups that are removed: what cannot be read
// any more is gone.
#include "runner/launch/process_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>
#include <string_view>

#include "runner/base/file.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestCommandLine = 128 << 10;

// Each time around only those are left that were forked meanwhile. What forks faster is killed.
constexpr int kSignalRounds = 100;

// The process that a thread belongs to; 0: it has ended.
pid_t process_of(pid_t tid) {
  const Result<std::string> status = read_file("/proc/" + std::to_string(tid) + "/status");
  const size_t at = status ? status->find("\nTgid:") : std::string::npos;
  return at == std::string::npos ? 0 : static_cast<pid_t>(std::atoi(status->c_str() + at + 6));
}

// cgroup.procs of a threaded cgroup cannot be read (EOPNOTSUPP; cgroup-v2.rst, "Threads"), its threads can. A process outside our pid namespace is
// listed as 0.
void append_pids(const std::string& cgroup, std::vector<pid_t>& pids) {
  if (const Result<std::string> lines = read_file(cgroup + "/cgroup.procs")) {
    std::istringstream numbers(*lines);
    for (pid_t pid = 0; numbers >> pid;) {
      if (pid != 0) {
        pids.push_back(pid);
      }
    }
  } else if (const Result<std::string> threads = read_file(cgroup + "/cgroup.threads")) {
    std::istringstream numbers(*threads);
    for (pid_t tid = 0; numbers >> tid;) {
      const pid_t pid = process_of(tid);
      if (pid != 0 && std::ranges::find(pids, pid) == pids.end()) {
        pids.push_back(pid);
      }
    }
  }
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(cgroup, gone)) {
    if (entry.is_directory(gone)) {
      append_pids(entry.path(), pids);
    }
  }
}

std::vector<std::string> split_at_nul(const std::string& bytes) {
  std::vector<std::string> parts;
  std::istringstream stream(bytes);
  for (std::string part; std::getline(stream, part, '\0');) {
    parts.push_back(part);
  }
  return parts;
}

}  // namespace

Result<ProcessTree> ProcessTree::watch(const std::string& cgroup) {
  const std::string path = cgroup + "/cgroup.events";
  UniqueFd events(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!events) {
    return errno_error("cannot watch the command's processes: cannot open " + path);
  }
  return ProcessTree(cgroup, std::move(events));
}

ProcessTree ProcessTree::listed_by(std::function<std::vector<pid_t>()> list) {
  return ProcessTree(std::move(list));
}

Result<bool> ProcessTree::is_populated() {
  if (list_) {
    return !list_().empty();
  }
  char text[256];
  const ssize_t got = ::pread(events_.get(), text, sizeof text, 0);
  if (got < 0) {
    return errno_error("cannot read " + cgroup_ + "/cgroup.events");
  }
  return std::string_view(text, static_cast<size_t>(got)).find("populated 1") !=
         std::string_view::npos;
}

std::vector<pid_t> ProcessTree::pids() const {
  std::vector<pid_t> pids;
  if (list_) {
    pids = list_();
    std::erase(pids, 0);
  } else {
    append_pids(cgroup_, pids);
  }
  return pids;
}

std::vector<LeftoverProcess> ProcessTree::processes() const {
  std::vector<LeftoverProcess> processes;
  for (const pid_t pid : pids()) {
    const std::string folder = "/proc/" + std::to_string(pid);
    Result<std::string> name = read_file(folder + "/comm");
    if (!name) {
      continue;  // it has ended since
    }
    if (!name->empty() && name->back() == '\n') {
      name->pop_back();
    }
    const Result<std::string> arguments = read_file(folder + "/cmdline", kLargestCommandLine);
    processes.push_back(
        {pid, *name, arguments ? split_at_nul(*arguments) : std::vector<std::string>()});
  }
  return processes;
}

void signal_all(const std::function<std::vector<pid_t>()>& list,
                std::initializer_list<int> signals) {
  std::set<pid_t> told;
  bool any = true;
  for (int round = 0; round < kSignalRounds && any; ++round) {
    any = false;
    for (const pid_t pid : list()) {
      if (told.insert(pid).second) {
        for (const int signal : signals) {
          ::kill(pid, signal);
        }
        any = true;
      }
    }
  }
}

}  // namespace crashcrawler
