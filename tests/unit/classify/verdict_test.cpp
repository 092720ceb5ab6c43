#include "runner/classify/verdict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

namespace crashcrawler {
namespace {

constexpr Harness kHarness{100, 101};
constexpr uint64_t kFault = 0x401000;

RawCrash killed_by(int signal, Sender sender) {
  RawCrash death;
  death.cause = Cause::killed;
  death.signal.number = signal;
  death.sender = std::move(sender);
  death.ancestors = {{200, "sh", {}}, {150, "ctest", {}}};
  return death;
}

Sender in_tree(pid_t pid, const std::string& name) {
  Sender sender;
  sender.pid = pid;
  sender.in_tree = true;
  sender.name = name;
  return sender;
}

Sender outside(pid_t pid) {
  Sender sender;
  sender.pid = pid;
  return sender;
}

Sender the_kernel() {
  Sender sender;
  sender.kernel = true;
  return sender;
}

CrashKind kind_of(RawCrash death) {
  CrashReport report;
  report.raw = std::move(death);
  EXPECT_TRUE(judge(report));
  return report.kind;
}

TEST(MayBeCrash, KillsBetweenProcessesOfTheRunAreOnPurpose) {
  EXPECT_FALSE(may_be_crash(killed_by(SIGTERM, in_tree(200, "sh")), kHarness));
  EXPECT_FALSE(may_be_crash(killed_by(SIGKILL, in_tree(999, "server_test")), kHarness));
}

TEST(MayBeCrash, ARunnerAboveThatWaitedTooLongIsAHang) {
  const RawCrash death = killed_by(SIGKILL, in_tree(150, "ctest"));
  EXPECT_TRUE(may_be_crash(death, kHarness));
  EXPECT_EQ(kind_of(death), CrashKind::hang);
}

TEST(MayBeCrash, ARunnerIsKnownByItsCommandLineToo) {
  Sender sender = in_tree(150, "python3");
  EXPECT_FALSE(may_be_crash(killed_by(SIGKILL, sender), kHarness));
  sender.arguments = {"/usr/bin/python3", "/usr/bin/pytest", "-x"};
  EXPECT_TRUE(may_be_crash(killed_by(SIGKILL, sender), kHarness));
}

TEST(MayBeCrash, AnInnerRunIsARunner) {
  const RawCrash death = killed_by(SIGTERM, in_tree(150, "crashcrawler-ru"));
  EXPECT_TRUE(may_be_crash(death, kHarness));
  EXPECT_EQ(kind_of(death), CrashKind::hang);
}

TEST(MayBeCrash, WhatAnInnerRunDoesToItsOwnChildIsOnPurpose) {
  RawCrash death = killed_by(SIGKILL, in_tree(150, "crashcrawler-ru"));
  death.executable = "/usr/bin/crashcrawler-run";
  EXPECT_FALSE(may_be_crash(death, kHarness));
  death.oom_killed = true;
  EXPECT_TRUE(may_be_crash(death, kHarness));
}

TEST(MayBeCrash, AnInnerRunIsNoHang) {
  RawCrash death;
  death.cause = Cause::timeout;
  for (const char* executable : {"/usr/bin/crashcrawler-run", "/build/crashcrawler-probe"}) {
    death.executable = executable;
    EXPECT_FALSE(may_be_crash(death, kHarness)) << executable;
    death.cause = Cause::core_signal;
    EXPECT_TRUE(may_be_crash(death, kHarness)) << "a crash is one, also of " << executable;
    death.cause = Cause::timeout;
  }
  for (const char* executable : {"/usr/bin/crashcrawler-runner", "/crashcrawler-run/test", ""}) {
    death.executable = executable;
    EXPECT_TRUE(may_be_crash(death, kHarness)) << executable;
  }
}

TEST(MayBeCrash, ARunnerThatIsNotAboveKillsForItsOwnReasons) {
  EXPECT_FALSE(may_be_crash(killed_by(SIGKILL, in_tree(999, "ctest")), kHarness));
}

TEST(Judge, AFaultWhoseHandlerJumpedOutIsTheCrashWithItsOwnFrameAlone) {
  CrashReport report;
  report.raw.cause = Cause::exit;
  report.raw.first_signal.emplace();
  report.raw.first_signal->signal.number = SIGSEGV;
  report.raw.first_signal->handler = HandlerState::not_returned;
  report.raw.first_signal->registers.rip = kFault;
  report.raw.threads.resize(2);
  report.raw.threads[1].at_fault = true;
  report.backtrace.threads.resize(2);
  report.backtrace.threads[0].frames.resize(3);
  report.backtrace.threads[1].frames.resize(2);
  report.backtrace.threads[1].frames[0].function = "write_through_null";
  report.backtrace.threads[1].frames[1].function = "garbage";
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::handled_signal);
  EXPECT_EQ(report.raw.signal.number, SIGSEGV);
  ASSERT_EQ(report.backtrace.threads.size(), 1u);
  ASSERT_EQ(report.backtrace.threads[0].frames.size(), 1u);
  EXPECT_EQ(report.backtrace.threads[0].frames[0].function, "write_through_null");
}

TEST(WhyUnclear, IsSaidOnlyOfOneFaultWhoseHandlerNobodySawReturn) {
  RawCrash exit;
  exit.cause = Cause::exit;
  exit.name = "suite";
  exit.pid = 7;
  exit.wait_status = 201 << 8;
  EXPECT_EQ(why_unclear(exit), "");
  exit.first_signal.emplace();
  exit.first_signal->signal.number = SIGSEGV;
  exit.first_signal->count = 1;
  EXPECT_NE(why_unclear(exit).find("suite (pid 7) exited with status 201 after a SIGSEGV"),
            std::string::npos);
  exit.first_signal->count = 2;
  EXPECT_EQ(why_unclear(exit), "");
  exit.first_signal->count = 1;
  exit.first_signal->handler = HandlerState::returned;
  EXPECT_EQ(why_unclear(exit), "");
}

TEST(MayBeCrash, WhatADebuggerKillsWhereItFaultedIsTheFault) {
  RawCrash death = killed_by(SIGKILL, in_tree(150, "gdb"));
  death.threads.emplace_back().registers.rip = kFault;
  death.first_signal.emplace();
  death.first_signal->signal.number = SIGSEGV;
  death.first_signal->registers.rip = kFault + 1;
  EXPECT_FALSE(may_be_crash(death, kHarness)) << "it had gone on since";
  death.first_signal->registers.rip = kFault;
  EXPECT_TRUE(may_be_crash(death, kHarness));
  death.name = "gdb";
  EXPECT_FALSE(may_be_crash(death, kHarness)) << "gdb's own child";
  death.name = "victim";
  CrashReport report;
  report.raw = death;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::signal);
  EXPECT_EQ(report.raw.signal.number, SIGSEGV);
  EXPECT_EQ(report.followed_by->number, SIGKILL);
}

