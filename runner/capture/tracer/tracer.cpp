// How a run is followed by ptrace(2), and what would break it.
//
// PTRACE_SEIZE and the fork options: each child is attached by the kernel before its first instruction, so nobody is
// missed, but for those of clone(2) with CLONE_UNTRACED. No signal is swallowed, changed or put before another; a
// process that stops does stop (PTRACE_LISTEN), so that job control works and its parent sees it.
//
// Two kinds of stop matter. On its way to a thread each signal stops it: then siginfo and registers are kept, nothing
// else, because whether a handler takes it is not known yet, and programs take faults by the million. And at its exit
// each thread stops once more (PTRACE_EVENT_EXIT), with registers and memory as they were: by the code that is told
// there the signal that was kept is the death, or was not. All other threads of the group come by in the same way when
// it is brought down, so their stacks come for free. The dying one is let go when all have been here, the map has been
// sent, and the other end has opened its files: while it stands there its mount namespace lives, too.
//
// What cannot be had:
//  * who sent a SIGKILL: it stops nobody on its way. So a death by it is told where somebody had asked the process to
//    end, or had stopped it, shortly before (ctest, timeout -k and others do), or the kernel has counted one more
//    victim of memory shortage. Other such deaths are mostly how tests end their servers, and are not told.
//  * whether a handler has returned: each system call would have to be stopped at.
//  * two tracers of one process. A debugger in the run would not work, so we stand aside for those known by name, and
//    for what they start.
//  * setuid: execve(2) gives a traced program no more rights than it has, unless its tracer has CAP_SYS_PTRACE
//    (cap_bprm_creds_from_file(), security/commoncap.c).
#include "runner/capture/tracer/tracer.h"

#include <linux/capability.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include "runner/base/signal_names.h"
#include "runner/capture/tracer/traced_thread.h"

