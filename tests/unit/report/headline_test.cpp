#include "runner/report/headline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint64_t kStackStart = 0x7ffe00001000, kStackEnd = 0x7ffe00801000;

// A crash with an instruction in the program's code, the stack pointer in the middle of the stack.
class Cause : public ::testing::Test {
 protected:
  Cause() : report_(null_write()) {
    map(kStackStart, kStackEnd, "rw", "[stack]");
    registers().rsp = kStackStart + 0x10000;
  }

  void map(uint64_t start, uint64_t end, const std::string& access, const std::string& path) {
    Mapping mapping;
    mapping.start = start;
    mapping.end = end;
    mapping.readable = access.find('r') != std::string::npos;
    mapping.writable = access.find('w') != std::string::npos;
    mapping.executable = access.find('x') != std::string::npos;
    mapping.path = path;
    report_.raw.mappings.push_back(mapping);
    std::sort(report_.raw.mappings.begin(), report_.raw.mappings.end(),
              [](const Mapping& a, const Mapping& b) { return a.start < b.start; });
  }
  Registers& registers() { return report_.backtrace.threads[0].registers; }
  std::string fault(int signal, int code, uint64_t address = 0) {
    report_.raw.signal = {signal, code, 0, address, 0, 0};
    return cause_in_words(report_);
  }
  std::string sent(int signal, int code, pid_t sender) {
    report_.raw.signal = {signal, code, 0, 0, sender, 1000};
    return cause_in_words(report_);
  }

  CrashReport report_;
};

TEST_F(Cause, NamesTheNullPointerAndItsNeighbours) {
  EXPECT_EQ(fault(SIGSEGV, SEGV_MAPERR, 0), "nothing is mapped at address 0x0 (null pointer)");
  EXPECT_EQ(fault(SIGSEGV, SEGV_MAPERR, 0x18),
            "nothing is mapped at address 0x18 (null pointer + 24)");
  EXPECT_EQ(fault(SIGSEGV, SEGV_MAPERR, 0 - uint64_t{8}),
            "nothing is mapped at address 0xfffffffffffffff8 (null pointer - 8)");
  EXPECT_EQ(fault(SIGSEGV, SEGV_MAPERR, 4096), "nothing is mapped at address 0x1000");
}

TEST_F(Cause, DescribesTheMemoryThatRefused) {
  map(0x600000, 0x601000, "r", "/usr/lib/libx.so.1");
  map(0x700000, 0x701000, "", "");
  EXPECT_EQ(fault(SIGSEGV, SEGV_ACCERR, 0x600010),
            "the mapping does not permit the access to address 0x600010 (read-only memory of "
            "libx.so.1)");
  EXPECT_EQ(fault(SIGSEGV, SEGV_ACCERR, 0x555500000010),
            "the mapping does not permit the access to address 0x555500000010 (read-only code of "
            "null_write)");
  EXPECT_THAT(fault(SIGSEGV, SEGV_ACCERR, 0x700010), HasSubstr("(memory without access rights)"));
}

TEST_F(Cause, TellsAJumpFromAnAccess) {
  registers().rip = 0;
  EXPECT_EQ(fault(SIGSEGV, SEGV_MAPERR, 0),
            "jumped to address 0x0 (null pointer), where nothing is mapped");
  map(0x600000, 0x601000, "rw", "[heap]");
  registers().rip = 0x600010;
  EXPECT_EQ(fault(SIGSEGV, SEGV_ACCERR, 0x600010),
            "jumped to address 0x600010, which is not executable (writable memory of [heap])");
}

TEST_F(Cause, DoesNotInventAJumpWithoutRegisters) {
  registers() = {};
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, 0), Not(HasSubstr("jump")));
  report_.backtrace.threads.clear();
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, 0), Not(HasSubstr("jump")));
}

TEST_F(Cause, RecognisesAnOverflowOfTheMainStack) {
  registers().rsp = kStackStart;  // the call pushes below it
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, kStackStart - 8), StartsWith("stack overflow: "));
  registers().rsp = kStackStart - 0x2000;  // a frame of 12 KiB has been made already
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, kStackStart - 0x1000), StartsWith("stack overflow: "));
}

TEST_F(Cause, RecognisesAnOverflowIntoAThreadsGuard) {
  map(0x7f0000000000, 0x7f0000001000, "", "");
  map(0x7f0000001000, 0x7f0000801000, "rw", "");
  registers().rsp = 0x7f0000001000;
  EXPECT_THAT(fault(SIGSEGV, SEGV_ACCERR, 0x7f0000000ff8), StartsWith("stack overflow: "));
}

