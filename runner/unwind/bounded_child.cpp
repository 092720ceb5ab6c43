// The child's limits, and why each:
//   RLIMIT_AS            a decompressed section or a table of a billion entries must not take the
//                        machine down. Counted from what the child inherits: the crashes themselves
//                        may be large. Not under AddressSanitizer, which reserves terabytes.
//   RLIMIT_CPU           moved on before every item; ends a loop even when the parent is stopped.
//   PR_SET_PDEATHSIG     nobody is left behind when the parent is killed.
//   PR_SET_DUMPABLE 0    the child's own death leaves no core and starts no core_pattern helper
//                        (core(5)); RLIMIT_CORE 0 alone does not keep the kernel from starting a
//                        piped helper.
//   closed descriptors   a child that has been taken over has no socket to the privileged helper,
//                        and one that lives on for a moment does not keep a dead parent's sockets
//                        open.
// The keys of the terminal are for the parent, which decides what becomes of the child.
//
// A message is its length, eight bytes, and as many bytes. The parent believes neither: the length
// is capped, every read has a deadline, and whatever goes wrong costs one item and the child.
#include "runner/unwind/bounded_child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "runner/base/signal_names.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kLongestMessage = uint64_t{64} << 20;
constexpr int kChildFailed = 78;  // an exception

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else
constexpr bool kAddressSanitizer = false;
#endif

void set_soft_limit(__rlimit_resource resource, rlim_t value) {
  struct rlimit limit;
  if (::getrlimit(resource, &limit) == 0) {
    limit.rlim_cur = std::min(value, limit.rlim_max);
    ::setrlimit(resource, &limit);
  }
}

size_t inherited_address_space() {
  unsigned long pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%lu", &pages) != 1) {
      pages = 0;
    }
    std::fclose(file);
  }
  return pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

void reset_signals() {
  struct sigaction action {};
  for (int signal = 1; signal < NSIG; ++signal) {
    const bool of_terminal = signal == SIGINT || signal == SIGQUIT || signal == SIGHUP ||
                             signal == SIGTERM || signal == SIGTSTP;
    action.sa_handler = of_terminal ? SIG_IGN : SIG_DFL;
    ::sigaction(signal, &action, nullptr);  // fails for SIGKILL and SIGSTOP, as it should
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_all_but(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : kept) {
    if (fd >= static_cast<int>(next)) {
      if (static_cast<unsigned>(fd) > next) {
        ::close_range(next, static_cast<unsigned>(fd) - 1, 0);
      }
      next = static_cast<unsigned>(fd) + 1;
    }
  }
  ::close_range(next, ~0u, 0);
}

void allow_processor_time(std::chrono::seconds more) {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  set_soft_limit(RLIMIT_CPU, static_cast<rlim_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
                                                 more.count() + 2));
}

bool write_all(int fd, const void* from, size_t size) {
  const char* bytes = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t put = ::write(fd, bytes, size);
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put <= 0) {
      return false;
    }
    bytes += put;
    size -= static_cast<size_t>(put);
  }
  return true;
}

[[noreturn]] void be_the_child(pid_t parent, int pipe, size_t first, size_t items,
                               const ChildLimits& limits,
                               const std::function<std::string(size_t)>& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(0);  // it died before the line above
  }
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_NAME, "crawler-unwind");
  reset_signals();
  set_soft_limit(RLIMIT_CORE, 0);
  if (!kAddressSanitizer) {
    set_soft_limit(RLIMIT_AS, inherited_address_space() + limits.memory);
  }
  try {
    std::vector<int> kept = limits.open_files;
    kept.push_back(pipe);
    close_all_but(std::move(kept));
    for (size_t i = first; i < items; ++i) {
      allow_processor_time(limits.per_item);
      const std::string bytes = work(i);
      const uint64_t size = bytes.size();
      if (!write_all(pipe, &size, sizeof size) || !write_all(pipe, bytes.data(), bytes.size())) {
        break;
      }
    }
  } catch (const std::bad_alloc&) {
    ::_exit(kChildOutOfMemory);
  } catch (const std::exception&) {
    ::_exit(kChildFailed);
  }
  ::_exit(0);  // no exit handlers: they belong to the parent
}

