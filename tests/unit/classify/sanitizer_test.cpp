#include "runner/classify/sanitizer.h"

#include <gtest/gtest.h>

#include <csignal>
#include <initializer_list>

#include "runner/classify/verdict.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kStackPointer = 0x7fff00002000;

// A process that ended itself with these functions on its stack, top first; those that begin with a capital or a lower
// case letter are its own.
CrashReport exited(std::initializer_list<std::string> functions) {
  CrashReport report;
  report.raw.cause = Cause::exit;
  report.raw.wait_status = 1 << 8;
  report.raw.has_exit = true;
  RawThread& thread = report.raw.threads.emplace_back();
  thread.registers.rsp = kStackPointer;
  ThreadBacktrace& backtrace = report.backtrace.threads.emplace_back();
  for (const std::string& function : functions) {
    Frame& frame = backtrace.frames.emplace_back();
    frame.function = function;
    frame.in_app = !function.starts_with("_") && function != "exit";
  }
  return report;
}

CrashReport with_dead_stack(CrashReport report, const std::string& text) {
  std::string bytes = text + std::string(512, '\0');
  report.raw.threads.front().stack.push_back({kStackPointer - bytes.size(), bytes + "live"});
  return report;
}

std::vector<std::string> functions_of(const CrashReport& report) {
  std::vector<std::string> names;
  for (const Frame& frame : report.backtrace.threads.front().frames) {
    names.push_back(frame.function);
  }
  return names;
}

TEST(Sanitizer, AnOrdinaryExitIsNoFinding) {
  CrashReport report = exited({"os.Exit", "main.main"});
  EXPECT_FALSE(judge(report));
}

TEST(Sanitizer, TheReportOfAddressSanitizerIsTakenWhole) {
  CrashReport report = exited({"__sanitizer::internal__exit(int)", "__sanitizer::Die()",
                               "__asan::ScopedInErrorReport::~ScopedInErrorReport()",
                               "__asan_report_load4", "use", "main"});
  report.raw.report_text =
      "=====\n==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\nREAD of size 4\n"
      "SUMMARY: AddressSanitizer: heap-use-after-free /src/use.c:2 in use\n==1==ABORTING\n";
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::sanitizer);
  ASSERT_TRUE(report.sanitizer);
  EXPECT_EQ(report.sanitizer->tool, "AddressSanitizer");
  EXPECT_EQ(report.sanitizer->kind, "heap-use-after-free");
  EXPECT_EQ(report.sanitizer->text, report.raw.report_text);
  EXPECT_EQ(functions_of(report), (std::vector<std::string>{"use", "main"}));
}

TEST(Sanitizer, WhatUndefinedBehaviorSanitizerPrintedLastIsInTheDeadStack) {
  CrashReport report = with_dead_stack(
      exited({"__sanitizer::Die()", "__ubsan_handle_add_overflow_abort", "add", "main"}),
      std::string("SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior a.c:1:2 in\n\0junk",
                  68) +
          "a.c:1:2: runtime error: signed integer overflow: 1 + 2 cannot be represented\n");
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.sanitizer->tool, "UndefinedBehaviorSanitizer");
  EXPECT_EQ(report.sanitizer->kind, "signed integer overflow");
  EXPECT_EQ(report.sanitizer->text,
            "a.c:1:2: runtime error: signed integer overflow: 1 + 2 cannot be represented");
}

TEST(Sanitizer, KindsOfTwoWords) {
  CrashReport report = with_dead_stack(exited({"__tsan::finalize(void*)", "exit"}),
                                       "SUMMARY: ThreadSanitizer: data race /src/a.c:2 in f\n");
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.sanitizer->kind, "data race");
}

TEST(Sanitizer, LeaksAreKnownByWhoLooksForThem) {
  CrashReport report =
      exited({"__sanitizer::internal__exit(int)", "__lsan::HandleLeaks()", "__asan_exit", "exit"});
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.sanitizer->tool, "LeakSanitizer");
  EXPECT_EQ(report.sanitizer->kind, "memory leak");
  EXPECT_TRUE(functions_of(report).empty()) << "the stack at exit says nothing of the place";
  EXPECT_FALSE(report.backtrace.threads.front().stop_reason.empty());
}

TEST(Sanitizer, WithoutWordsThereIsStillAFinding) {
  CrashReport report = exited({"__sanitizer::Die()", "__tsan::finalize(void*)", "exit"});
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.sanitizer->tool, "ThreadSanitizer");
  EXPECT_EQ(report.sanitizer->kind, "");
}

TEST(Sanitizer, ARuntimeWithoutSymbolsIsKnownByItsFile) {
  CrashReport report = exited({"", "", "use"});
  report.backtrace.modules.push_back({});
  report.backtrace.modules.back().path = "/usr/lib/x86_64-linux-gnu/libasan.so.8";
  report.backtrace.threads.front().frames[0].module = 0;
  report.backtrace.threads.front().frames[1].module = 0;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.sanitizer->tool, "AddressSanitizer");
  EXPECT_EQ(functions_of(report), std::vector<std::string>{"use"});
}

TEST(Sanitizer, AnAbortThatTheRuntimeRaisesIsAFinding) {
  CrashReport report = exited({"raise", "abort", "__sanitizer::Abort()",
                               "__ubsan::__ubsan_handle_divrem_overflow_abort", "add", "main"});
  report.raw.cause = Cause::core_signal;
  report.raw.signal.number = SIGABRT;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::sanitizer);
  EXPECT_EQ(report.sanitizer->kind, "divrem overflow")
      << "the words are overwritten, the handler has a name";
  EXPECT_EQ(functions_of(report), (std::vector<std::string>{"add", "main"}));
}

TEST(Sanitizer, AnAbortOfTheProgramUnderASanitizerIsItsOwn) {
  CrashReport report = exited({"raise", "abort", "check", "__interceptor_qsort", "main"});
  report.raw.cause = Cause::core_signal;
  report.raw.signal.number = SIGABRT;
  ASSERT_TRUE(judge(report));
  EXPECT_EQ(report.kind, CrashKind::signal);
  EXPECT_FALSE(report.sanitizer);
}

}  // namespace
}  // namespace crashcrawler
