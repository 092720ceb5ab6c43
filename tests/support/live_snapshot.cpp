// The traced program and its threads are a process group of their own, so that waiting for them
// never takes away the exit of another child of the test.
#include "tests/support/live_snapshot.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <sstream>

#include "runner/base/file.h"

namespace crashcrawler::tests {

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kUserCode32 =
    0x23;  // the code segment of 32-bit programs, arch/x86/include/asm/segment.h

class Tracee {
 public:
  explicit Tracee(pid_t pid) : pid_(pid) {}
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;
  ~Tracee();

  Result<pid_t> run_until(int signal);
  void stop_others(pid_t tid);
  void read(LiveSnapshot& snapshot, pid_t crashed, size_t stack_bytes);

 private:
  void read_process(RawCrash& crash);
  void read_auxv(RawCrash& crash);
  RawThread read_thread(pid_t tid, size_t stack_bytes);
  std::string path(const std::string& name) const {
    return "/proc/" + std::to_string(pid_) + "/" + name;
  }

  pid_t pid_;
  std::map<pid_t, bool> stopped_;  // by thread
};

Tracee::~Tracee() {
  ::kill(pid_, SIGKILL);
  while (::waitpid(-pid_, nullptr, __WALL) > 0 || errno == EINTR) {
  }
}

Result<pid_t> Tracee::run_until(int signal) {
  for (;;) {
    int status = 0;
    const pid_t tid = ::waitpid(-pid_, &status, __WALL);
    if (tid < 0) {
      return errno_error("the program is gone");
    }
    if (!WIFSTOPPED(status)) {
      stopped_.erase(tid);
      if (tid == pid_) {
        return Error{"the program ended with wait status " + std::to_string(status)};
      }
      continue;
    }
    const bool is_new = stopped_.find(tid) == stopped_.end();
    stopped_[tid] = true;
    int deliver = WSTOPSIG(status);
    if (is_new && tid == pid_) {  // stopped by execve(2)
      ::ptrace(PTRACE_SETOPTIONS, tid, nullptr, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
      deliver = 0;
    } else if (status >> 16 != 0 || (is_new && deliver == SIGSTOP)) {  // clone(2), new thread
      deliver = 0;
    } else if (deliver == signal) {
      return tid;
    }
    stopped_[tid] = false;
    ::ptrace(PTRACE_CONT, tid, nullptr, deliver);
  }
}

void Tracee::stop_others(pid_t tid) {
  for (auto& [other, stopped] : stopped_) {
    if (stopped || other == tid) {
      continue;
    }
    ::syscall(SYS_tgkill, pid_, other, SIGSTOP);
    int status = 0;
    stopped = ::waitpid(other, &status, __WALL) == other && WIFSTOPPED(status);
  }
}

void Tracee::read_auxv(RawCrash& crash) {
  const Result<std::string> bytes = read_file(path("auxv"));
  const size_t word = crash.architecture == Architecture::i386 ? 4 : 8;
  for (size_t at = 0; bytes && at + 2 * word <= bytes->size(); at += 2 * word) {
    uint64_t type = 0, value = 0;
    std::memcpy(&type, bytes->data() + at, word);
    std::memcpy(&value, bytes->data() + at + word, word);
    crash.auxv.emplace_back(type, value);
  }
}

Mapping parse_mapping(const std::string& line) {
  Mapping mapping;
  char permissions[5] = "";
  unsigned long start = 0, end = 0, offset = 0, inode = 0;
  int path = 0;
  std::sscanf(line.c_str(), "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, permissions, &offset,
              &mapping.device_major, &mapping.device_minor, &inode, &path);
  mapping.start = start;
  mapping.end = end;
  mapping.file_offset = offset;
  mapping.inode = inode;
  mapping.readable = permissions[0] == 'r';
  mapping.writable = permissions[1] == 'w';
  mapping.executable = permissions[2] == 'x';
  mapping.shared = permissions[3] == 's';
  const std::string name = line.substr(static_cast<size_t>(path));
  if (name.starts_with("/")) {
    static const std::string kDeleted = " (deleted)";
    mapping.deleted = name.ends_with(kDeleted);
    mapping.path = mapping.deleted ? name.substr(0, name.size() - kDeleted.size()) : name;
  }
  return mapping;
}

void Tracee::read_process(RawCrash& crash) {
  char link[4096];
  const ssize_t length = ::readlink(path("exe").c_str(), link, sizeof link);
  crash.executable.assign(link, length > 0 ? static_cast<size_t>(length) : 0);
  read_auxv(crash);
  if (const Result<std::string> maps = read_file(path("maps"))) {
    std::istringstream lines(*maps);
    for (std::string line; std::getline(lines, line);) {
      crash.mappings.push_back(parse_mapping(line));
    }
  }
  if (const Result<std::string> stat = read_file(path("stat"))) {
    std::istringstream fields(stat->substr(stat->rfind(')') + 2));
    std::string field;
    for (int number = 3; number <= 28 && fields >> field; ++number) {  // proc(5): 28 is startstack
    }
    crash.stack_start = std::stoull(field);
  }
}

RawThread Tracee::read_thread(pid_t tid, size_t stack_bytes) {
  RawThread thread;
  thread.tid = tid;
  if (const Result<std::string> name = read_file(path("task/" + std::to_string(tid) + "/comm"))) {
    thread.name = name->substr(0, name->find('\n'));
  }
  user_regs_struct r{};
  ::ptrace(PTRACE_GETREGS, tid, nullptr, &r);
  thread.registers = {r.r15, r.r14, r.r13,    r.r12, r.rbp, r.rbx,     r.r11,    r.r10,
                      r.r9,  r.r8,  r.rax,    r.rcx, r.rdx, r.rsi,     r.rdi,    r.orig_rax,
                      r.rip, r.cs,  r.eflags, r.rsp, r.ss,  r.fs_base, r.gs_base};
  for (uint64_t at = r.rsp; at < r.rsp + stack_bytes;) {
    const uint64_t next = std::min(at / kPage * kPage + kPage, uint64_t{r.rsp} + stack_bytes);
    std::string bytes(next - at, '\0');
    iovec here{bytes.data(), bytes.size()}, there{reinterpret_cast<void*>(at), bytes.size()};
    if (::process_vm_readv(pid_, &here, 1, &there, 1, 0) == static_cast<ssize_t>(bytes.size())) {
      if (!thread.stack.empty() && thread.stack.back().end() == at) {
        thread.stack.back().bytes += bytes;
      } else {
        thread.stack.push_back({at, bytes});
      }
    }
    at = next;
  }
  return thread;
}

void Tracee::read(LiveSnapshot& snapshot, pid_t crashed, size_t stack_bytes) {
  RawCrash& crash = snapshot.crash;
  crash.pid = pid_;
  crash.crashing_tid = crashed;
  crash.threads.push_back(read_thread(crashed, stack_bytes));
  crash.threads.front().crashed = true;
  for (const auto& [tid, stopped] : stopped_) {
    if (stopped && tid != crashed) {
      crash.threads.push_back(read_thread(tid, stack_bytes));
    }
  }
  if (crash.threads.front().registers.cs == kUserCode32) {
    crash.architecture = Architecture::i386;
  }
  read_process(crash);
  for (const Mapping& mapping : crash.mappings) {
    if (mapping.path.empty() || snapshot.files.count(file_key(mapping)) != 0) {
      continue;
    }
    PinnedFile file;
    file.fd.reset(::open(mapping.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file.fd) {
      file.error = errno_error("cannot open it").message;
    }
    snapshot.files.emplace(file_key(mapping), std::move(file));
  }
}

[[noreturn]] void become_program(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::setpgid(0, 0);
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  ::execv(pointers[0], pointers.data());
  ::_exit(127);
}

}  // namespace

Result<LiveSnapshot> snapshot_at_signal(const std::vector<std::string>& arguments, int signal,
                                        size_t stack_bytes) {
  const pid_t pid = ::fork();
  if (pid < 0) {
    return errno_error("cannot fork");
  }
  if (pid == 0) {
    become_program(arguments);
  }
  ::setpgid(pid, pid);  // in both: whoever comes first
  Tracee tracee(pid);
  const Result<pid_t> crashed = tracee.run_until(signal);
  if (!crashed) {
    return crashed.error().in(arguments[0]);
  }
  tracee.stop_others(*crashed);
  LiveSnapshot snapshot;
  tracee.read(snapshot, *crashed, stack_bytes);
  return snapshot;
}

}  // namespace crashcrawler::tests
