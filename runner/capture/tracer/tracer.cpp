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
#include "runner/capture/live_snapshot.h"

namespace crashcrawler {
namespace {

constexpr long kOptions = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                          PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;
constexpr std::chrono::seconds kTimeForThreads{2};  // to come by at a death, or to stand still
constexpr std::chrono::seconds kTimeForAll{10};
constexpr std::chrono::seconds kTimeForTaking{1};
constexpr std::chrono::seconds kGraceOfRunners{60};  // between their SIGTERM and their SIGKILL
constexpr size_t kGraves = 1024;

// signal(7): default action "Core" or "Term".
bool is_fatal_signal(int signal) {
  constexpr std::array<int, 8> kHarmless = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
                                            SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH};
  return std::ranges::find(kHarmless, signal) == kHarmless.end();
}

bool is_stop_signal(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

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

uint64_t oom_kills() {
  const std::string counters = "\n" + bytes_of_file("/proc/vmstat");
  constexpr std::string_view kName = "\noom_kill ";
  const size_t at = counters.find(kName);
  return at == std::string::npos ? 0
                                 : std::strtoull(counters.c_str() + at + kName.size(), nullptr, 10);
}

pid_t process_of(pid_t tid) {
  const std::vector<uint64_t> numbers =
      status_numbers(bytes_of_file(folder_of_process(tid) + "/status"), "Tgid");
  return numbers.empty() ? 0 : static_cast<pid_t>(numbers[0]);
}

// Of a fork the child, of an exit its code.
int event_message(pid_t tid) {
  unsigned long message = 0;
  ::ptrace(PTRACE_GETEVENTMSG, tid, nullptr, &message);
  return static_cast<int>(message);
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
    : sizes_(sizes), voice_(std::move(voice)), has_bpf_(has_bpf), oom_kills_(oom_kills()) {}

Result<void> Tracer::follow(pid_t held) {
  if (::ptrace(PTRACE_SEIZE, held, nullptr, kOptions) != 0) {
    return Error{"the command cannot be traced by ptrace(2): " + why_refused(held, errno)};
  }
  enter(held, nullptr);
  threads_[held].pid = held;
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
  const pid_t pid = process_of(tid);
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

// Null: the command itself, or nobody knows.
Tracer::Process& Tracer::enter(pid_t pid, const Process* parent) {
  Process process;
  process.program = std::make_shared<Program>();
  process.program->key = {static_cast<uint32_t>(pid), 0, boot_time_ns()};
  if (parent) {
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
  resume(tid, PTRACE_CONT);
}

// Whichever thread has called execve(2) has the number of the leader now, and the others are gone.
void Tracer::take_exec(pid_t tid) {
  std::erase_if(threads_,
                [&](const auto& entry) { return entry.second.pid == tid && entry.first != tid; });
  if (!processes_.contains(tid)) {
    enter(tid, parent_of(tid));
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
  const std::string executable = link_target(folder + "/exe");
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
  if (::geteuid() == 0 || ::stat(path.c_str(), &file) != 0 ||
      ::statvfs(path.c_str(), &mount) != 0 || (mount.f_flag & ST_NOSUID) != 0) {
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
  cc_sender sender{};
  sender.signal = static_cast<uint32_t>(info.si_signo);
  if (from_process) {
    const auto dead = dead_.find(pid);
    const Program* known = program != processes_.end() ? program->second.program.get()
                           : dead != dead_.end()       ? dead->second.get()
                                                       : nullptr;
    sender.sender = {static_cast<uint32_t>(pid), 0, known ? known->key.start_ns : 0};
    sender.ns_tgid = static_cast<uint32_t>(pid);
    sender.uid = info.si_uid;
    sender.in_tree = known ? 1 : 0;
    copy_text(sender.comm, known ? known->name : name_in(folder_of_process(pid)));
    if (known && known->command) {
      sender.command_length = copy_block(sender.command, *known->command);
    }
  }
  process.sender = sender;
  process.sender_signal = info.si_signo;
  process.sender_time = Clock::now();
}

// --- deaths ---------------------------------------------------------------------------------------------------------

void Tracer::take_exit(pid_t tid, Thread& thread) {
  const auto found = processes_.find(thread.pid);
  const std::optional<user_regs_struct> registers = registers_of(tid);
  thread.leaving = true;
  thread.parked.reset();
  if (found == processes_.end() || !registers) {
    resume(tid, PTRACE_CONT);
    return;
  }
  Process& process = found->second;
  const int code = event_message(tid);
  const int signal = code & 0x7f;
  if (thread.last && is_core_signal(thread.last->signal) && !dies_by(thread, signal, *registers)) {
    thread.handled = std::move(thread.last);
    thread.last.reset();
    ++thread.handled_count;
    process.is_core_signal_handled = true;
  }
  if (process.is_lost) {
    resume(tid, PTRACE_CONT);
    return;
  }
  if (process.death) {
    if (!process.death->told) {
      send_other_thread(*process.death->train, tid, *registers, sizes_);
      ++process.death->threads;
    }
    resume(tid, PTRACE_CONT);
    come_by(tid, process);
    return;
  }
  if (signal != 0) {
    if (signal == SIGKILL) {
      remember_overtaken(process, tid);
    }
    if (signal == SIGKILL && !explains_kill(process)) {
      resume(tid, PTRACE_CONT);
    } else if (is_for_another(tid, thread.pid, signal)) {
      keep_passing(tid, process, *registers);
      resume(tid, PTRACE_CONT);
    } else {
      begin_death(tid, thread, process, code, *registers);
    }
    return;
  }
  if (code != 0 && is_exit_group(*registers)) {
    begin_death(tid, thread, process, code, *registers);
    return;
  }
  if (code != 0 && process.is_core_signal_handled) {
    keep_passing(tid, process, *registers);
  }
  resume(tid, PTRACE_CONT);
}

// Where it is at its end is where the signal has met it.
bool Tracer::dies_by(const Thread& thread, int signal, const user_regs_struct& registers) const {
  return thread.last && thread.last->signal == signal &&
         thread.last->registers.rip == registers.rip && thread.last->registers.rsp == registers.rsp;
}

// Whether the signal that ends the process had been delivered to another thread of it, which will come by. Of some
// (SIGKILL, what seccomp(2) kills) the kernel shows nothing before: then the first that comes is as good as any.
bool Tracer::is_for_another(pid_t tid, pid_t pid, int signal) const {
  const std::optional<user_regs_struct> registers = registers_of(tid);
  const auto self = threads_.find(tid);
  if (self == threads_.end() || !registers || dies_by(self->second, signal, *registers)) {
    return false;
  }
  return std::ranges::any_of(threads_, [&](const auto& entry) {
    const Thread& other = entry.second;
    return entry.first != tid && other.pid == pid && !other.leaving && other.last &&
           other.last->signal == signal;
  });
}

bool Tracer::explains_kill(const Process& process) const {
  return oom_kills() > oom_kills_ || (process.sender && process.sender->sender.tgid != 0 &&
                                      Clock::now() - process.sender_time < kGraceOfRunners);
}

// ctest sends SIGSTOP and SIGKILL in one breath, and the second overtakes the first, which is then still pending.
void Tracer::remember_overtaken(Process& process, pid_t tid) {
  for (const uint32_t queue : {uint32_t{PTRACE_PEEKSIGINFO_SHARED}, uint32_t{0}}) {
    std::array<siginfo_t, 16> pending{};
    __ptrace_peeksiginfo_args which{0, queue, static_cast<int32_t>(pending.size())};
    const long count = ::ptrace(PTRACE_PEEKSIGINFO, tid, &which, pending.data());
    for (long i = 0; i < count; ++i) {
      const siginfo_t& info = pending[static_cast<size_t>(i)];
      const bool asks = is_stop_signal(info.si_signo) || is_fatal_signal(info.si_signo);
      if (asks && !is_core_signal(info.si_signo) && has_sender(info.si_signo, info.si_code)) {
        remember_sender(process, info, tid);
      }
    }
  }
}

bool Tracer::was_oom_killed() {
  const uint64_t now = oom_kills();
  return std::exchange(oom_kills_, std::max(oom_kills_, now)) < now;
}

// The records of a thread that comes by before the dying one does. They are sent if it does.
void Tracer::keep_passing(pid_t tid, Process& process, const user_regs_struct& registers) {
  std::string records;
  const ProcessTrain train(process.program->key, tid,
                           [&](std::string_view record) { records += record; });
  send_other_thread(train, tid, registers, sizes_);
  process.passed.push_back(std::move(records));
}

void Tracer::begin_death(pid_t tid, Thread& thread, Process& process, int code,
                         const user_regs_struct& registers) {
  const int signal = code & 0x7f;
  auto death = std::make_unique<Death>();
  death->train = std::make_unique<ProcessTrain>(process.program->key, tid, voice_.record);
  const cc_cause cause = signal == 0              ? CC_CAUSE_EXIT
                         : is_core_signal(signal) ? CC_CAUSE_CORE_SIGNAL
                                                  : CC_CAUSE_KILLED;
  if (cause == CC_CAUSE_EXIT) {
    if (!thread.handled && is_in_libc(*death->train, registers.rip)) {
      resume(tid, PTRACE_CONT);
      return;
    }
    if (leak_check_.is_refused(*death->train, registers)) {
      note_once("leaks",
                process.program->name + " (pid " + std::to_string(thread.pid) +
                    "): LeakSanitizer does not work under ptrace(2) and makes the program fail; "
                    "have detect_leaks=0 in ASAN_OPTIONS and LSAN_OPTIONS");
      resume(tid, PTRACE_CONT);
      return;
    }
  }
  ++counters_.deaths;
  if (!voice_.has_room()) {
    ++counters_.lost_crashes;
    process.is_lost = true;
    resume(tid, PTRACE_CONT);
    return;
  }
  DyingThread dying{tid, registers, std::nullopt, thread.handled, thread.handled_count};
  if (dies_by(thread, signal, registers)) {
    dying.by = thread.last;
  }
  SenderRecord sender = process.sender;
  if (signal == SIGKILL) {
    death->oom_killed = was_oom_killed();
    if (death->oom_killed) {
      sender = cc_sender{};
    }
    if (sender) {
      sender->signal = SIGKILL;
    }
  } else if (cause == CC_CAUSE_EXIT || process.sender_signal != signal) {
    sender.reset();
  }
  death->held = tid;
  death->exit_code = code;
  death->deadline = Clock::now() + kTimeForThreads;
  send_death(*death->train, cause, signal, dying, ancestor_records(process), sender, sizes_);
  for (const std::string& records : std::exchange(process.passed, {})) {
    for (std::string_view rest = records; !rest.empty();) {
      cc_record header{};
      std::memcpy(&header, rest.data(), sizeof header);
      voice_.record(rest.substr(0, header.size));
      rest.remove_prefix(header.size);
    }
    ++death->threads;
  }
  for (const pid_t other : threads_of(thread.pid)) {
    const auto known = threads_.find(other);
    if (other != tid && (known == threads_.end() || !known->second.leaving)) {
      death->awaited.insert(other);
    }
  }
  process.death = std::move(death);
  dying_.insert(thread.pid);
  end_when_all_came_by(process);
}

std::vector<AncestorRecord> Tracer::ancestor_records(const Process& process) const {
  std::vector<AncestorRecord> records;
  for (const std::shared_ptr<const Program>& program : process.ancestors) {
    records.push_back({program->key, program->name, program->command ? *program->command : ""});
  }
  return records;
}

void Tracer::come_by(pid_t tid, Process& process) {
  if (process.death && !process.death->told && process.death->awaited.erase(tid) > 0) {
    end_when_all_came_by(process);
  }
}

void Tracer::end_when_all_came_by(Process& process) {
  Death& death = *process.death;
  if (!death.awaited.empty()) {
    return;
  }
  tell_end(death);
  voice_.check();
  if (is_answered_) {
    checked_.push_back(death.held);
    death.deadline = Clock::now() + kTimeForTaking;
  } else {
    checked_.push_back(0);
    let_go(process);
  }
}

void Tracer::tell_end(Death& death) {
  death.train->send_regions();
  death.train->send_end(death.threads, death.exit_code, death.oom_killed);
  death.told = true;
}

void Tracer::let_go(Process& process) {
  dying_.erase(static_cast<pid_t>(process.program->key.tgid));
  resume(std::exchange(process.death->held, 0), PTRACE_CONT);
}

void Tracer::taken() {
  is_answered_ = true;
  if (checked_.empty()) {
    return;
  }
  const pid_t tid = checked_.front();
  checked_.pop_front();
  const auto thread = threads_.find(tid);
  if (tid == 0 || thread == threads_.end()) {
    return;
  }
  const auto process = processes_.find(thread->second.pid);
  if (process != processes_.end() && process->second.death && process->second.death->held == tid) {
    let_go(process->second);
  }
}

// The process is gone with its last thread; until then only that thread is.
void Tracer::take_end(pid_t tid, int status) {
  const auto thread = threads_.find(tid);
  const pid_t pid = thread == threads_.end() ? tid : thread->second.pid;
  if (thread != threads_.end()) {
    threads_.erase(thread);
  }
  std::ranges::replace(checked_, tid, 0);
  const auto found = processes_.find(pid);
  if (found == processes_.end()) {
    return;
  }
  Process& process = found->second;
  if (process.death && process.death->held == tid) {  // by a second SIGKILL
    process.death->held = 0;
    dying_.erase(pid);
    if (!process.death->told) {
      process.death->awaited.clear();
      tell_end(*process.death);
    }
  }
  come_by(tid, process);
  if (tid != pid) {
    return;
  }
  if (!process.death && !process.is_lost && WIFSIGNALED(status) &&
      is_core_signal(WTERMSIG(status))) {
    ++counters_.deaths;
    ++counters_.lost_crashes;  // a SIGKILL was faster than we
  }
  dead_[pid] = process.program;
  graves_.push_back(pid);
  if (graves_.size() > kGraves) {
    dead_.erase(graves_.front());
    graves_.pop_front();
  }
  dying_.erase(pid);
  processes_.erase(found);
}

void Tracer::finish() {
  take_events();
  for (auto& [pid, process] : processes_) {
    if (process.death && !process.death->told) {
      tell_end(*process.death);
    }
  }
}

// --- the living -----------------------------------------------------------------------------------------------------

// Descendants of those for whom we stood aside are found by their parents.
std::vector<pid_t> Tracer::living() const {
  std::vector<pid_t> pids;
  for (const auto& [pid, process] : processes_) {
    pids.push_back(pid);
  }
  if (apart_.empty()) {
    return pids;
  }
  std::set<pid_t> untraced;
  for (const auto& [pid, start] : apart_) {
    if (Stat(folder_of_process(pid)).start_ns() == start) {
      untraced.insert(pid);
    }
  }
  std::map<pid_t, pid_t> parents;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    if (const pid_t pid = std::atoi(entry.path().filename().c_str()); pid > 0) {
      parents[pid] = Stat(entry.path()).parent();
    }
  }
  for (size_t before = 0; before != untraced.size();) {
    before = untraced.size();
    for (const auto& [pid, parent] : parents) {
      if (untraced.contains(parent)) {
        untraced.insert(pid);
      }
    }
  }
  for (const pid_t pid : untraced) {
    const std::string stat = bytes_of_file(folder_of_process(pid) + "/stat");
    const size_t name_end = stat.rfind(") ");
    if (name_end != std::string::npos && stat[name_end + 2] != 'Z' && !processes_.contains(pid)) {
      pids.push_back(pid);
    }
  }
  return pids;
}

std::vector<std::string> Tracer::look(const std::function<void(Clock::time_point)>& wait) {
  const Clock::time_point end = Clock::now() + kTimeForAll;
  std::vector<std::string> missing;
  size_t too_late = 0;
  const std::vector<pid_t> tree = living();
  for (const pid_t pid : children_first(tree)) {
    const Clock::time_point now = Clock::now();
    if (now >= end) {
      ++too_late;
    } else if (processes_.contains(pid)) {
      look_at(pid, std::min(end, now + kTimeForThreads), wait, missing);
    } else if (const Result<void> seen =
                   snapshot_process(pid, {sizes_.crash, sizes_.thread, tree, end}, voice_.record);
               !seen) {
      missing.push_back(seen.error().message);
    }
  }
  if (too_late > 0) {
    missing.push_back("there was no time to look at " + std::to_string(too_late) +
                      " of the processes");
  }
  return missing;
}

void Tracer::look_at(pid_t pid, Clock::time_point deadline,
                     const std::function<void(Clock::time_point)>& wait,
                     std::vector<std::string>& missing) {
  std::vector<pid_t> tids, standing;
  for (const auto& [tid, thread] : threads_) {
    if (thread.pid == pid && !thread.leaving) {
      tids.push_back(tid);
    }
  }
  processes_[pid].stands = true;
  for (const pid_t tid : tids) {
    ::ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
  }
  const auto is_awaited = [&](pid_t tid) {
    const auto thread = threads_.find(tid);
    return thread != threads_.end() && !thread->second.leaving && !thread->second.parked;
  };
  for (;;) {
    take_events();
    if (std::ranges::none_of(tids, is_awaited) || Clock::now() >= deadline) {
      break;
    }
    wait(deadline);
  }
  for (const auto& [tid, thread] : threads_) {
    if (thread.pid == pid && thread.parked) {
      standing.push_back(tid);
    }
  }
  const auto process = processes_.find(pid);
  if (process == processes_.end()) {
    return;
  }
  if (const auto late = std::ranges::count_if(tids, is_awaited); late > 0) {
    missing.push_back("process " + std::to_string(pid) + " (" + process->second.program->name +
                      "): " + std::to_string(late) +
                      " of its threads did not stop to be looked at");
  }
  if (!standing.empty()) {
    std::ranges::stable_partition(standing, [pid](pid_t tid) { return tid == pid; });
    ProcessTrain train({static_cast<uint32_t>(pid), 0, Stat(folder_of_process(pid)).start_ns()},
                       standing.front(), voice_.record);
    send_snapshot(standing, train, ancestor_records(process->second),
                  {sizes_.crash, sizes_.thread, {}, deadline});
  }
  process->second.stands = false;
  for (const pid_t tid : standing) {
    const auto thread = threads_.find(tid);
    const Parked how = *std::exchange(thread->second.parked, std::nullopt);
    resume(tid, how.request, how.signal);
  }
}

}  // namespace crashcrawler