TEST(MayBeCrash, AKillFromOutsideIsTold) {
  const RawCrash death = killed_by(SIGKILL, outside(7));
  EXPECT_TRUE(may_be_crash(death, kHarness));
  EXPECT_EQ(kind_of(death), CrashKind::killed);
}

TEST(MayBeCrash, OurOwnKillsAreNobodysCrash) {
  EXPECT_FALSE(may_be_crash(killed_by(SIGTERM, outside(kHarness.wrapper)), kHarness));
  EXPECT_FALSE(may_be_crash(killed_by(SIGKILL, outside(kHarness.probe)), kHarness));
}

TEST(MayBeCrash, OfTheKernelsSignalsOnlySigkillIsTold) {
  EXPECT_FALSE(may_be_crash(killed_by(SIGPIPE, the_kernel()), kHarness));
  EXPECT_FALSE(may_be_crash(killed_by(SIGINT, the_kernel()), kHarness));
  EXPECT_TRUE(may_be_crash(killed_by(SIGKILL, the_kernel()), kHarness));
  Sender end = the_kernel();
  end.namespace_end = true;
  EXPECT_FALSE(may_be_crash(killed_by(SIGKILL, end), kHarness));
}

TEST(MayBeCrash, WantOfMemoryIsToldWhoeverSentIt) {
  RawCrash death = killed_by(SIGKILL, in_tree(200, "sh"));
  death.oom_killed = true;
  EXPECT_TRUE(may_be_crash(death, kHarness));
  EXPECT_EQ(kind_of(death), CrashKind::oom);
}