TEST_F(Cause, DoesNotCallOtherFaultsAnOverflow) {
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, 0), Not(HasSubstr("overflow")));
  // below the stack, but far from the stack pointer
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, kStackStart - 8), Not(HasSubstr("overflow")));
  // at the stack pointer, which points into accessible memory
  EXPECT_THAT(fault(SIGSEGV, SEGV_ACCERR, registers().rsp), Not(HasSubstr("overflow")));
  // a wild stack pointer with nothing like a stack above it
  registers().rsp = 0x41414141;
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, 0x41414139), Not(HasSubstr("overflow")));
  report_.raw.mappings.clear();
  EXPECT_THAT(fault(SIGSEGV, SEGV_MAPERR, 0x41414139), Not(HasSubstr("overflow")));
}

TEST_F(Cause, SaysWhatTheKernelMeansBySiKernel) {
  EXPECT_EQ(fault(SIGSEGV, SI_KERNEL), "a non-canonical address, or a privileged instruction");
  EXPECT_EQ(fault(SIGBUS, SI_KERNEL), "a non-canonical address in a stack access");
  EXPECT_EQ(fault(SIGTRAP, SI_KERNEL), "a breakpoint instruction (int3)");
}

TEST_F(Cause, OfOtherSignalsIsTheirMeaning) {
  map(0x600000, 0x601000, "rw", "/home/user/data");
  EXPECT_EQ(fault(SIGFPE, FPE_INTDIV, 0x555500001139), "integer division by zero");
  EXPECT_EQ(fault(SIGILL, ILL_ILLOPN, 0x555500001139), "illegal instruction (illegal operand)");
  EXPECT_EQ(fault(SIGBUS, BUS_ADRERR, 0x600800),
            "no such physical address, or beyond the end of the mapped file, address 0x600800 "
            "(writable memory of data)");
  EXPECT_EQ(fault(SIGSYS, 1), "system call denied by seccomp");
  EXPECT_EQ(fault(SIGSEGV, 99, 0x1234), "signal code 99, address 0x1234");
}

TEST_F(Cause, NamesTheSender) {
  EXPECT_EQ(sent(SIGABRT, SI_TKILL, 4711), "aborted");
  EXPECT_EQ(sent(SIGABRT, SI_USER, 4700), "sent with kill() by ctest (pid 4700, uid 1000)");
  EXPECT_EQ(sent(SIGSEGV, SI_TKILL, 4711), "sent with tgkill() by the process itself");
  EXPECT_EQ(sent(SIGQUIT, SI_USER, 99), "sent with kill() by pid 99, uid 1000");
}

TEST(Headline, IsOneSentence) {
  EXPECT_EQ(headline(null_write(), kDirectory),
            "null_write died of SIGSEGV: nothing is mapped at address 0x0 (null pointer), in store "
            "at src/store.h:3");
  EXPECT_EQ(headline(failed_check(), kDirectory),
            "check died of SIGABRT: aborted, in check(bool) at src/check.cpp:8");
}

TEST(Headline, NamesPathsOutsideOfTheDirectoryInFull) {
  EXPECT_THAT(headline(failed_check(), "/elsewhere"),
              HasSubstr("at /home/user/project/src/check.cpp:8"));
}

TEST(Headline, OfAProcessThatWentOnSaysSo) {
  CrashReport report = null_write();
  report.raw.wait_status = 1 << 8;
  EXPECT_THAT(headline(report, kDirectory), StartsWith("null_write got SIGSEGV: "));
}

TEST(Headline, OfNothingButASignalIsStillASentence) {
  CrashReport report;
  report.raw.signal = {SIGSEGV, SEGV_MAPERR, 0, 0x5000, 0, 0};
  EXPECT_EQ(headline(report, ""), "a process died of SIGSEGV: nothing is mapped at address 0x5000");
  report.raw.pid = 12;
  EXPECT_THAT(headline(report, ""), StartsWith("process 12 died of SIGSEGV"));
}

TEST(Headline, IsPrintable) {
  const std::string sentence = headline(hostile_crash(), kDirectory);
  EXPECT_EQ(sentence.find_first_of(std::string("\n\r\t\x1b\x01\x7f\0", 7)), std::string::npos);
  EXPECT_LT(sentence.size(), 4000u);
}

}  // namespace
}  // namespace crashcrawler
