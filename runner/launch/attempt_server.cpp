// Rivals of a server inside of the tree: a held child for each attempt, moved in by the probe one by one, costs a round trip
// to a privileged program and a migration (which waits for RCU, milliseconds) each; one probe for each attempt costs 135 ms. Here an attempt is
// one clone3(CLONE_INTO_CGROUP) and an exec.
//
// The server never executes anything, so that the collector knows no command line of it and it is nobody's reported ancestor. It is
// in our process group, has the signals that we hold back blocked, too, and leaves at the end of file of its socket: when
// we have done with it or are dead. Its children are reaped only after all that was asked before has been done, so that a
// signal never goes to a pid that means somebody else.
#include "runner/launch/attempt_server.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <paths.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <map>
#include <type_traits>
#include <vector>

#include "runner/base/unique_fd.h"
#include "runner/launch/chaos.h"
#include "runner/launch/held_command.h"
#include "runner/launch/inherited_signals.h"
#include "runner/launch/own_descriptors.h"

namespace crashcrawler {
namespace {

constexpr int kHarnessFailed = 125;

struct Request {
  enum class Kind : int32_t { start, signal, move } kind = Kind::start;
  int32_t number = 0;
  int32_t signal = 0;
  int32_t has_chaos = 0;
  ChaosSettings chaos;
  char cgroup[PATH_MAX] = {};
};
static_assert(std::is_trivially_copyable_v<Request> && std::is_trivially_copyable_v<AttemptEvent>);

std::vector<char*> null_terminated(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) {
    pointers.push_back(const_cast<char*>(string.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Where our standard input is, if attempts can have it from there on; -1: they cannot.
off_t offset_of_input() {
  struct stat status {};
  return ::fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode)
             ? ::lseek(STDIN_FILENO, 0, SEEK_CUR)
             : -1;
}

bool write_zero(const char* cgroup, const char* file) {
  char path[PATH_MAX + 32];
  ::snprintf(path, sizeof path, "%s/%s", cgroup, file);
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), "0", 1) == 1;
}

class Server {
 public:
  Server(const Command& command, const std::string& executable, bool keep_core, int socket)
      : executable_(executable),
        arguments_(command.arguments),
        by_shell_(command.arguments),
        keep_core_(keep_core),
        socket_(socket),
        input_offset_(offset_of_input()) {
    by_shell_.front() = executable;
    by_shell_.insert(by_shell_.begin(), _PATH_BSHELL);
  }

  [[noreturn]] void serve() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child, nullptr);
    const UniqueFd deaths(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    for (;;) {
      pollfd polled[] = {{socket_, POLLIN, 0}, {deaths.get(), POLLIN, 0}};
      ::poll(polled, 2, -1);
      while (take_request()) {
      }
      signalfd_siginfo info{};
      while (::read(deaths.get(), &info, sizeof info) > 0) {
      }
      reap();
    }
  }

 private:
  bool take_request() {
    Request request;
    const ssize_t got = ::recv(socket_, &request, sizeof request, MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) {
        return false;
      }
      ::_exit(0);
    }
    if (got != sizeof request) {
      ::_exit(0);
    }
    switch (request.kind) {
      case Request::Kind::start:
        start(request);
        break;
      case Request::Kind::signal:
        for (const auto& [pid, number] : running_) {
          if (number == request.number) {
            ::kill(pid, request.signal);
          }
        }
        break;
      case Request::Kind::move: {
        const bool moved = write_zero(request.cgroup, "cgroup.procs");
        say(AttemptEvent::Kind::started, 0, ::getpid(), moved ? 0 : errno);
        break;
      }
    }
    return true;
  }

  void say(AttemptEvent::Kind kind, int number, pid_t pid, int status) const {
    const AttemptEvent event{kind, number, pid, status};
    if (::send(socket_, &event, sizeof event, MSG_NOSIGNAL) != sizeof event) {
      ::_exit(0);
    }
  }