class Child {
 public:
  Child(pid_t pid, UniqueFd pipe) : pid_(pid), pipe_(std::move(pipe)) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  Result<std::string> receive(const ChildLimits& limits);

 private:
  enum class Got { all, end_of_file, too_late, broken };

  Got read_all(void* into, size_t size, Clock::time_point deadline);
  Error failure(Got got, const ChildLimits& limits);
  int end();

  pid_t pid_;
  UniqueFd pipe_;
};

Child::Got Child::read_all(void* into, size_t size, Clock::time_point deadline) {
  char* bytes = static_cast<char*>(into);
  while (size > 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return Got::too_late;
    }
    struct pollfd wait {
      pipe_.get(), POLLIN, 0
    };
    const int timeout = static_cast<int>(std::min<int64_t>(left, 3'600'000));
    if (::poll(&wait, 1, timeout) <= 0) {
      continue;
    }
    const ssize_t got = ::read(pipe_.get(), bytes, size);
    if (got == 0) {
      return Got::end_of_file;
    }
    if (got > 0) {
      bytes += got;
      size -= static_cast<size_t>(got);
    } else if (errno != EINTR) {
      return Got::broken;
    }
  }
  return Got::all;
}

Result<std::string> Child::receive(const ChildLimits& limits) {
  const Clock::time_point deadline = Clock::now() + limits.per_item;
  uint64_t size = 0;
  Got got = read_all(&size, sizeof size, deadline);
  if (got == Got::all && size > kLongestMessage) {
    got = Got::broken;
  }
  std::string bytes;
  if (got == Got::all) {
    bytes.resize(size);
    got = read_all(bytes.data(), size, deadline);
  }
  if (got == Got::all) {
    return bytes;
  }
  return failure(got, limits);
}

Error Child::failure(Got got, const ChildLimits& limits) {
  // A child that has closed its end is dying already: the signal that end() sends does not change
  // how.
  const int status = end();
  if (got == Got::too_late) {
    return Error{"child took longer than " + std::to_string(limits.per_item.count()) + " s"};
  }
  if (got == Got::broken) {
    return Error{"child sent a broken message"};
  }
  if (WIFSIGNALED(status)) {
    const char* why = WTERMSIG(status) == SIGXCPU ? " (processor time limit)" : "";
    return Error{"child ended by " + signal_name(WTERMSIG(status)) + why};
  }
  if (WEXITSTATUS(status) == kChildOutOfMemory) {
    return Error{"child could not get more than " + std::to_string(limits.memory >> 20) +
                 " MiB of memory"};
  }
  return Error{"child ended with status " + std::to_string(WEXITSTATUS(status))};
}

int Child::end() {
  if (pid_ <= 0) {
    return 0;
  }
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

}  // namespace

void work_in_child(size_t items, const ChildLimits& limits,
                   const std::function<std::string(size_t)>& work,
                   const std::function<void(size_t, Result<std::string>)>& deliver) {
  size_t next = 0;
  while (next < items) {
    int ends[2];
    const pid_t parent = ::getpid();
    const bool piped = ::pipe2(ends, O_CLOEXEC) == 0;
    const pid_t pid = piped ? ::fork() : -1;
    if (pid == 0) {
      be_the_child(parent, ends[1], next, items, limits, work);
    }
    if (pid < 0) {
      const Error error = errno_error("cannot start a child");
      if (piped) {
        ::close(ends[0]);
        ::close(ends[1]);
      }
      for (; next < items; ++next) {
        deliver(next, error);
      }
      return;
    }
    ::close(ends[1]);
    Child child(pid, UniqueFd(ends[0]));
    for (bool alive = true; alive && next < items; ++next) {
      Result<std::string> bytes = child.receive(limits);
      alive = static_cast<bool>(bytes);
      deliver(next, std::move(bytes));
    }
  }
}

}  // namespace crashcrawler
