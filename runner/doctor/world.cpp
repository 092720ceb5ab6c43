#include "runner/doctor/world.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The kernel looks at the command last: EINVAL is its own answer, anything else that of whoever stands before it.
int try_bpf() {
  constexpr int kNoCommand = 0xffff;
  bpf_attr nothing;
  std::memset(&nothing, 0, sizeof nothing);
  const long answer = ::syscall(SYS_bpf, kNoCommand, &nothing, sizeof nothing);
  return answer < 0 && errno != EINVAL ? errno : 0;
}

int try_ptrace() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
      ::pause();
    }
  }
  if (child < 0) {
    return errno;
  }
  const int error = ::ptrace(PTRACE_SEIZE, child, nullptr, nullptr) == 0 ? 0 : errno;
  ::kill(child, SIGKILL);
  wait_for(child);
  return error;
}

int enter_cgroup(const std::string& directory) {
  const UniqueFd members(::open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  return members && ::write(members.get(), "0", 1) == 1 ? 0 : errno;
}

// Only root can have one made here; others ask the probe, which is root: for them it only counts that it is not
// read-only. The name is one that the next run sweeps away if we are killed.
int try_cgroup(const std::string& folder) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) {
    return errno;
  }
  if ((status.f_flag & ST_RDONLY) != 0) {
    return EROFS;
  }
  if (::geteuid() != 0) {
    return 0;
  }
  const std::string directory =
      folder + "/crashcrawler-" + std::to_string(::getpid()) + "-00000000";
  if (::mkdir(directory.c_str(), 0755) != 0) {
    return errno;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(enter_cgroup(directory));
  }
  const int error = child < 0 ? errno : wait_for(child);
  ::rmdir(directory.c_str());
  return error;
}

int try_file(const std::string& folder) {
  std::string name = folder + "/.crashcrawler-doctor-XXXXXX";
  const UniqueFd file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) {
    return errno;
  }
  const std::string page(4096, 'x');  // a full disk may have room for a name
  const bool written = ::write(file.get(), page.data(), page.size()) == 4096;
  const int error = written ? 0 : errno;
  ::unlink(name.c_str());
  return error;
}

std::pair<uint64_t, uint64_t> limits_of(__rlimit_resource resource) {
  rlimit limit{};
  ::getrlimit(resource, &limit);
  return {limit.rlim_cur, limit.rlim_max};
}

// In the child: what `command` says goes to `output`.
[[noreturn]] void become(const std::vector<std::string>& command, int output) {
  std::vector<char*> words;
  for (const std::string& word : command) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::setenv("LC_ALL", "C", 1);
  ::execvp(words.front(), words.data());
  ::_exit(127);
}

Answer ask(const std::vector<std::string>& command) {
  constexpr size_t kMostWords = 16 << 10;
  Answer answer;
  int pipes[2];
  if (::pipe2(pipes, O_CLOEXEC) != 0) {
    return answer;
  }
  const UniqueFd words(pipes[0]);
  UniqueFd output(pipes[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    become(command, output.get());
  }
  output.reset();
  char piece[1024];
  for (ssize_t got = 1; child > 0 && got > 0;) {
    got = ::read(words.get(), piece, sizeof piece);
    if (got > 0 && answer.words.size() < kMostWords) {
      answer.words.append(piece, static_cast<size_t>(got));
    }
  }
  answer.status = child > 0 ? wait_for(child) : 127;
  return answer;
}

}  // namespace

std::string World::text_of(const std::string& path) const {
  const Result<std::string> text = read_file(root + path);
  return text ? *text : "";
}

bool World::exists(const std::string& path) const {
  return ::access((root + path).c_str(), F_OK) == 0;
}

std::string World::status_field(const std::string& name) const {
  std::istringstream lines(text_of("/proc/self/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ":")) {
      const size_t start = line.find_first_not_of(" \t", name.size() + 1);
      return start == std::string::npos ? "" : line.substr(start);
    }
  }
  return "";
}

World this_world() {
  World world;
  world.user = ::geteuid();
  if (const passwd* entry = ::getpwuid(world.user)) {
    world.user_name = entry->pw_name;
  } else {
    world.user_name = "#" + std::to_string(world.user);  // as sudoers(5) writes it
  }
  world.variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  world.home = world.variable("HOME");
  if (char* here = ::getcwd(nullptr, 0)) {
    world.working_directory = here;
    std::free(here);
  }
  world.is_ambient = [](int capability) {
    return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1;
  };
  world.try_bpf = try_bpf;
  world.try_ptrace = try_ptrace;
  world.try_cgroup = try_cgroup;
  world.try_file = try_file;
  world.ask = ask;
  world.core_limits = [] { return limits_of(RLIMIT_CORE); };
  world.descriptor_limits = [] { return limits_of(RLIMIT_NOFILE); };
  return world;
}

}  // namespace crashcrawler
