#include "runner/launch/attached.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "runner/base/file.h"
#include "runner/base/mount_info.h"
#include "runner/base/program_output.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t kIdLength = 64, kShortId = 12;
constexpr std::string_view kDigits = "0123456789abcdef";

std::vector<Mount> our_cgroup2_mounts() {
  const Result<std::string> text = read_file("/proc/self/mountinfo");
  return cgroup2_mounts(text ? *text : "");
}

bool is_cgroup2(const std::string& directory) {
  struct statfs system {};
  struct stat status {};
  return ::statfs(directory.c_str(), &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC &&
         ::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The root has no such file (cgroup-v2.rst), and in it are all processes of the machine.
Result<std::string> unless_root(const std::string& directory) {
  if (::access((directory + "/cgroup.events").c_str(), F_OK) != 0) {
    return Error{directory + " is the root of all cgroups; attach to one below it"};
  }
  return directory;
}

bool has_two_lines(const std::string& text) {
  const size_t end = text.find('\n');
  return end != std::string::npos && end + 1 < text.size();
}

struct Inspected {
  std::string id;
  pid_t pid = 0;
};

struct Answer {
  bool alive = false;  // there is an engine
  std::optional<Inspected> container;
  bool ambiguous = false;
  std::string complaint;  // of a client that reaches none
};

Answer ask_engine(const std::string& client, const std::string& name) {
  Answer answer;
  const Result<ProgramOutput> found =
      output_of({client, "container", "inspect", "--format", "{{.Id}} {{.State.Pid}}", "--", name});
  if (found && found->exit_status == 0) {
    Inspected container;
    std::istringstream(found->text) >> container.id >> container.pid;
    answer.alive = true;
    answer.container = container;
    return answer;
  }
  if (!found || found->exit_status == 127) {
    return answer;
  }
  const Result<ProgramOutput> alike = output_of(
      {client, "container", "ls", "--all", "--no-trunc", "--quiet", "--filter", "id=" + name});
  answer.alive = alike && alike->exit_status == 0;
  answer.ambiguous = answer.alive && has_two_lines(alike->text);
  if (!answer.alive) {
    answer.complaint = complaint_of({client, "container", "ls", "--quiet"});
  }
  return answer;
}

Result<std::string> cgroup_of(const Inspected& container, const std::string& name) {
  if (container.pid <= 0) {
    return Error{"the container " + name + " does not run"};
  }
  const Result<std::string> membership =
      read_file("/proc/" + std::to_string(container.pid) + "/cgroup");
  const std::optional<std::string> path =
      container_part(cgroup2_path(membership ? *membership : ""), container.id);
  if (!path) {
    return Error{"the container " + name +
                 " does not run below a cgroup2 of this machine: its engine is elsewhere "
                 "(DOCKER_HOST), or uses cgroup v1"};
  }
  return find_cgroup(*path);
}

Result<std::string> cgroup_by_name(const std::string& digits, const std::string& why) {
  std::vector<std::string> found;
  for (const Mount& mount : our_cgroup2_mounts()) {
    std::vector<std::string> here = cgroups_named(digits, mount.mount_point);
    if (!here.empty() && found.empty()) {  // several mounts show the same
      found = std::move(here);
    }
  }
  if (found.size() > 1) {
    return Error{"there is more than one container whose id begins with " + digits};
  }
  if (found.empty()) {
    return Error{why + ", and no cgroup has this id in its name"};
  }
  return found.front();
}

bool is_populated(int events) {
  char text[256];
  const ssize_t got = ::pread(events, text, sizeof text, 0);  // ENODEV: it was removed
  return got > 0 && std::string_view(text, static_cast<size_t>(got)).find("populated 1") !=
                        std::string_view::npos;
}

bool ends_the_watch(int signals) {
  signalfd_siginfo info{};
  bool ends = false;
  while (::read(signals, &info, sizeof info) == sizeof info) {
    ends =
        ends || info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP;
  }
  return ends;
}

}  // namespace

std::string container_id_in(const std::string& name) {
  for (size_t at = 0, digits = 0; at < name.size(); ++at) {
    digits = kDigits.find(name[at]) == std::string_view::npos ? 0 : digits + 1;
    if (digits == kIdLength) {
      return name.substr(at + 1 - kIdLength, kIdLength);
    }
  }
  return "";
}

std::optional<std::string> container_part(const std::string& cgroup, const std::string& id) {
  for (size_t end = cgroup.find('/', 1);; end = cgroup.find('/', end + 1)) {
    const std::string path = cgroup.substr(0, end);
    const std::string found = container_id_in(path.substr(path.rfind('/') + 1));
    if (!id.empty() && !found.empty() && found.starts_with(id)) {
      return path;
    }
    if (end == std::string::npos) {
      return std::nullopt;
    }
  }
}

std::vector<std::string> cgroups_named(const std::string& digits, const std::string& directory) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::recursive_directory_iterator
           entry(directory, fs::directory_options::skip_permission_denied, error),
       end;
       !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (!entry->is_directory(gone)) {
      continue;
    }
    if (container_id_in(entry->path().filename()).starts_with(digits)) {
      found.push_back(entry->path());
      entry.disable_recursion_pending();
    }
  }
  std::ranges::sort(found);
  return found;
}

