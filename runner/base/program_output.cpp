#include "runner/base/program_output.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

constexpr size_t kMostOutput = 64 << 10;
constexpr int kNotFound = 127, kSignalled = 128;

// `kept`: which of the standard streams goes to `output`.
[[noreturn]] void be_the_program(pid_t parent, int kept, int output, std::vector<char*>& words) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(0);  // it died before the line above
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    ::dup2(stream == kept ? output : nothing, stream);
  }
  ::execvp(words.front(), words.data());
  ::_exit(kNotFound);
}

Result<ProgramOutput> stream_of(const std::vector<std::string>& command, int kept) {
  std::vector<char*> words;
  for (const std::string& word : command) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  int pipes[2];
  if (::pipe2(pipes, O_CLOEXEC) != 0) {
    return errno_error("cannot make a pipe for " + command.front());
  }
  const UniqueFd ours(pipes[0]);
  UniqueFd theirs(pipes[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return errno_error("cannot start " + command.front());
  }
  if (pid == 0) {
    be_the_program(parent, kept, theirs.get(), words);
  }
  theirs.reset();
  ProgramOutput output;
  output.text = read_until_end(ours.get(), kMostOutput);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  output.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
  return output;
}

}  // namespace

std::string read_until_end(int fd, size_t most) {
  std::string text;
  char piece[4096];
  for (;;) {
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return text;
    }
    text.append(piece, std::min(static_cast<size_t>(got), most - text.size()));
  }
}

bool is_static_program() {
  return ::getauxval(AT_BASE) == 0;
}

Result<ProgramOutput> output_of(const std::vector<std::string>& command) {
  return stream_of(command, STDOUT_FILENO);
}

std::string complaint_of(const std::vector<std::string>& command) {
  const Result<ProgramOutput> said = stream_of(command, STDERR_FILENO);
  return said ? said->text.substr(0, said->text.find('\n')) : "";
}

}  // namespace crashcrawler