TEST(MayBeCrash, AnUnknownSenderOfSigkillIsTold) {
  RawCrash death = killed_by(SIGKILL, {});
  death.sender.reset();
  EXPECT_TRUE(may_be_crash(death, kHarness));
  death.signal.number = SIGALRM;
  EXPECT_FALSE(may_be_crash(death, kHarness));
}

// A handler frame, the kernel's trampoline, the faulting frame, its caller.
CrashReport died_in_handler(Cause cause) {
  CrashReport report;
  report.raw.cause = cause;
  report.raw.signal.number = SIGABRT;
  report.raw.signal.code = SI_TKILL;
  FirstSignal first;
  first.signal.number = SIGSEGV;
  first.signal.code = SEGV_MAPERR;
  first.registers.rip = kFault;
  report.raw.first_signal = first;
  ThreadBacktrace thread;
  for (const uint64_t address :
       {uint64_t{0x500000}, uint64_t{0x500100}, kFault, uint64_t{0x402000}}) {
    Frame frame;
    frame.trust = Trust::cfi;
    frame.instruction_addr = address;
    thread.frames.push_back(frame);
  }
  thread.frames[1].signal_frame = true;
  report.backtrace.threads.push_back(thread);
  return report;
}

TEST(Judge, TheFaultIsTheCrashNotTheAbortOfItsHandler) {
  CrashReport report = died_in_handler(Cause::core_signal);
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::handled_signal);
  EXPECT_EQ(report.raw.signal.number, SIGSEGV);
  ASSERT_TRUE(report.followed_by);
  EXPECT_EQ(report.followed_by->number, SIGABRT);
  const ThreadBacktrace& thread = report.backtrace.threads[0];
  ASSERT_EQ(thread.frames.size(), 2u);
  EXPECT_EQ(thread.frames[0].instruction_addr, kFault);
  EXPECT_EQ(thread.frames[0].trust, Trust::context);
  EXPECT_EQ(thread.registers.rip, kFault);
}

TEST(Judge, AHandlerThatExitsIsACrashWithoutASecondSignal) {
  CrashReport report = died_in_handler(Cause::exit);
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::handled_signal);
  EXPECT_FALSE(report.followed_by);
}

TEST(Judge, AFaultWhoseHandlerHadReturnedIsForgotten) {
  CrashReport report = died_in_handler(Cause::core_signal);
  report.backtrace.threads[0].frames[1].signal_frame = false;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::signal);
  EXPECT_EQ(report.raw.signal.number, SIGABRT);
  EXPECT_EQ(report.backtrace.threads[0].frames.size(), 4u);
}

TEST(Judge, ANonZeroExitAfterAHandledFaultIsNoCrash) {
  CrashReport report = died_in_handler(Cause::exit);
  report.backtrace.threads[0].frames[1].signal_frame = false;
  EXPECT_FALSE(judge(report));
}

TEST(Judge, TheSignalFrameOfAnotherSignalIsNotTakenForTheFault) {
  CrashReport report = died_in_handler(Cause::exit);
  report.raw.first_signal->registers.rip = kFault + 4;
  EXPECT_FALSE(judge(report));
}

