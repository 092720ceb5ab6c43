// What a Tracer does when a thread comes to its exit: whether that is a death, whom it waits for, and when it lets go.
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "runner/base/signal_names.h"
#include "runner/capture/tracer/traced_thread.h"
#include "runner/capture/tracer/tracer.h"

namespace crashcrawler {
namespace {

constexpr std::chrono::seconds kTimeForThreads{2};  // to come by
constexpr std::chrono::seconds kTimeForTaking{1};
constexpr std::chrono::seconds kGraceOfRunners{60};  // between their SIGTERM and their SIGKILL
constexpr size_t kGraves = 1024;

}  // namespace

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
      assume_runner(process);
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

// Of those it can be too late to see: then ctest is believed to have ended its own child, for nobody else has a reason to.
void Tracer::assume_runner(Process& process) {
  if (process.sender || process.ancestors.empty() || process.ancestors.front()->name != "ctest") {
    return;
  }
  const auto parent = processes_.find(static_cast<pid_t>(process.ancestors.front()->key.tgid));
  if (parent == processes_.end() || parent->second.program != process.ancestors.front()) {
    return;
  }
  const std::vector<uint64_t> users =
      status_numbers(bytes_of_file(folder_of_process(parent->first) + "/status"), "Uid");
  set_sender(process, SIGSTOP, parent->first, users.empty() ? 0 : static_cast<uid_t>(users[0]));
  note_once("ctest",
            process.program->name + " (pid " + std::to_string(process.program->key.tgid) +
                "), a test of ctest, was killed; ptrace(2) does not show by whom, and it is "
                "taken for the end of its time");
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
  DyingThread dying{
      tid, registers, std::nullopt, thread.handled, thread.handled_count, process.program->name};
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
  unannounced_.erase(tid);
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
  // killed before it could tell of its children, it may be
  for (const pid_t orphan : std::set<pid_t>(unannounced_)) {
    enter(orphan, nullptr);
    introduce(orphan, orphan);
  }
}

void Tracer::finish() {
  take_events();
  for (auto& [pid, process] : processes_) {
    if (process.death && !process.death->told) {
      tell_end(*process.death);
    }
  }
}

}  // namespace crashcrawler
