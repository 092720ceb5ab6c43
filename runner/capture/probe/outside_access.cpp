// The caller names a cgroup, and we are root: so everything is asked of the kernel here, nothing is taken from him. He gets
// nothing that he could not have without us. Root has it all. Who may use an engine is root by its hands. Everybody else has
// what ptrace(2) would give him: his own processes, and those in user namespaces that he has made (rootless containers,
// user_namespaces(7)); and because another user's may come into that cgroup later, memory of such is withheld then, and no root directory is handed over.
#include "runner/capture/probe/outside_access.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>
#include <vector>

#include "runner/base/file.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

// "Uid:\t1000\t1000..." -> the words behind the colon, with blanks between and around them.
std::string field_of(const std::string& status, const std::string& name) {
  std::istringstream lines(status);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ":")) {
      std::istringstream words(line.substr(name.size() + 1));
      std::string joined = " ";
      for (std::string word; words >> word;) {
        joined += word + " ";
      }
      return joined;
    }
  }
  return " ";
}

std::optional<uid_t> owner_of_user_namespace(const std::string& process) {
  const UniqueFd space(::open((process + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  uid_t owner = 0;
  if (!space || ::ioctl(space.get(), NS_GET_OWNER_UID, &owner) != 0) {
    return std::nullopt;
  }
  return owner;
}

// One that has ended belongs to everybody.
bool belongs_to(const Asking& asking, const std::string& pid) {
  const std::string process = "/proc/" + pid;
  const Result<std::string> status = read_file(process + "/status");
  if (!status) {
    return true;
  }
  const std::string mine = " " + std::to_string(asking.uid) + " ";
  std::istringstream uids(field_of(*status, "Uid"));
  bool all = true;
  for (std::string uid; uids >> uid;) {
    all = all && " " + uid + " " == mine;
  }
  return all || owner_of_user_namespace(process) == asking.uid;
}

bool may_write(const Asking& asking, const struct stat& file) {
  if (file.st_uid == asking.uid) {
    return (file.st_mode & S_IWUSR) != 0;
  }
  if (asking.groups.find(" " + std::to_string(file.st_gid) + " ") != std::string::npos) {
    return (file.st_mode & S_IWGRP) != 0;
  }
  return (file.st_mode & S_IWOTH) != 0;
}

// Nothing can be asked about what is outside of our pid namespace.
Result<void> check_processes(const Asking& asking, const std::string& directory) {
  for (const std::string& pid : processes_below(directory)) {
    if (pid == "0" || !belongs_to(asking, pid)) {
      return Error{"process " + pid + " in the cgroup does not belong to the user who asks (uid " +
                   std::to_string(asking.uid) +
                   "), and he may not use the container engine; ask as root (sudo)"};
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> processes_below(const std::string& directory) {
  std::vector<std::string> directories{directory}, found;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_directory(error)) {
      directories.push_back(entry->path());
    }
  }
  for (const std::string& one : directories) {
    const Result<std::string> threads = read_file(one + "/cgroup.threads");
    std::istringstream pids(threads ? *threads : "");
    found.insert(found.end(), std::istream_iterator<std::string>(pids), {});
  }
  return found;
}

Result<Asking> who_asks(pid_t pid) {
  const Result<std::string> status = read_file("/proc/" + std::to_string(pid) + "/status");
  if (!status) {
    return Error{"there is no process " + std::to_string(pid)};
  }
  const char* const behind_sudo = std::getenv("SUDO_UID");
  if (!behind_sudo && ::getuid() == 0) {
    return Asking{};
  }
  return Asking{static_cast<uid_t>(std::strtoul(
                    behind_sudo ? behind_sudo : field_of(*status, "Uid").c_str(), nullptr, 10)),
                field_of(*status, "Gid") + field_of(*status, "Groups")};
}

bool may_use_engine(const Asking& asking) {
  if (asking.uid == 0) {
    return true;
  }
  struct stat status {};
  return ::lstat("/run/docker.sock", &status) == 0 && S_ISSOCK(status.st_mode) &&
         status.st_uid == 0 && may_write(asking, status);
}

Result<AttachedCgroup> open_for(const Asking& asking, const std::string& directory) {
  AttachedCgroup cgroup;
  cgroup.directory.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statfs system {};
  if (!cgroup.directory || ::fstatfs(cgroup.directory.get(), &system) != 0) {
    return errno_error("cannot watch the cgroup " + directory);
  }
  if (system.f_type != CGROUP2_SUPER_MAGIC) {
    return Error{directory + " is no directory of a cgroup2 file system"};
  }
  cgroup.all_of_it = may_use_engine(asking);
  // By what was opened: what lies at the path may be exchanged.
  const std::string opened = "/proc/self/fd/" + std::to_string(cgroup.directory.get());
  if (!cgroup.all_of_it) {
    if (const Result<void> checked = check_processes(asking, opened); !checked) {
      return checked.error();
    }
  }
  return cgroup;
}

}  // namespace crashcrawler
