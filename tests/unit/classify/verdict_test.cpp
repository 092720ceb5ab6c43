#include "runner/classify/verdict.h"

#include <gtest/gtest.h>

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

TEST(MayBeCrash, ARunnerThatIsNotAboveKillsForItsOwnReasons) {
  EXPECT_FALSE(may_be_crash(killed_by(SIGKILL, in_tree(999, "ctest")), kHarness));
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

TEST(Judge, ACoreSignalAloneIsACrash) {
  CrashReport report;
  report.raw.signal.number = SIGSEGV;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::signal);
}

}  // namespace
}  // namespace crashcrawler
