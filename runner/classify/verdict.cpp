// What is a crash? "Died of a signal" is neither enough nor needed.
//
// * A core signal with its default action always is: nobody sends SIGSEGV on purpose and means well. (Deaths that a
//   test expects are another question, and another stage's.)
// * A fault that goes to a handler is one when the handler never returned: then its signal frame is still on the stack
//   of the dying thread, and the frame above it is the faulting one. A runtime that takes faults as control flow
//   returns from its handler, so no such frame is there. That is evidence; how the process ended (SIGABRT, exit 1,
//   exit 201) is not. Of several the outermost is the crash: those inside it are faults of a handler that was already
//   writing its report (the JVM's takes some on purpose). What others sent is no fault, so the frames of its handlers
//   are passed over.
//   The signal of a frame is in it for handlers with SA_SIGINFO alone. For the others there is the kernel's word on the
//   newest one, which is found again by its registers.
// * An exit that a sanitizer's runtime made, whatever its status, is a finding (sanitizer.cpp); so is a SIGABRT that it
//   raised because it was told to. The frames above the finding, the runtime's, are taken off; where none is left that
//   is the program's own (leaks are told at exit), the stack says nothing and is not shown.
// * SIGTERM and SIGKILL between processes of the run are how tests end their servers: no crash. Unless the sender is
//   a test runner above it: those kill what has taken too long, and a hang is worth its stacks.
//   So is what still runs when our own time is over; but not a run inside of this one, which is ours, too.
// * A program that runs another and is asked to end as that did sends itself the signal that its child died of: one
//   crash, not two. Known by the sender, the signal, the child's report and the time; a SIGABRT must also come from a
//   bare raise(), because a parent whose own check fails over the death of its child calls abort().
// * Except where a debugger has kept a fault from the process, and then ends it as it stands: the fault is the crash.
// * A kill from outside of the run (an administrator, another job, the kernel) is told: "exit 137" alone helps nobody.
//   Not SIGINT, SIGHUP, SIGQUIT and their like from the kernel: the terminal, or a pipe that nobody reads (SIGPIPE).
#include "runner/classify/verdict.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>

#include "runner/base/signal_names.h"
#include "runner/classify/last_words.h"
#include "runner/classify/machinery.h"
#include "runner/classify/normalise.h"
#include "runner/classify/sanitizer.h"