namespace crashcrawler {
namespace {

constexpr long kOptions = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                          PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;

bool is_ignored(pid_t tid, int signal) {
  const std::string status = bytes_of_file(folder_of_process(tid) + "/status");
  const std::vector<uint64_t> ignored = status_numbers(status, "SigIgn", 16);
  return !ignored.empty() && (ignored[0] >> (signal - 1) & 1) != 0;
}

// Programs that trace others. A run inside of this one does if it is told to, or if BPF is not to be had here.
bool is_tracer(std::string_view executable, std::string_view command, bool has_bpf) {
  if (executable.ends_with("/crashcrawler-run") &&
      (!has_bpf || command.find("--collector=ptrace") != std::string_view::npos)) {
    return true;
  }
  constexpr std::array<std::string_view, 8> kTracers = {
      "gdb", "gdbserver", "lldb", "lldb-server", "strace", "ltrace", "rr", "proot"};
  return std::ranges::find(kTracers, executable.substr(executable.rfind('/') + 1)) !=
         kTracers.end();
}

pid_t process_of(pid_t tid) {
  const std::vector<uint64_t> numbers =
      status_numbers(bytes_of_file(folder_of_process(tid) + "/status"), "Tgid");
  return numbers.empty() ? 0 : static_cast<pid_t>(numbers[0]);
}

std::string why_refused(pid_t pid, int reason) {
  const std::string status = bytes_of_file(folder_of_process(pid) + "/status");
  const std::vector<uint64_t> tracer = status_numbers(status, "TracerPid");
  if (!tracer.empty() && tracer[0] != 0) {
    return "process " + std::to_string(tracer[0]) + " is tracing it already";
  }
  const int scope = std::atoi(bytes_of_file("/proc/sys/kernel/yama/ptrace_scope").c_str());
  if (reason == EPERM && scope >= 2) {
    return "/proc/sys/kernel/yama/ptrace_scope is " + std::to_string(scope) +
           (scope == 2 ? ", which allows it with CAP_SYS_PTRACE alone" : ", which forbids it");
  }
  const std::vector<uint64_t> seccomp = status_numbers(status, "Seccomp");
  if (!seccomp.empty() && seccomp[0] == 2) {
    return std::string(std::strerror(reason)) +
           "; a seccomp filter is in force, that of a container may forbid ptrace(2): docker run "
           "--cap-add SYS_PTRACE allows it";
  }
  return std::strerror(reason);
}

}  // namespace

Tracer::Tracer(StackSizes sizes, TracerVoice voice, bool has_bpf)
    : sizes_(sizes),
      voice_(std::move(voice)),
      has_bpf_(has_bpf),
      has_proc_(::access("/proc/self/status", F_OK) == 0),
      oom_kills_(oom_kills()) {}

Result<void> Tracer::follow(pid_t held) {
  if (::ptrace(PTRACE_SEIZE, held, nullptr, kOptions) != 0) {
    return Error{"the command cannot be traced by ptrace(2): " + why_refused(held, errno)};
  }
  enter(held, nullptr);
  threads_[held].pid = held;
  before_exec_ = held;
  return {};
}

void Tracer::take_events() {
  int status = 0;
  for (pid_t tid = 0; (tid = ::waitpid(-1, &status, __WALL | WNOHANG)) > 0;) {
    take(tid, status);
  }
  const Clock::time_point now = Clock::now();
  for (const pid_t pid : std::set<pid_t>(dying_)) {
    Process& process = processes_.at(pid);
    if (now < process.death->deadline) {
      continue;
    }
    if (!process.death->told) {
      process.death->awaited.clear();
      end_when_all_came_by(process);
    } else {
      is_answered_ = false;
      std::ranges::replace(checked_, process.death->held, 0);
      let_go(process);
    }
  }
}

std::optional<Tracer::Clock::time_point> Tracer::deadline() const {
  std::optional<Clock::time_point> next;
  for (const pid_t pid : dying_) {
    const Clock::time_point its = processes_.at(pid).death->deadline;
    next = std::min(next.value_or(its), its);
  }
  return next;
}

void Tracer::take(pid_t tid, int status) {
  if (!WIFSTOPPED(status)) {
    take_end(tid, status);
    return;
  }
  const int event = status >> 16, signal = WSTOPSIG(status);
  if (event == PTRACE_EVENT_EXEC) {
    take_exec(tid);
    return;
  }
  Thread* thread = find_or_enter(tid);
  if (!thread && !has_proc_ && event == PTRACE_EVENT_STOP) {
    unannounced_.insert(tid);
    return;
  }
  if (!thread) {
    ::ptrace(PTRACE_CONT, tid, nullptr, nullptr);  // killed meanwhile
    return;
  }
  switch (event) {
    case 0:
      take_signal(tid, *thread, signal);
      break;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
      take_child(tid, *thread, event);
      break;
    case PTRACE_EVENT_EXIT:
      take_exit(tid, *thread);
      break;
    case PTRACE_EVENT_STOP:
      resume(tid, is_stop_signal(signal) ? PTRACE_LISTEN : PTRACE_CONT);
      break;
    default:
      resume(tid, PTRACE_CONT);
  }
}

// A thread that look() wants to stand still does so until it is done.
void Tracer::resume(pid_t tid, int request, int signal) {
  const auto thread = threads_.find(tid);
  if (thread != threads_.end() && !thread->second.leaving) {
    const auto process = processes_.find(thread->second.pid);
    if (process != processes_.end() && process->second.stands) {
      thread->second.parked = {request, signal};
      return;
    }
  }
  // when it has been killed meanwhile there is nobody to go on, and the next event says so
  ::ptrace(static_cast<__ptrace_request>(request), tid, nullptr, static_cast<long>(signal));
}

// --- who is there ---------------------------------------------------------------------------------------------------

// The first stop of a child may come before its parent's word of it.
Tracer::Thread* Tracer::find_or_enter(pid_t tid) {
  const auto known = threads_.find(tid);
  if (known != threads_.end()) {
    return &known->second;
  }
  const pid_t pid = processes_.contains(tid) ? tid : process_of(tid);
  if (pid == 0) {
    return nullptr;
  }
  if (!processes_.contains(pid)) {
    enter(pid, parent_of(pid));
  }
  Thread& thread = threads_[tid];
  thread.pid = pid;
  return &thread;
}

Tracer::Process* Tracer::parent_of(pid_t pid) {
  const auto parent = processes_.find(Stat(folder_of_process(pid)).parent());
  return parent == processes_.end() ? nullptr : &parent->second;
}

// Where there is no /proc only its parent tells to which process a new thread belongs.
void Tracer::introduce(pid_t child, pid_t pid) {
  threads_[child].pid = pid;
  if (unannounced_.erase(child) > 0) {
    resume(child, PTRACE_CONT);
  }
}

// Null: the command itself, or nobody knows. Of many attempts each is a command: the chain of ancestors begins with it.
Tracer::Process& Tracer::enter(pid_t pid, const Process* parent) {
  Process process;
  process.program = std::make_shared<Program>();
  process.program->key = {static_cast<uint32_t>(pid), 0, boot_time_ns()};
  const bool is_attempt =
      parent != nullptr && static_cast<pid_t>(parent->program->key.tgid) == before_exec_;
  serves_attempts_ = serves_attempts_ || is_attempt;
  if (parent != nullptr && !is_attempt) {
    process.program->name = parent->program->name;
    process.program->command = parent->program->command;
    process.ancestors.push_back(parent->program);
    const size_t more = std::min<size_t>(parent->ancestors.size(), CC_PARENTS - 1);
    process.ancestors.insert(process.ancestors.end(), parent->ancestors.begin(),
                             parent->ancestors.begin() + static_cast<std::ptrdiff_t>(more));
  }
  if (dead_.erase(pid) > 0) {
    std::erase(graves_, pid);
  }
  return processes_[pid] = std::move(process);
}

void Tracer::take_child(pid_t tid, Thread& thread, int event) {
  const pid_t child = event_message(tid);
  const auto process = processes_.find(thread.pid);
  const bool is_thread = event == PTRACE_EVENT_CLONE &&
                         (threads_.contains(child) ||
                          ::access(folder_of_thread(thread.pid, child).c_str(), F_OK) == 0 ||
                          process_of(child) != child);
  if (child != 0 && !is_thread && process != processes_.end() && !dead_.contains(child)) {
    if (!processes_.contains(child)) {
      enter(child, &process->second);
    }
  }
  if (!has_proc_ && child != 0 && !dead_.contains(child)) {
    introduce(child, is_thread ? thread.pid : child);
  }
  resume(tid, PTRACE_CONT);
}

// Whichever thread has called execve(2) has the number of the leader now, and the others are gone.
void Tracer::take_exec(pid_t tid) {
  std::erase_if(threads_,
                [&](const auto& entry) { return entry.second.pid == tid && entry.first != tid; });
  if (!processes_.contains(tid)) {
    enter(tid, parent_of(tid));
  }
  if (tid == before_exec_) {
    before_exec_ = 0;
  }
  Process& process = processes_[tid];
  threads_[tid] = {};
  threads_[tid].pid = tid;
  process.is_core_signal_handled = false;
  process.passed.clear();
  const std::string folder = folder_of_process(tid);
  process.program->name = name_in(folder);
  process.program->command =
      std::make_shared<const std::string>(start_of_file(folder + "/cmdline", CC_COMMAND_SIZE));
  std::string executable = link_target(folder + "/exe");
  if (process.program->name.empty()) {  // no /proc
    Executed executed = executed_by(tid);
    executable = std::move(executed.path);
    process.program->name = executable.substr(executable.rfind('/') + 1, CC_COMM_SIZE - 1);
    process.program->command = std::make_shared<const std::string>(std::move(executed.command));
  }
  if (stand_aside(tid, process, executable)) {
    return;
  }
  warn_of_lost_privilege(tid, process, executable);
  resume(tid, PTRACE_CONT);
}

bool Tracer::stand_aside(pid_t tid, Process& process, const std::string& executable) {
  if (!is_tracer(executable, *process.program->command, has_bpf_)) {
    return false;
  }
  note_once("tracer", process.program->name + " (pid " + std::to_string(tid) +
                          ") traces other programs, and a process has one tracer at most: what it "
                          "starts was not watched");
  apart_.emplace(tid, Stat(folder_of_process(tid)).start_ns());
  ::ptrace(PTRACE_DETACH, tid, nullptr, nullptr);
  threads_.erase(tid);
  processes_.erase(tid);
  return true;
}

void Tracer::warn_of_lost_privilege(pid_t tid, const Process& process,
                                    const std::string& executable) {
  const std::string folder = folder_of_process(tid);
  const std::string path = folder + "/exe";
  struct stat file {};
  struct statvfs mount {};
  if (has_capability(CAP_SYS_PTRACE)) {
    return;
  }
  if (::stat(path.c_str(), &file) != 0) {
    if (errno == EACCES) {  // proc(5): as ptrace(2), for which having attached does not count
      note_once("closed",
                process.program->name + " (pid " + std::to_string(tid) +
                    ") may not be looked at without CAP_SYS_PTRACE, for it runs as "
                    "another user or may not be "
                    "read: of its crashes little more than registers is known, and if it is "
                    "setuid it runs without that");
    }
    return;
  }
  if (::statvfs(path.c_str(), &mount) != 0 || (mount.f_flag & ST_NOSUID) != 0) {
    return;
  }
  const std::string status = bytes_of_file(folder + "/status");
  const std::vector<uint64_t> uids = status_numbers(status, "Uid"),
                              gids = status_numbers(status, "Gid"),
                              no_new = status_numbers(status, "NoNewPrivs");
  if (uids.size() < 2 || gids.size() < 2 || (!no_new.empty() && no_new[0] != 0)) {
    return;
  }
  const bool lost_user = (file.st_mode & S_ISUID) != 0 && file.st_uid != uids[1];
  const bool lost_group =
      (file.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && file.st_gid != gids[1];
  const bool lost_capabilities =
      ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0 && uids[1] == uids[0];
  if (lost_user || lost_group || lost_capabilities) {
    note_once("privilege", executable + " (pid " + std::to_string(process.program->key.tgid) +
                               ") would run with more rights than its caller's (setuid, setgid, "
                               "capabilities); traced by ptrace(2) it had none of them");
  }
}

void Tracer::note_once(const std::string& kind, const std::string& text) {
  if (noted_.insert(kind).second) {
    voice_.note(text);
  }
}

// --- signals --------------------------------------------------------------------------------------------------------

void Tracer::take_signal(pid_t tid, Thread& thread, int signal) {
  const auto process = processes_.find(thread.pid);
  const bool fatal = is_fatal_signal(signal);
  if (process != processes_.end() && (fatal || is_stop_signal(signal))) {
    Delivered delivered;
    delivered.signal = signal;
    ::ptrace(PTRACE_GETSIGINFO, tid, nullptr, &delivered.info);
    if (delivered.info.si_code <= 0 || delivered.info.si_code == SI_KERNEL) {
      remember_sender(process->second, delivered.info, tid);
    }
    const bool ignored =
        is_core_signal(signal) && delivered.info.si_code <= 0 && is_ignored(tid, signal);
    const std::optional<user_regs_struct> registers = registers_of(tid);
    if (fatal && !ignored && registers) {
      delivered.registers = *registers;
      if (thread.last && is_core_signal(thread.last->signal)) {
        thread.handled = std::move(thread.last);
        ++thread.handled_count;
        process->second.is_core_signal_handled = true;
      }
      thread.last = delivered;
    }
  }
  resume(tid, PTRACE_CONT, signal);
}

// A core signal that a process sends itself is a fault, or abort(): siginfo says all.
void Tracer::remember_sender(Process& process, const siginfo_t& info, pid_t receiver) {
  const bool from_process = has_sender(info.si_signo, info.si_code);
  pid_t pid = from_process ? info.si_pid : 0;
  if (from_process) {  // numbered as the receiver's pid namespace does
    const std::vector<uint64_t> own =
        status_numbers(bytes_of_file(folder_of_process(receiver) + "/status"), "NStgid");
    if (own.size() > 1) {
      pid_t found = 0;
      for (const auto& [candidate, other] : processes_) {
        const std::vector<uint64_t> numbers =
            status_numbers(bytes_of_file(folder_of_process(candidate) + "/status"), "NStgid");
        if (pid != 0 && numbers.size() == own.size() && static_cast<pid_t>(numbers.back()) == pid) {
          found = candidate;
        }
      }
      pid = found;
      if (pid == 0) {
        process.sender.reset();
        return;
      }
    }
  }
  const auto program = processes_.find(pid);
  if (is_core_signal(info.si_signo) &&
      (!from_process || (program != processes_.end() && &program->second == &process))) {
    return;
  }
  set_sender(process, info.si_signo, pid, from_process ? info.si_uid : 0);
}

// `pid` is 0 for the kernel.
void Tracer::set_sender(Process& process, int signal, pid_t pid, uid_t user) {
  cc_sender sender{};
  sender.signal = static_cast<uint32_t>(signal);
  if (pid != 0) {
    const auto program = processes_.find(pid);
    const auto dead = dead_.find(pid);
    const Program* known = program != processes_.end() ? program->second.program.get()
                           : dead != dead_.end()       ? dead->second.get()
                                                       : nullptr;
    sender.sender = {static_cast<uint32_t>(pid), 0, known ? known->key.start_ns : 0};
    sender.ns_tgid = static_cast<uint32_t>(pid);
    sender.uid = user;
    sender.in_tree = known ? 1 : 0;
    copy_text(sender.comm, known ? known->name : name_in(folder_of_process(pid)));
    if (known && known->command) {
      sender.command_length = copy_block(sender.command, *known->command);
    }
  }
  process.sender = sender;
  process.sender_signal = signal;
  process.sender_time = Clock::now();
}

}  // namespace crashcrawler
