#include "tests/unit/launch/process_support.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runner/base/file.h"

namespace crashcrawler::testing {

ScratchFolder::ScratchFolder()
    : path_(std::filesystem::temp_directory_path() / "crashcrawler-launch-XXXXXX") {
  EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  ::chmod(path_.c_str(), 0755);
}

ScratchFolder::~ScratchFolder() {
  std::filesystem::remove_all(path_);
}

std::string ScratchFolder::file(const std::string& name, const std::string& text,
                                mode_t mode) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path) << text;
  EXPECT_EQ(::chmod(path.c_str(), mode), 0);
  return path;
}

namespace {

// The mount point of cgroup2, from "36 35 98:0 / /mnt rw - cgroup2 source options"
// (proc_pid_mountinfo(5)).
std::string cgroup2_mount() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") != std::string::npos) {
      std::istringstream fields(line);
      std::string skipped, point;
      fields >> skipped >> skipped >> skipped >> skipped >> point;
      return point;
    }
  }
  return "";
}

std::string own_cgroup() {
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::")) {
      return line.substr(3) == "/" ? "" : line.substr(3);
    }
  }
  return "";
}

void write_control(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size())) << path;
}

}  // namespace

ScratchCgroup::ScratchCgroup() {
  // What a command leaves behind ends up with us, not with init.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const std::string mount = cgroup2_mount();
  if (mount.empty()) {
    reason = "no cgroup2 file system is mounted";
    return;
  }
  path_ = mount + own_cgroup() + "/crashcrawler-test-" + std::to_string(::getpid());
  if (::mkdir(path_.c_str(), 0755) != 0) {
    reason = "cannot create a cgroup: " + errno_error(path_).message;
    path_.clear();
  }
}

ScratchCgroup::~ScratchCgroup() {
  if (path_.empty() || !std::filesystem::exists(path_)) {
    return;
  }
  kill();
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  for (auto& entry : std::filesystem::directory_iterator(path_)) {
    if (entry.is_directory()) {
      ::rmdir(entry.path().c_str());
    }
  }
  ::rmdir(path_.c_str());
}

void ScratchCgroup::add(pid_t pid) const {
  write_control(path_ + "/cgroup.procs", std::to_string(pid));
}

void ScratchCgroup::kill() const {
  pollfd emptied{::open((path_ + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC), POLLPRI, 0};
  const UniqueFd events(emptied.fd);
  write_control(path_ + "/cgroup.kill", "1");
  char text[256] = {};
  while (::pread(emptied.fd, text, sizeof text - 1, 0) > 0 &&
         std::string(text).starts_with("populated 1")) {
    ::poll(&emptied, 1, -1);
  }
}

std::string read_line(int fd) {
  std::string line;
  char next = 0;
  while (::read(fd, &next, 1) == 1 && next != '\n') {
    line += next;
  }
  if (!line.empty() && line.back() == '\r') {  // terminals
    line.pop_back();
  }
  return line;
}

std::string read_all(int fd) {
  std::string text;
  char piece[4096];
  for (ssize_t got = 0; (got = ::read(fd, piece, sizeof piece)) > 0;) {
    text.append(piece, static_cast<size_t>(got));
  }
  return text;
}

ForkedProcess::ForkedProcess(const std::function<int()>& body) {
  int to[2], from[2];
  EXPECT_EQ(::pipe2(to, O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(from, O_CLOEXEC), 0);
  input_.reset(to[1]);
  output_.reset(from[0]);
  const UniqueFd their_input(to[0]), their_output(from[1]);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setsid();
    ::dup2(to[0], STDIN_FILENO);
    ::dup2(from[1], STDOUT_FILENO);
    ::close(to[1]);  // else it would hold its own input open
    ::close(from[0]);
    const int status = body();
    std::fflush(stdout);
    ::_exit(status);
  }
}

ForkedProcess::~ForkedProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait();
  }
}

std::string ForkedProcess::read_line() {
  return testing::read_line(output_.get());
}
std::string ForkedProcess::read_all() {
  return testing::read_all(output_.get());
}

int ForkedProcess::wait() {
  int status = -1;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

int wrap(const std::string& script, const Supervision& supervision, const ScratchCgroup* cgroup) {
  block_supervised_signals();
  const Command command{{"sh", "-c", script}, "/"};
  Result<HeldCommand> held = HeldCommand::start(command, "/bin/sh", false);
  if (!held) {
    return 99;
  }
  if (cgroup) {
    cgroup->add(held->pid());
  }
  if (!held->release()) {
    return 99;
  }
  const Result<RunOutcome> outcome = supervise(*held, supervision);
  if (!outcome) {
    return 99;
  }
  std::string leftovers;
  for (const LeftoverProcess& process : outcome->leftovers) {
    leftovers += (leftovers.empty() ? "" : ",") + process.name;
  }
  std::printf("outcome exit=%d signal=%d interrupted=%d leftovers=%s errors=%zu%s\n",
              outcome->exit_code, outcome->signal, outcome->interrupted, leftovers.c_str(),
              outcome->soft_errors.size(), outcome->timed_out ? " timed out" : "");
  return 0;
}

}  // namespace crashcrawler::testing
