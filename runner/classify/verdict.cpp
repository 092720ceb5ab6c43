// What is a crash? "Died of a signal" is neither enough nor needed.
//
// * A core signal with its default action always is: nobody sends SIGSEGV on purpose and means well. (Deaths that a
//   test expects are another question, and another stage's.)
// * A fault that goes to a handler is one when the handler never returned: then its signal frame is still on the stack
//   of the dying thread, and the frame above it is the faulting one. A runtime that takes faults as control flow
//   returns from its handler, so no such frame is there. That is evidence; how the process ended (SIGABRT, exit 1,
//   exit 201) is not.
// * An exit that a sanitizer's runtime made, whatever its status, is a finding (sanitizer.cpp); so is a SIGABRT that it
//   raised because it was told to. The frames above the finding, the runtime's, are taken off; where none is left that
//   is the program's own (leaks are told at exit), the stack says nothing and is not shown.
// * SIGTERM and SIGKILL between processes of the run are how tests end their servers: no crash. Unless the sender is
//   a test runner above it: those kill what has taken too long, and a hang is worth its stacks.
// * A kill from outside of the run (an administrator, another job, the kernel) is told: "exit 137" alone helps nobody.
//   Not SIGINT, SIGHUP, SIGQUIT and their like from the kernel: the terminal, or a pipe that nobody reads (SIGPIPE).
#include "runner/classify/verdict.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

#include "runner/base/signal_names.h"
#include "runner/classify/sanitizer.h"

namespace crashcrawler {
namespace {

// Programs that end a test when its time is over. coreutils timeout(1), CTest, cargo-nextest, Bazel's test wrapper,
// Meson, and interpreters that run pytest-timeout or lit are known by their command line.
bool is_test_runner(const Sender& sender) {
  constexpr std::array<std::string_view, 5> kNames = {"timeout", "ctest", "cargo-nextest", "meson",
                                                      "bazel"};
  if (std::ranges::find(kNames, sender.name) != kNames.end()) {
    return true;
  }
  return std::ranges::any_of(sender.arguments, [](const std::string& argument) {
    return argument.ends_with("/pytest") || argument == "pytest" || argument.ends_with("/meson") ||
           argument.ends_with("/lit");
  });
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

// The index of the frame that the fault of `first` happened in: the one above a signal frame of its handler. Or the
// top: a handler that restores the default action and raises the signal anew has it blocked until it returns, so the
// process dies exactly where it faulted, of a signal it sent itself.
// frames.size(): the handler is not on the stack, so it had returned.
size_t faulting_frame(const ThreadBacktrace& thread, const FirstSignal& first,
                      const RawSignal& last) {
  const Registers& now = thread.registers;
  if (has_sender(last.number, last.code) && now.rip == first.registers.rip &&
      now.rsp == first.registers.rsp) {
    return 0;
  }
  for (size_t i = 0; i + 1 < thread.frames.size(); ++i) {
    if (thread.frames[i].signal_frame &&
        thread.frames[i + 1].instruction_addr == first.registers.rip) {
      return i + 1;
    }
  }
  return thread.frames.size();
}

// True when a fault whose handler never returned is the crash.
bool judge_first_signal(CrashReport& report) {
  RawCrash& raw = report.raw;
  if (!raw.first_signal || report.backtrace.threads.empty()) {
    return false;
  }
  ThreadBacktrace& thread = report.backtrace.threads.front();
  const size_t fault = faulting_frame(thread, *raw.first_signal, raw.signal);
  if (fault == thread.frames.size()) {
    return false;
  }
  report.kind = CrashKind::handled_signal;
  if (raw.cause == Cause::core_signal) {
    report.followed_by = raw.signal;
  }
  raw.signal = raw.first_signal->signal;
  thread.registers = raw.first_signal->registers;
  thread.frames.erase(thread.frames.begin(),
                      thread.frames.begin() + static_cast<std::ptrdiff_t>(fault));
  thread.frames.front().trust = Trust::context;
  return true;
}

// What lies below the sanitizer's runtime, when that is the program's own.
void show_finding(Backtrace& backtrace) {
  ThreadBacktrace& thread = backtrace.threads.front();
  const auto runtime = static_cast<std::ptrdiff_t>(runtime_frames(thread, backtrace.modules));
  thread.frames.erase(thread.frames.begin(), thread.frames.begin() + runtime);
  if (std::ranges::none_of(thread.frames, &Frame::in_app)) {
    thread.frames.clear();
    thread.stop_reason =
        "the sanitizer told this when the program was at its end: the stack says nothing of the "
        "place";
  }
}

}  // namespace

bool may_be_crash(const RawCrash& death, const Harness& harness) {
  if (death.cause != Cause::killed || death.oom_killed) {
    return true;
  }
  if (!death.sender) {
    return death.signal.number == SIGKILL;
  }
  const Sender& sender = *death.sender;
  if (sender.kernel) {
    return death.signal.number == SIGKILL;
  }
  if (sender.in_tree) {
    return is_test_runner(sender) && is_above(sender, death);
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
  if (raw.cause == Cause::killed) {
    report.kind = kind_of_kill(raw);
    return true;
  }
  report.sanitizer = find_sanitizer(raw, report.backtrace);
  if (judge_first_signal(report)) {
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

}  // namespace crashcrawler