namespace crashcrawler {
namespace {

// Programs that end a test when its time is over. coreutils timeout(1), CTest, cargo-nextest, Bazel's test wrapper, Meson,
// another crashcrawler-run (the kernel keeps 15 characters), and interpreters that run pytest-timeout or lit are known
// by their command line.
bool is_test_runner(const Sender& sender) {
  constexpr std::array<std::string_view, 6> kNames = {"timeout", "ctest", "cargo-nextest",
                                                      "meson",   "bazel", "crashcrawler-ru"};
  if (std::ranges::find(kNames, sender.name) != kNames.end()) {
    return true;
  }
  return std::ranges::any_of(sender.arguments, [](const std::string& argument) {
    return argument.ends_with("/pytest") || argument == "pytest" || argument.ends_with("/meson") ||
           argument.ends_with("/lit");
  });
}

// Of another run inside of this one. They wait for their command, and what hangs is that; and the child that a run has
// its stacks unwound in is killed when it is done.
bool is_of_inner_run(const RawCrash& death) {
  const std::string_view path = death.executable;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "crashcrawler-run" || name == "crashcrawler-probe";
}

bool is_above(const Sender& sender, const RawCrash& death) {
  return std::ranges::find(death.ancestors, sender.pid, &Ancestor::pid) != death.ancestors.end();
}

CrashKind kind_of_kill(const RawCrash& death) {
  if (death.oom_killed) {
    return CrashKind::oom;
  }
  return death.sender && death.sender->in_tree ? CrashKind::hang : CrashKind::killed;
}

bool sent_by_itself(const RawSignal& signal, const RawCrash& raw) {
  return has_sender(signal.number, signal.code) &&
         (signal.sender_pid == raw.inner_pid || signal.sender_pid == raw.pid);
}

// A core signal that the process brought upon itself: by an instruction, by a limit, by abort().
bool is_own_fault(const RawSignal& signal, const RawCrash& raw) {
  return is_core_signal(signal.number) && (signal.code > 0 || sent_by_itself(signal, raw));
}

bool same_place(const Registers& a, const Registers& b) {
  return a.rip == b.rip && a.rsp == b.rsp;
}

// Killed where it had faulted, before anything was done about the fault: a debugger had stopped it there. Not what is
// still the debugger's own program: gdb tries out in a child what the machine does at a fault.
bool stands_at_fault(const RawCrash& death) {
  return death.cause == Cause::killed && death.first_signal && !death.threads.empty() &&
         (!death.sender || death.sender->name != death.name) &&
         same_place(death.threads.front().registers, death.first_signal->registers);
}

// A fault whose handler never returned, and the frame that it happened in.
struct HandledFault {
  size_t frame;
  RawSignal signal;
  Registers registers;
};

// What the handler at frames[index], a signal frame, was called for, if for a fault.
std::optional<HandledFault> fault_of_frame(const ThreadBacktrace& thread, size_t index,
                                           bool is_guessed, const RawCrash& raw) {
  const Interrupted* interrupted = thread.frames[index].interrupted.get();
  if (const std::optional<FirstSignal>& newest = raw.first_signal) {
    const Registers& then = newest->registers;
    const bool is_newest = interrupted != nullptr
                               ? same_place(interrupted->registers, then)
                               : thread.frames[index + 1].instruction_addr == then.rip;
    if (is_newest && newest->place_only && interrupted != nullptr) {
      HandledFault fault{index + 1, interrupted->signal, interrupted->registers};
      if (fault.signal.number == 0) {  // a handler without SA_SIGINFO
        fault.signal = newest->signal;
      }
      return fault;
    }
    if (is_newest) {
      return HandledFault{index + 1, newest->signal, then};
    }
  }
  if (interrupted != nullptr && !is_guessed && is_own_fault(interrupted->signal, raw)) {
    return HandledFault{index + 1, interrupted->signal, interrupted->registers};
  }
  return std::nullopt;
}

// The outermost one. Behind a frame that was found by a scan a signal frame may be left from a handler that has
// returned. Where none is on the stack: a handler that restores the default action and raises the signal anew has it
// blocked until it returns, so the process dies exactly where it faulted, of a signal that it sent itself.
std::optional<HandledFault> find_handled_fault(const ThreadBacktrace& thread, const RawCrash& raw) {
  std::optional<HandledFault> outermost;
  bool is_guessed = false;
  for (size_t i = 0; i + 1 < thread.frames.size(); ++i) {
    is_guessed = is_guessed || thread.frames[i].trust == Trust::scan;
    if (thread.frames[i].signal_frame) {
      if (const auto fault = fault_of_frame(thread, i, is_guessed, raw)) {
        outermost = fault;
      }
    }
  }
  if (!outermost && raw.first_signal && !thread.frames.empty() &&
      has_sender(raw.signal.number, raw.signal.code) &&
      same_place(thread.registers, raw.first_signal->registers)) {
    outermost = HandledFault{0, raw.first_signal->signal, thread.registers};
  }
  return outermost;
}

// Takes the place of a fault whose handler has left by siglongjmp(3) out of the threads, among which it was unwound.
std::optional<ThreadBacktrace> take_left_fault(CrashReport& report) {
  std::vector<RawThread>& raw = report.raw.threads;
  const auto at = std::ranges::find(raw, true, &RawThread::at_fault);
  const auto index = at - raw.begin();
  if (at == raw.end() || static_cast<size_t>(index) >= report.backtrace.threads.size()) {
    return std::nullopt;
  }
  std::optional<ThreadBacktrace> fault =
      std::move(report.backtrace.threads[static_cast<size_t>(index)]);
  raw.erase(at);
  report.backtrace.threads.erase(report.backtrace.threads.begin() + index);
  return fault;
}

// The kernel has seen that the handler did not return, and no frame of it is on the stack: it has jumped out. What lay
// below the fault has been used anew since, so its own frame is all that can be believed.
bool show_left_fault(CrashReport& report, std::optional<ThreadBacktrace> fault) {
  if (!fault || fault->frames.empty() || report.backtrace.threads.empty()) {
    return false;
  }
  ThreadBacktrace& thread = report.backtrace.threads.front();
  report.kind = CrashKind::handled_signal;
  report.raw.signal = report.raw.first_signal->signal;
  thread.registers = fault->registers;
  thread.frames.assign(1, fault->frames.front());
  thread.stop_reason =
      "its handler left by siglongjmp: the stack of that moment has been overwritten since";
  return true;
}

// True when a fault whose handler never returned is the crash.
bool judge_handled_fault(CrashReport& report) {
  RawCrash& raw = report.raw;
  std::optional<ThreadBacktrace> left = take_left_fault(report);
  if (report.backtrace.threads.empty()) {
    return false;
  }
  ThreadBacktrace& thread = report.backtrace.threads.front();
  const std::optional<HandledFault> fault = find_handled_fault(thread, raw);
  if (!fault) {
    return show_left_fault(report, std::move(left));
  }
  report.kind = CrashKind::handled_signal;
  if (raw.cause == Cause::core_signal) {
    report.followed_by = raw.signal;
  }
  raw.signal = fault->signal;
  thread.registers = fault->registers;
  drop_top(thread, fault->frame);
  thread.frames.front().trust = Trust::context;
  return true;
}

// What lies below the sanitizer's runtime, when that is the program's own.
void show_finding(Backtrace& backtrace) {
  ThreadBacktrace& thread = backtrace.threads.front();
  drop_top(thread, runtime_frames(thread, backtrace.modules));
  if (std::ranges::none_of(thread.frames, &Frame::in_app)) {
    drop_top(thread, thread.frames.size());
    thread.stop_reason =
        "the sanitizer told this when the program was at its end: the stack says nothing of the "
        "place";
  }
}

// Longer than it takes to write the core dump of a large child.
constexpr std::chrono::minutes kLongestRelay{1};

int final_signal(const CrashReport& report) {
  return (report.followed_by ? *report.followed_by : report.raw.signal).number;
}

pid_t parent_of(const RawCrash& raw) {
  return raw.ancestors.empty() ? raw.parent_pid : raw.ancestors.front().pid;
}

// raise() and no failed check. Without a name on the stack there is no telling.
bool is_bare_raise(const CrashReport& report) {
  if (report.backtrace.threads.empty()) {
    return false;
  }
  constexpr std::array<std::string_view, 6> kSending = {"raise",  "gsignal", "kill",
                                                        "tgkill", "killpg",  "pthread_kill"};
  std::vector<std::string> names;
  for (const Frame& frame : report.backtrace.threads.front().frames) {
    names.push_back(
        normalise_function(frame.function.empty() ? frame.raw_function : frame.function));
  }
  const auto sends = [&](const std::string& name) {
    return std::ranges::find(kSending, name) != kSending.end();
  };
  const auto last = std::find_if(names.rbegin(), names.rend(), sends);
  return last != names.rend() && std::none_of(last.base(), names.end(), is_raising_machinery);
}

bool may_relay(const CrashReport& report) {
  const RawCrash& raw = report.raw;
  return report.kind == CrashKind::signal && raw.cause == Cause::core_signal &&
         sent_by_itself(raw.signal, raw) && (raw.signal.number != SIGABRT || is_bare_raise(report));
}

}  // namespace

bool may_be_crash(const RawCrash& death, const Harness& harness) {
  if (stands_at_fault(death)) {
    return true;
  }
  if (death.cause == Cause::timeout) {
    return !is_of_inner_run(death);
  }
  if (death.cause != Cause::killed || death.oom_killed) {
    return true;
  }
  if (!death.sender) {
    return death.signal.number == SIGKILL;
  }
  const Sender& sender = *death.sender;
  if (sender.kernel) {
    return death.signal.number == SIGKILL && !sender.namespace_end;
  }
  if (sender.in_tree) {
    return is_test_runner(sender) && is_above(sender, death) && !is_of_inner_run(death);
  }
  return sender.pid != harness.wrapper && sender.pid != harness.probe &&
         (death.signal.number == SIGKILL || death.signal.number == SIGTERM);
}

bool judge(CrashReport& report) {
  RawCrash& raw = report.raw;
  if (raw.cause == Cause::timeout) {
    report.kind = CrashKind::hang;
    return true;
  }
  if (stands_at_fault(raw)) {
    report.kind = CrashKind::signal;
    report.followed_by = raw.signal;
    raw.signal = raw.first_signal->signal;
    return true;
  }
  if (raw.cause == Cause::killed) {
    report.kind = kind_of_kill(raw);
    return true;
  }
  report.sanitizer = find_sanitizer(raw, report.backtrace);
  report.abort_message =
      report.sanitizer ? report.sanitizer->text : last_words(raw, report.backtrace);
  if (judge_handled_fault(report)) {
    return true;
  }
  if (report.sanitizer) {
    report.kind = CrashKind::sanitizer;
    show_finding(report.backtrace);
    return true;
  }
  report.kind = CrashKind::signal;
  return raw.cause == Cause::core_signal;
}

std::string why_unclear(const RawCrash& raw) {
  // A thread that takes more than one fault in its life has a use for them.
  if (raw.cause != Cause::exit || !raw.first_signal ||
      raw.first_signal->handler != HandlerState::unknown || raw.first_signal->count > 1) {
    return "";
  }
  return raw.name + " (pid " + std::to_string(raw.pid) + ") exited with status " +
         std::to_string(WEXITSTATUS(raw.wait_status)) + " after a " +
         signal_name(raw.first_signal->signal.number) +
         " that its own handler took; whether the handler came back cannot be seen on this kernel, "
         "so it is not counted as a crash";
}

void drop_relayed(std::vector<CrashReport>& reports) {
  std::vector<size_t> by_time(reports.size());
  std::iota(by_time.begin(), by_time.end(), size_t{0});
  std::ranges::stable_sort(by_time, {}, [&](size_t i) { return reports[i].raw.time; });

  std::map<std::pair<pid_t, int>, size_t> newest_child;  // by parent and signal; where its crash is
  std::vector<bool> is_relay(reports.size());
  for (const size_t i : by_time) {
    CrashReport& report = reports[i];
    size_t origin = i;
    const auto child = newest_child.find({report.raw.pid, final_signal(report)});
    if (child != newest_child.end() && may_relay(report) &&
        report.raw.time - reports[child->second].raw.time <= kLongestRelay) {
      origin = child->second;
      is_relay[i] = true;
      reports[origin].relayed_by.push_back({report.raw.pid, report.raw.name, report.raw.arguments});
    }
    newest_child[{parent_of(report.raw), final_signal(report)}] = origin;
  }
  std::vector<CrashReport> kept;
  for (size_t i = 0; i < reports.size(); ++i) {
    if (!is_relay[i]) {
      kept.push_back(std::move(reports[i]));
    }
  }
  reports = std::move(kept);
}

}  // namespace crashcrawler