TEST(Judge, ASignalRaisedAnewWhereItFaultedIsTheFault) {
  CrashReport report = died_in_handler(Cause::core_signal);
  ThreadBacktrace& thread = report.backtrace.threads[0];
  thread.frames.erase(thread.frames.begin(), thread.frames.begin() + 2);
  thread.registers.rip = kFault;
  report.raw.signal.number = SIGSEGV;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::handled_signal);
  EXPECT_EQ(report.raw.signal.code, SEGV_MAPERR);
  EXPECT_EQ(thread.frames.size(), 2u);
}

constexpr uint64_t kOuterFault = 0x403000;

Interrupted fault_at(uint64_t address, int signal = SIGSEGV, int code = SEGV_MAPERR) {
  Interrupted interrupted;
  interrupted.signal.number = signal;
  interrupted.signal.code = code;
  interrupted.registers.rip = address;
  interrupted.registers.rsp = address + 0x1000;
  return interrupted;
}

// What died_in_handler() shows, and as its caller the handler of another signal.
CrashReport died_in_nested_handler(Cause cause, const Interrupted& outer) {
  CrashReport report = died_in_handler(cause);
  report.raw.pid = report.raw.inner_pid = 4711;
  std::vector<Frame>& frames = report.backtrace.threads[0].frames;
  frames[1].interrupted = std::make_shared<const Interrupted>(fault_at(kFault));
  report.raw.first_signal->registers = frames[1].interrupted->registers;
  for (const uint64_t address : {uint64_t{0x500100}, outer.registers.rip, uint64_t{0x404000}}) {
    Frame frame;
    frame.trust = Trust::cfi;
    frame.instruction_addr = address;
    frames.push_back(frame);
  }
  frames[4].signal_frame = true;
  frames[4].interrupted = std::make_shared<const Interrupted>(outer);
  return report;
}

TEST(Judge, OfNestedFaultsTheOutermostIsTheCrash) {
  for (const Cause cause : {Cause::core_signal, Cause::exit}) {
    CrashReport report = died_in_nested_handler(cause, fault_at(kOuterFault, SIGBUS, BUS_ADRERR));
    ASSERT_TRUE(judge(report));
    EXPECT_EQ(report.kind, CrashKind::handled_signal);
    EXPECT_EQ(report.raw.signal.number, SIGBUS);
    const ThreadBacktrace& thread = report.backtrace.threads[0];
    ASSERT_EQ(thread.frames.size(), 2u);
    EXPECT_EQ(thread.frames[0].instruction_addr, kOuterFault);
    EXPECT_EQ(thread.frames[0].trust, Trust::context);
    EXPECT_EQ(thread.registers.rip, kOuterFault);
    EXPECT_EQ(report.followed_by.has_value(), cause == Cause::core_signal);
  }
}

TEST(Judge, AFrameNeedsNoWordOfTheKernel) {
  CrashReport report = died_in_nested_handler(Cause::exit, fault_at(kOuterFault));
  report.raw.first_signal.reset();
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.backtrace.threads[0].registers.rip, kOuterFault);
}

TEST(Judge, HandlersOfOtherSignalsArePassedOver) {
  Interrupted by_other = fault_at(kOuterFault, SIGABRT, SI_USER);
  by_other.signal.sender_pid = 42;
  for (const Interrupted& outer : {fault_at(kOuterFault, SIGALRM, SI_KERNEL), by_other,
                                   fault_at(kOuterFault, SIGTRAP, SI_TIMER), Interrupted{}}) {
    SCOPED_TRACE(outer.signal.number);
    CrashReport report = died_in_nested_handler(Cause::core_signal, outer);
    ASSERT_TRUE(judge(report));
    EXPECT_EQ(report.raw.signal.number, SIGSEGV);
    EXPECT_EQ(report.backtrace.threads[0].frames[0].instruction_addr, kFault);
    EXPECT_EQ(report.backtrace.threads[0].frames.size(), 5u);
  }
}

