#include "runner/report/text_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "runner/report/headline.h"
#include "runner/report/text.h"
#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string text(const CrashReport& report) {
  return crash_text(report, quiet_session());
}

TEST(CrashText, BeginsWithTheHeadline) {
  EXPECT_THAT(text(null_write()),
              ::testing::StartsWith(headline(null_write(), kDirectory) + "\n\n"));
}

TEST(CrashText, TellsTheFacts) {
  const std::string report = text(null_write());
  EXPECT_THAT(report, HasSubstr("null_write, pid 4711, parent 4710, uid 1000, x86_64\n"));
  EXPECT_THAT(report, HasSubstr("./null_write --case 'two words'\n"));
  EXPECT_THAT(report, HasSubstr("Started by sh (4710) < ctest (4700)\n"));
  EXPECT_THAT(report, HasSubstr("2025-03-01T12:00:01.125Z\n"));
  EXPECT_THAT(report, HasSubstr("SIGSEGV (11), code SEGV_MAPERR (1), address 0x0\n"));
  EXPECT_THAT(report, HasSubstr("killed by SIGSEGV\n"));
  EXPECT_THAT(report, HasSubstr("crashcrawler-1 00000000000000aa: store < "));
}

TEST(CrashText, ShowsTheStack) {
  const std::string report = text(null_write());
  EXPECT_THAT(report, HasSubstr("\n #0   store at src/store.h:3:5 [inlined]\n"));
  EXPECT_THAT(report, HasSubstr("\n #0   write_null(int*) at src/null_write.cpp:12:7 [context]\n"));
  EXPECT_THAT(report, HasSubstr("\n #3   __libc_start_call_main in libc.so.6+0x1000 [cfi]\n"));
  EXPECT_THAT(report, HasSubstr("\n #4   libc.so.6+0x1000 [cfi]\n"));
  EXPECT_THAT(report,
              HasSubstr("\n #5   0xdead0000 (in no module) [scan]\n      (end of stack)\n"));
}

TEST(CrashText, ShowsTheOtherThreads) {
  EXPECT_THAT(text(null_write()),
              HasSubstr("\nThread 4712 \"worker\"\n #0   futex_wait in libc.so.6+0x1000 [cfi]\n"
                        "      ... 12 frames are not listed\n"
                        " #1   start_thread in libc.so.6+0x1000 [cfi]\n"
                        "      (no memory at 0x7f0000f04000)\n"));
}

TEST(CrashText, ShowsRegistersAndModules) {
  const std::string report = text(null_write());
  EXPECT_THAT(report, HasSubstr("rip 0000555500001139"));
  EXPECT_THAT(report, HasSubstr("0x7f0000000000 /usr/lib/x86_64-linux-gnu/libc.so.6, libc6 "
                                "2.36-9+deb12u10, d1704d25fbbb72fa95d517b883131828c0883fe9\n"));
  EXPECT_THAT(report, HasSubstr("[vdso], no build-id\n"));
}

TEST(CrashText, ShowsWhatIsKnownOfAVersionWithoutAPackage) {
  CrashReport report = null_write();
  Module& module = report.backtrace.modules[0];
  module.versions = {{"1.4.2", "pkg_config", "/opt/lib/pkgconfig/shelf.pc"},
                     {"1.4", "file_name", ""},
                     {"SHELF_1.2", "symbol_versions", ""},
                     {"v1.4.2-3-g1a2b3c4-dirty", "git", "/opt"}};
  module.compilers = {"GCC: 12.2", "clang 14"};
  module.changed_on_disk = true;
  EXPECT_THAT(
      text(report),
      HasSubstr("null_write (changed on disk),\n"
                "                1.4.2 by shelf.pc, 1.4 by its name, SHELF_1.2 by its symbols, "
                "v1.4.2-3-g1a2b3c4-dirty by git,\n"
                "                d1704d25fbbb72fa95d517b883131828c0883fe9, compiled by GCC: 12.2 "
                "and clang 14\n"));
}

TEST(CrashText, FoldsRecursion) {
  const std::string report = text(stack_overflow());
  EXPECT_THAT(report, HasSubstr(" #1   recurse(int) at src/deep.cpp:7:7 [cfi]\n"
                                "      ... 999 more of the same 1 frame\n"
                                " #1001 main at src/deep.cpp:11:7 [cfi]\n"));
}

TEST(CrashText, EndsWithWhatIsMissing) {
  const std::string report = text(busy_session().crashes[2]);
  EXPECT_THAT(report, HasSubstr("What is missing here\n 3 records were lost in the kernel's ring "
                                "buffer\n the command line could not be read\n libfoo.so has no"));
  EXPECT_THAT(text(null_write()), Not(HasSubstr("What is missing")));
}

TEST(CrashText, IsReadableWithoutAnyStack) {
  CrashReport report = null_write();
  report.backtrace = {};
  report.raw.has_exit = false;
  EXPECT_THAT(text(report), HasSubstr("No stack is known."));
  EXPECT_THAT(text(report), HasSubstr("not seen"));
  report.raw.alive = true;
  EXPECT_THAT(text(report), HasSubstr("none, it was looked at alive"));
}

TEST(CrashText, LimitsWhatAHugeProcessCouldMakeOfIt) {
  CrashReport report = null_write();
  ThreadBacktrace thread = report.backtrace.threads[0];
  thread.crashed = false;
  for (int i = 0; i < 2000; ++i) {
    thread.frames.push_back(frame("f" + std::to_string(i), "a.cpp", i + 100));
  }
  report.backtrace.threads.insert(report.backtrace.threads.end(), 250, thread);
  const std::string huge = text(report);
  EXPECT_LT(huge.size(), 2u << 20);
  EXPECT_THAT(huge, HasSubstr("more threads are in"));
  EXPECT_THAT(huge, HasSubstr("more frames are not shown here"));
}

TEST(CrashText, KeepsHostileNamesInTheirLines) {
  const std::string report = text(hostile_crash());
  EXPECT_EQ(printable(report, Lines::many), report);
  EXPECT_LT(report.size(), 20000u);
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_FALSE(line.starts_with("</error>"));
    EXPECT_LE(count_characters(line), 1200u);
  }
}

TEST(CrashText, FitsTheScreenWithNamesOfOrdinaryLength) {
  std::istringstream lines(text(null_write()) + text(stack_overflow()) + text(failed_check()));
  std::string line;
  std::getline(lines, line);  // the sentence may be longer
  while (std::getline(lines, line)) {
    if (line.find(" died of ") == std::string::npos) {
      EXPECT_LE(count_characters(line), 120u) << line;
    }
  }
}

}  // namespace
}  // namespace crashcrawler