  // `pid`: as fork(2) returns it. In the cgroup from its first moment on where clone3(2) is allowed; a container's seccomp
  // filter may forbid it, and then the child moves itself.
  pid_t fork_into(const char* cgroup) const {
    if (cgroup[0] == '\0') {
      return ::fork();
    }
    const UniqueFd directory(::open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC));
    clone_args arguments{};
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<uint64_t>(directory.get());
    const auto cloned =
        directory ? static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments)) : -1;
    if (cloned >= 0) {
      return cloned;
    }
    const pid_t forked = ::fork();
    if (forked == 0) {
      write_zero(cgroup, "cgroup.procs");
    }
    return forked;
  }

  void start(const Request& request) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      say(AttemptEvent::Kind::not_started, request.number, 0, errno);
      return;
    }
    UniqueFd reading(ends[0]), writing(ends[1]);
    const pid_t pid = fork_into(request.cgroup);
    if (pid == 0) {
      become_attempt(request, writing.get());
    }
    writing.reset();
    int error = pid < 0 ? errno : 0;
    if (pid > 0) {
      ssize_t got = 0;
      do {
        got = ::read(reading.get(), &error, sizeof error);  // end of file: exec has closed it
      } while (got < 0 && errno == EINTR);
    }
    if (error != 0) {
      if (pid > 0) {
        ::waitpid(pid, nullptr, 0);
      }
      say(AttemptEvent::Kind::not_started, request.number, 0, error);
      return;
    }
    running_[pid] = request.number;
    say(AttemptEvent::Kind::started, request.number, pid, 0);
  }

  [[noreturn]] void become_attempt(const Request& request, int errors) {
    provide_input();
    if (!keep_core_) {
      limit_core();
    }
    if (request.has_chaos) {
      disturb_this_process(request.chaos);
    }
    forget_pending_stop();
    restore_inherited_signals();
    ::execve(executable_.c_str(), null_terminated(arguments_).data(), environ);
    if (errno == ENOEXEC) {  // execvp(3) and every shell run such a file with sh
      ::execve(_PATH_BSHELL, null_terminated(by_shell_).data(), environ);
    }
    const int reason = errno;
    [[maybe_unused]] const ssize_t sent = ::write(errors, &reason, sizeof reason);
    ::_exit(kHarnessFailed);
  }

  // A file is opened anew, because a descriptor that is handed down shares its offset with the next attempt.
  void provide_input() const {
    UniqueFd input(::open(input_offset_ >= 0 ? "/proc/self/fd/0" : "/dev/null", O_RDONLY));
    if (!input) {
      input = UniqueFd(::open("/dev/null", O_RDONLY));
    } else if (input_offset_ > 0) {
      ::lseek(input.get(), input_offset_, SEEK_SET);
    }
    ::dup2(input.get(), STDIN_FILENO);
  }

  void reap() {
    siginfo_t info{};
    while (::waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) == 0 && info.si_pid != 0) {
      const auto attempt = running_.find(info.si_pid);
      if (attempt != running_.end()) {
        const int number = attempt->second;
        const bool stopped = info.si_code == CLD_STOPPED;
        if (!stopped) {
          running_.erase(attempt);
        }
        say(stopped                      ? AttemptEvent::Kind::stopped
            : info.si_code == CLD_EXITED ? AttemptEvent::Kind::exited
                                         : AttemptEvent::Kind::killed,
            number, info.si_pid, info.si_status);
      }
      info = {};
    }
  }

  std::string executable_;
  std::vector<std::string> arguments_, by_shell_;
  bool keep_core_;
  int socket_;
  off_t input_offset_;
  std::map<pid_t, int> running_;
};

}  // namespace

struct AttemptServer::State {
  pid_t pid = -1;
  UniqueFd socket;

  ~State() {
    socket.reset();
    while (pid > 0 && ::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  Result<void> send(const Request& request) const {
    if (::send(socket.get(), &request, sizeof request, MSG_NOSIGNAL) != sizeof request) {
      return errno_error("the process that starts the attempts is gone");
    }
    return {};
  }
};

AttemptServer::AttemptServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
AttemptServer::AttemptServer(AttemptServer&&) noexcept = default;
AttemptServer& AttemptServer::operator=(AttemptServer&&) noexcept = default;
AttemptServer::~AttemptServer() = default;

Result<AttemptServer> AttemptServer::start(const Command& command, const std::string& executable,
                                           bool keep_core) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return errno_error("cannot make the socket to the process that starts the attempts");
  }
  UniqueFd ours(ends[0]), servers(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) {
    return errno_error("cannot start the process that starts the attempts");
  }
  if (pid == 0) {
    close_own_descriptors(servers.get());
    Server(command, executable, keep_core, servers.get()).serve();
  }
  auto state = std::make_unique<State>();
  state->pid = pid;
  state->socket = std::move(ours);
  return AttemptServer(std::move(state));
}

pid_t AttemptServer::pid() const {
  return state_->pid;
}

int AttemptServer::fd() const {
  return state_->socket.get();
}

Result<void> AttemptServer::start_attempt(int number, const std::string& cgroup,
                                          const std::optional<ChaosSettings>& chaos) {
  Request request;
  request.number = number;
  if (cgroup.size() >= sizeof request.cgroup) {
    return Error{"the name of the cgroup is too long: " + cgroup};
  }
  std::memcpy(request.cgroup, cgroup.data(), cgroup.size());
  if (chaos) {
    request.has_chaos = 1;
    request.chaos = *chaos;
  }
  return state_->send(request);
}

void AttemptServer::send_signal(int number, int signal) {
  Request request;
  request.kind = Request::Kind::signal;
  request.number = number;
  request.signal = signal;
  ignore(state_->send(request));  // a server that is gone has no attempts
}

Result<void> AttemptServer::move_to(const std::string& cgroup) {
  Request request;
  request.kind = Request::Kind::move;
  if (cgroup.size() >= sizeof request.cgroup) {
    return Error{"the name of the cgroup is too long: " + cgroup};
  }
  std::memcpy(request.cgroup, cgroup.data(), cgroup.size());
  if (const Result<void> sent = state_->send(request); !sent) {
    return sent;
  }
  AttemptEvent answer;
  if (::recv(state_->socket.get(), &answer, sizeof answer, 0) != sizeof answer) {
    return errno_error("the process that starts the attempts is gone");
  }
  errno = answer.status;
  return answer.status == 0 ? Result<void>() : errno_error("cannot move to the cgroup " + cgroup);
}

Result<std::optional<AttemptEvent>> AttemptServer::next_event() {
  AttemptEvent event;
  const ssize_t got = ::recv(state_->socket.get(), &event, sizeof event, MSG_DONTWAIT);
  if (got == sizeof event) {
    return std::optional<AttemptEvent>(event);
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return std::optional<AttemptEvent>();
  }
  return Error{"the process that starts the attempts is gone"};
}

}  // namespace crashcrawler