TEST(Judge, AnAbortThatWentToAHandlerIsAFaultOfTheProcess) {
  Interrupted abort = fault_at(kOuterFault, SIGABRT, SI_TKILL);
  abort.signal.sender_pid = 4711;
  CrashReport report = died_in_nested_handler(Cause::core_signal, abort);
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.raw.signal.number, SIGABRT);
  EXPECT_EQ(report.backtrace.threads[0].frames.size(), 2u);
}

TEST(Judge, TheKernelsWordIsTakenWhereTheFrameHasNoSignal) {
  Interrupted unknown = fault_at(kOuterFault);
  unknown.signal = {};
  CrashReport report = died_in_nested_handler(Cause::exit, unknown);
  report.raw.first_signal->registers = unknown.registers;
  report.raw.first_signal->signal.number = SIGFPE;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.raw.signal.number, SIGFPE);
  EXPECT_EQ(report.backtrace.threads[0].frames.size(), 2u);
}

TEST(Judge, TheSamePlaceOnAnotherStackIsAnotherFault) {
  CrashReport report = died_in_nested_handler(Cause::exit, Interrupted{});
  std::vector<Frame>& frames = report.backtrace.threads[0].frames;
  frames[1].interrupted = std::make_shared<const Interrupted>();
  EXPECT_FALSE(judge(report));
}

TEST(Judge, ASignalFrameBehindAGuessMayBeOld) {
  CrashReport report = died_in_nested_handler(Cause::exit, fault_at(kOuterFault));
  report.backtrace.threads[0].frames[0].trust = Trust::scan;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.backtrace.threads[0].registers.rip, kFault) << "which the kernel confirms";
  report = died_in_nested_handler(Cause::exit, fault_at(kOuterFault));
  report.backtrace.threads[0].frames[0].trust = Trust::scan;
  report.raw.first_signal.reset();
  EXPECT_FALSE(judge(report));
}

TEST(Judge, ACoreSignalAloneIsACrash) {
  CrashReport report;
  report.raw.signal.number = SIGSEGV;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::signal);
}

Frame named(const std::string& function) {
  Frame frame;
  frame.raw_function = function;
  return frame;
}

// Of the process `pid`, which `parent` had started, `seconds` after the beginning.
CrashReport death(pid_t pid, pid_t parent, int seconds, int signal = SIGSEGV) {
  CrashReport report;
  report.raw.pid = report.raw.inner_pid = pid;
  report.raw.name = "program" + std::to_string(pid);
  report.raw.ancestors = {{parent, "program" + std::to_string(parent), {}}, {1, "ctest", {}}};
  report.raw.time += std::chrono::seconds(seconds);
  report.raw.signal = {signal, SEGV_MAPERR, 0, 0, 0, 0};
  ThreadBacktrace thread;
  thread.frames = {named("work"), named("main")};
  report.backtrace.threads = {thread};
  return report;
}

CrashReport relay(pid_t pid, pid_t parent, int seconds, int signal = SIGSEGV) {
  CrashReport report = death(pid, parent, seconds, signal);
  report.raw.signal = {signal, SI_TKILL, 0, 0, pid, 0};
  report.backtrace.threads[0].frames = {named("__pthread_kill_implementation"), named("__GI_raise"),
                                        named("main")};
  return report;
}

std::vector<pid_t> left_of(std::vector<CrashReport> reports) {
  drop_relayed(reports);
  std::vector<pid_t> pids;
  std::ranges::transform(reports, std::back_inserter(pids),
                         [](const CrashReport& report) { return report.raw.pid; });
  return pids;
}

using Pids = std::vector<pid_t>;

TEST(DropRelayed, AParentThatDiesAsItsChildDidIsNoSecondCrash) {
  std::vector<CrashReport> reports = {death(8, 1, 0), relay(10, 9, 2), death(11, 10, 1)};
  reports[1].raw.arguments = {"timeout", "60", "test"};
  drop_relayed(reports);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].raw.pid, 8);
  EXPECT_TRUE(reports[0].relayed_by.empty());
  EXPECT_EQ(reports[1].raw.pid, 11);
  ASSERT_EQ(reports[1].relayed_by.size(), 1u);
  EXPECT_EQ(reports[1].relayed_by[0].pid, 10);
  EXPECT_EQ(reports[1].relayed_by[0].name, "program10");
  EXPECT_EQ(reports[1].relayed_by[0].arguments[0], "timeout");
}

