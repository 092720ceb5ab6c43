// The probe talks over its standard input because that is the one descriptor that survives sudo: it
// closes everything above 2 (closefrom) and, without I/O logging, hands 0 through even when it
// allocates a terminal (use_pty).
#include "runner/launch/start_probe.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "runner/base/program_output.h"
#include "runner/launch/boost_process.h"
#include "runner/launch/held_command.h"
#include "runner/launch/inherited_signals.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestMessage = 64 << 10;
constexpr const char* kProbeName = "crashcrawler-probe";

bool survives_exec(int capability) {
  return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1;
}

bool is_capable() {
  return ::geteuid() == 0 || (survives_exec(CAP_BPF) && survives_exec(CAP_PERFMON));
}

std::string how_to_get_privileges(const std::string& probe) {
  return "Capturing crashes needs root or CAP_BPF and CAP_PERFMON for " + probe +
         " alone. Either run `sudo -v` first, or allow it for good with a line `YOUR_USER "
         "ALL=(root) NOPASSWD: " +
         probe +
         "` in a file of /etc/sudoers.d, or start crashcrawler-run itself with sudo (the command "
         "still runs as you), or "
         "give --best-effort to run without capture";
}

class ProbeGroup : public bp::extend::handler {
 public:
  template <typename Executor>
  void on_exec_setup(Executor&) const {
    ::setpgid(0, 0);
    restore_inherited_signals();
  }

  template <typename Executor>
  void on_error(Executor& executor, const std::error_code&) const {
    if (executor.pid > 0) {  // exec failed: Boost 1.74 does not reap
      ::waitpid(executor.pid, nullptr, 0);
    }
  }
};

Result<std::vector<std::string>> command_line(const std::string& path, bool through_sudo) {
  if (!through_sudo) {
    return std::vector<std::string>{path};
  }
  const Result<std::string> sudo = resolve_executable(Command{{"sudo"}, ""});
  if (!sudo) {
    return Error{"no privileges to capture with, and no sudo in PATH to get them. " +
                 how_to_get_privileges(path)};
  }
  return std::vector<std::string>{*sudo, "-n", "--", path};
}

std::string read_message(int fd) {
  std::string text = read_until_end(fd, kLargestMessage);
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

// sudo's own messages begin with its name in every language.
bool is_from_sudo(const std::string& text) {
  return text.starts_with("sudo: ") || text.find("\nsudo: ") != text.npos;
}

}  // namespace

Result<std::string> find_probe() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return Error{"cannot tell where this program lies: /proc/self/exe: " + error.message() +
                 "; is /proc mounted?"};
  }
  const std::filesystem::path beside = self.parent_path() / kProbeName;
  const std::filesystem::path installed =
      self.parent_path().parent_path() / "libexec/crashcrawler" / kProbeName;
  for (const std::filesystem::path& candidate : {beside, installed}) {
    if (::access(candidate.c_str(), X_OK) == 0) {
      return candidate.string();
    }
  }
  return Error{"crashcrawler-probe, the helper that captures, is neither " + beside.string() +
               " nor " + installed.string() + "; install it with crashcrawler-run"};
}

Result<ProbeProcess> start_probe(const std::string& path) {
  ProbeProcess probe;
  probe.path = path;
  probe.through_sudo = !is_capable();
  const Result<std::vector<std::string>> words = command_line(path, probe.through_sudo);
  if (!words) {
    return words.error();
  }

  int sockets[2];
  int pipes[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return errno_error("cannot make the socket to the probe");
  }
  probe.socket.reset(sockets[0]);
  const UniqueFd input(sockets[1]);
  if (::pipe2(pipes, O_CLOEXEC) != 0) {
    return errno_error("cannot make the pipe for the probe's messages");
  }
  probe.messages.reset(pipes[0]);
  const UniqueFd output(pipes[1]);

  // Where our own standard streams are closed these may be 1 or 2 themselves, but `input` is never 0
  // (our end was made first and has the smaller number) and is bound before it is overwritten.
  // The probe takes SUDO_UID for the word of a sudo that started it. Of one that started us it is not to hear: we may
  // run the command as somebody else (--user). Where sudo does come in between, it sets its own.
  bp::environment environment = bp::native_environment();
  environment.erase("SUDO_UID");
  std::error_code failure;
  bp::child child(bp::exe = words->front(), environment,
                  bp::args = std::vector<std::string>(words->begin() + 1, words->end()),
                  bp::posix::fd.bind(STDIN_FILENO, input.get()),
                  bp::posix::fd.bind(STDOUT_FILENO, output.get()),
                  bp::posix::fd.bind(STDERR_FILENO, output.get()), ProbeGroup(), failure);
  child.detach();
  if (failure ||
      child.id() <= 0) {  // where Boost cannot make its own pipe there is no child, and no failure
    return Error{"cannot start " + words->front() + ": " +
                 (failure ? failure.message() : "too few file descriptors (ulimit -n)")};
  }
  probe.pid = child.id();
  return probe;
}

namespace {

// In the child. Its socket becomes the first descriptor above the standard ones.
[[noreturn]] void become_tracer(int socket, const std::function<void(int)>& serve) {
  constexpr unsigned int kSocket = STDERR_FILENO + 1;
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::setpgid(0, 0);
  ::dup2(socket, kSocket);
  ::close_range(kSocket + 1, ~0U, 0);
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    ::dup2(nothing.get(), fd);
  }
  if (::chdir("/") == 0) {  // or else a mount that the run has made could not be taken away
    serve(kSocket);
  }
  ::_exit(0);
}

}  // namespace

Result<ProbeProcess> start_tracer(const std::function<void(int socket)>& serve) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return errno_error("cannot make the socket to the tracer");
  }
  ProbeProcess tracer;
  tracer.socket.reset(sockets[0]);
  const UniqueFd its_end(sockets[1]);
  tracer.pid = ::fork();
  if (tracer.pid == 0) {
    become_tracer(its_end.get(), serve);
  }
  if (tracer.pid < 0) {
    return errno_error("cannot start a process for the tracer");
  }
  return tracer;
}

std::string wait_for_probe(ProbeProcess& probe) {
  probe.socket.reset();
  std::string text = read_message(probe.messages.get());
  while (::waitpid(probe.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  probe.pid = -1;
  if (probe.through_sudo && is_from_sudo(text)) {
    text += "\n" + how_to_get_privileges(probe.path);
  }
  return text;
}

}  // namespace crashcrawler
