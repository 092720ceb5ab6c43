// Signals, process groups, users and terminals belong to a whole process, so these tests do their
// work in forked ones and talk to them over pipes. Everything waits on what happens; CTest's
// timeout is the only clock.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "runner/base/unique_fd.h"
#include "runner/launch/supervise.h"

namespace crashcrawler::testing {

// A temporary folder that is gone with the object.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  // Writes a file in it and returns its path.
  std::string file(const std::string& name, const std::string& text, mode_t mode) const;

 private:
  std::string path_;
};

// A fresh cgroup below ours. Not there: `reason` says why, for GTEST_SKIP.
class ScratchCgroup {
 public:
  ScratchCgroup();
  ~ScratchCgroup();  // kills what is left in it
  ScratchCgroup(const ScratchCgroup&) = delete;

  explicit operator bool() const { return reason.empty(); }
  const std::string& path() const { return path_; }
  void add(pid_t pid) const;
  void kill() const;

  std::string reason;

 private:
  std::string path_;
};

// A forked process with pipes on its stdin and stdout, in a session of its own.
class ForkedProcess {
 public:
  explicit ForkedProcess(const std::function<int()>& body);
  ~ForkedProcess();  // kills it when it has not been waited for
  ForkedProcess(const ForkedProcess&) = delete;

  pid_t pid() const { return pid_; }
  std::string read_line();
  std::string read_all();
  void close_input() { input_.reset(); }
  int wait();  // status as waitpid(2) gives it

 private:
  pid_t pid_ = -1;
  UniqueFd input_, output_;
};

std::string read_line(int fd);
std::string read_all(int fd);

// What crashcrawler-run does around a command, with the outcome as the last line on stdout:
// "outcome exit=0 signal=0 interrupted=0 leftovers=cat,sleep errors=0", and " timed out" when it has. 99 when something failed.
int wrap(const std::string& script, const Supervision& supervision,
         const ScratchCgroup* cgroup = nullptr);

}  // namespace crashcrawler::testing