TEST(DropRelayed, ARelayMayBeRelayed) {
  std::vector<CrashReport> reports = {death(12, 11, 0), relay(11, 10, 1), relay(10, 9, 2)};
  drop_relayed(reports);
  ASSERT_EQ(reports.size(), 1u);
  ASSERT_EQ(reports[0].relayed_by.size(), 2u);
  EXPECT_EQ(reports[0].relayed_by[0].pid, 11);
  EXPECT_EQ(reports[0].relayed_by[1].pid, 10);
}

TEST(DropRelayed, TheSignalIsTheOneThatTheChildDiedOfInTheEnd) {
  CrashReport child = death(11, 10, 0);
  child.kind = CrashKind::handled_signal;
  child.followed_by = RawSignal{SIGABRT, SI_TKILL, 0, 0, 11, 0};
  EXPECT_EQ(left_of({child, relay(10, 9, 1, SIGABRT)}), Pids({11}));
  EXPECT_EQ(left_of({child, relay(10, 9, 1, SIGSEGV)}), Pids({11, 10}));
}

TEST(DropRelayed, OtherDeathsStay) {
  const CrashReport child = death(11, 10, 10);
  EXPECT_EQ(left_of({child, death(10, 9, 11)}), Pids({11, 10})) << "a fault of its own";
  EXPECT_EQ(left_of({child, relay(12, 9, 11)}), Pids({11, 12})) << "not the parent";
  EXPECT_EQ(left_of({child, relay(9, 1, 11)}), Pids({11, 9})) << "not the direct parent";
  EXPECT_EQ(left_of({child, relay(10, 9, 11, SIGBUS)}), Pids({11, 10})) << "another signal";
  EXPECT_EQ(left_of({child, relay(10, 9, 9)}), Pids({11, 10})) << "before its child";
  EXPECT_EQ(left_of({child, relay(10, 9, 10 + 61)}), Pids({11, 10})) << "long after its child";
  CrashReport sent = relay(10, 9, 11);
  sent.raw.signal.sender_pid = 42;
  EXPECT_EQ(left_of({child, sent}), Pids({11, 10})) << "by another process";
  CrashReport handled = relay(10, 9, 11);
  handled.kind = CrashKind::handled_signal;
  EXPECT_EQ(left_of({child, handled}), Pids({11, 10}));
}

TEST(DropRelayed, AFailedCheckOfTheParentIsACrash) {
  const CrashReport child = death(11, 10, 0, SIGABRT);
  CrashReport parent = relay(10, 9, 1, SIGABRT);
  EXPECT_EQ(left_of({child, parent}), Pids({11}));
  std::vector<Frame>& frames = parent.backtrace.threads[0].frames;
  frames.insert(frames.begin() + 2, named("abort"));
  EXPECT_EQ(left_of({child, parent}), Pids({11, 10}));
  frames = {named(""), named("")};
  EXPECT_EQ(left_of({child, parent}), Pids({11, 10})) << "nothing is known";
}

TEST(DropTop, KeepsTheGapWhereItIs) {
  ThreadBacktrace thread;
  thread.frames.resize(6);
  thread.elided_frames = 9;
  thread.elided_after = 3;
  drop_top(thread, 2);
  EXPECT_EQ(thread.frames.size(), 4u);
  EXPECT_EQ(thread.elided_after, 1u);
  EXPECT_EQ(thread.elided_frames, 9u);
  drop_top(thread, 1);
  EXPECT_EQ(thread.frames.size(), 3u);
  EXPECT_EQ(thread.elided_after, 0u);
  EXPECT_EQ(thread.elided_frames, 0u) << "they lay above what is left";
}

}  // namespace
}  // namespace crashcrawler
