#include "runner/attribute/bounded_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>
#include <utility>

#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostWords = 4096;                // of standard error
constexpr rlim_t kMostMemory = rlim_t{2} << 30;    // of address space
constexpr rlim_t kMostWritten = rlim_t{64} << 20;  // into a file
constexpr int kNotStarted = 127;

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) {
    pointers.push_back(const_cast<char*>(text.c_str()));  // execvpe(3) does not write to it
  }
  pointers.push_back(nullptr);
  return pointers;
}

struct Pipe {
  UniqueFd reader, writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return errno_error("cannot make a pipe");
  }
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// In the child, up to its exec. A group of its own, so that what it starts ends with it.
[[noreturn]] void become_command(const std::vector<char*>& arguments,
                                 const std::vector<char*>& environment, int output, int errors,
                                 std::chrono::milliseconds time) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const auto seconds = static_cast<rlim_t>(time.count() / 1000 + 1);
  const std::pair<__rlimit_resource, rlim_t> limits[] = {{RLIMIT_CPU, seconds},
                                                         {RLIMIT_AS, kMostMemory},
                                                         {RLIMIT_FSIZE, kMostWritten},
                                                         {RLIMIT_CORE, 0}};
  for (const auto& [resource, value] : limits) {
    const rlimit limit{value, value};
    ::setrlimit(resource, &limit);
  }
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
      ::dup2(errors, STDERR_FILENO) >= 0) {
    ::execvpe(arguments[0], arguments.data(), environment.data());
  }
  ::_exit(kNotStarted);
}

// Up to `most` bytes into `text`; the rest is thrown away. False: the end has come.
bool drain(int fd, std::string& text, size_t most) {
  std::array<char, 65536> piece;
  const ssize_t got = ::read(fd, piece.data(), piece.size());
  if (got > 0) {
    text.append(piece.data(),
                std::min(static_cast<size_t>(got), most - std::min(most, text.size())));
  }
  return got > 0 || (got < 0 && errno == EINTR);
}

}  // namespace

Result<std::string> output_of_command(const std::vector<std::string>& arguments,
                                      const std::vector<std::string>& environment,
                                      const CommandLimits& limits) {
  std::vector<std::string> variables = environment;
  if (const char* path = std::getenv("PATH")) {
    variables.push_back(std::string("PATH=") + path);
  }
  Result<Pipe> output = make_pipe(), errors = make_pipe();
  if (!output || !errors) {
    return (!output ? output : errors).error();
  }
  const std::vector<char*> argv = pointers_to(arguments), envp = pointers_to(variables);
  const pid_t child = ::fork();
  if (child < 0) {
    return errno_error("cannot start " + arguments[0]);
  }
  if (child == 0) {
    become_command(argv, envp, output->writer.get(), errors->writer.get(), limits.time);
  }
  ::setpgid(child, child);  // whoever of the two is first
  output->writer.reset();
  errors->writer.reset();

  std::string text, words, over_limit;
  const Clock::time_point end = Clock::now() + limits.time;
  std::array<pollfd, 2> ends{
      {{output->reader.get(), POLLIN, 0}, {errors->reader.get(), POLLIN, 0}}};
  while (over_limit.empty() && (ends[0].fd >= 0 || ends[1].fd >= 0)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) {
      over_limit = "took longer than " + std::to_string(limits.time.count()) + " ms";
      break;
    }
    ::poll(ends.data(), ends.size(), static_cast<int>(left.count()));
    if (ends[0].revents != 0 && !drain(ends[0].fd, text, limits.output + 1)) {
      ends[0].fd = -1;
    }
    if (ends[1].revents != 0 && !drain(ends[1].fd, words, kMostWords)) {
      ends[1].fd = -1;
    }
    if (text.size() > limits.output) {
      over_limit = "had more to say than " + std::to_string(limits.output) + " bytes";
    }
  }
  // It may have closed both and go on.
  int status = 0;
  while (over_limit.empty() && ::waitpid(child, &status, WNOHANG) == 0) {
    if (Clock::now() > end) {
      over_limit = "did not end";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!over_limit.empty()) {
    ::kill(-child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (!over_limit.empty()) {
    return Error{arguments[0] + " " + over_limit};
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNotStarted && words.empty()) {
      return Error{arguments[0] + " is not installed"};
    }
    const std::string reason = words.substr(0, words.find('\n'));
    return Error{arguments[0] + " failed" + (reason.empty() ? "" : ": " + reason)};
  }
  return text;
}

}  // namespace crashcrawler