Result<std::string> find_cgroup(const std::string& path) {
  if (!path.starts_with("/")) {
    return Error{"the path of a cgroup begins with /: " + path};
  }
  if (is_cgroup2(path)) {
    return unless_root(path);
  }
  const std::vector<Mount> mounts = our_cgroup2_mounts();
  for (const Mount& mount : mounts) {
    const std::optional<std::string> directory = path_through(mount, path);
    if (directory && is_cgroup2(*directory)) {
      return unless_root(*directory);
    }
  }
  if (mounts.empty()) {
    return Error{"no cgroup2 file system is mounted here"};
  }
  struct stat status {};
  return Error{path + (::stat(path.c_str(), &status) == 0
                           ? " is no directory of a cgroup2 file system"
                           : ": there is no such cgroup")};
}

Result<std::string> find_cgroup_of_container(const std::string& name) {
  std::string answering, silent, complaints;
  for (const char* const client : {"docker", "podman"}) {
    const Answer answer = ask_engine(client, name);
    if (answer.container) {
      return cgroup_of(*answer.container, name);
    }
    if (answer.ambiguous) {
      return Error{"there is more than one container whose id begins with " + name};
    }
    std::string& names = answer.alive ? answering : silent;
    names += (names.empty() ? "" : " and ") + std::string(client);
    if (!answer.complaint.empty()) {
      complaints += "; " + std::string(client) + ": " + answer.complaint;
    }
  }
  const bool is_id = name.size() >= kShortId && name.size() <= kIdLength &&
                     name.find_first_not_of(kDigits) == std::string::npos;
  const std::string why =
      "no container " + name + " is to be found: " +
      (answering.empty() ? "neither docker nor podman reaches an engine"
                         : answering + " told of none") +
      (answering.empty() || silent.empty() ? "" : "; " + silent + " reaches no engine") +
      complaints;
  if (!is_id) {
    return Error{why + (answering.empty()
                            ? "; without an engine at least 12 digits of its id are needed"
                            : "")};
  }
  return cgroup_by_name(name, why);
}

Result<std::string> find_cgroup_of_id(const std::string& id) {
  return cgroup_by_name(id, "no container " + id);
}

Result<RunOutcome> watch_attached(const std::string& cgroup,
                                  std::optional<std::chrono::milliseconds> at_most) {
  sigset_t ending;
  sigemptyset(&ending);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&ending, signal);
  }
  const UniqueFd signals(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) {
    return errno_error("cannot receive signals");
  }
  RunOutcome outcome;
  outcome.started = std::chrono::system_clock::now();
  const Clock::time_point begin = Clock::now();
  const UniqueFd events(::open((cgroup + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  bool over = !events;
  while (!over && is_populated(events.get()) && !ends_the_watch(signals.get())) {
    int timeout = -1;
    if (at_most) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(begin + *at_most - Clock::now()).count();
      over = left <= 0;
      timeout = static_cast<int>(std::clamp<long>(left, 0, 3'600'000));
    }
    if (!over) {
      pollfd polled[] = {{signals.get(), POLLIN, 0}, {events.get(), POLLPRI, 0}};
      ::poll(polled, 2, timeout);  // an error shows up as nothing to do, and the next round
    }
  }
  outcome.duration = Clock::now() - begin;
  return outcome;
}

}  // namespace crashcrawler
