#include "runner/base/signal_names.h"

#include <gtest/gtest.h>

#include <csignal>

namespace crashcrawler {
namespace {

TEST(SignalName, IsTheOneOfSignal7) {
  EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(signal_name(SIGABRT), "SIGABRT");
  EXPECT_EQ(signal_name(SIGKILL), "SIGKILL");
}

TEST(SignalName, OfANumberWithoutNameShowsTheNumber) {
  EXPECT_EQ(signal_name(42), "SIG42");
  EXPECT_EQ(signal_name(0), "SIG0");
  EXPECT_EQ(signal_name(-1), "SIG-1");
}

struct CodeCase {
  int signal, code;
  const char* name;
  const char* meaning;
};

class SignalCode : public ::testing::TestWithParam<CodeCase> {};

TEST_P(SignalCode, HasNameAndMeaning) {
  EXPECT_EQ(signal_code_name(GetParam().signal, GetParam().code), GetParam().name);
  EXPECT_EQ(signal_code_meaning(GetParam().signal, GetParam().code), GetParam().meaning);
}

INSTANTIATE_TEST_SUITE_P(
    Known, SignalCode,
    ::testing::Values(
        CodeCase{SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR", "nothing is mapped at the address"},
        CodeCase{SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR", "the mapping does not permit the access"},
        CodeCase{SIGSEGV, SI_KERNEL, "SI_KERNEL", "raised by the kernel"},
        CodeCase{SIGFPE, FPE_INTDIV, "FPE_INTDIV", "integer division by zero"},
        CodeCase{SIGILL, ILL_ILLOPN, "ILL_ILLOPN", "illegal operand"},
        CodeCase{SIGBUS, BUS_ADRERR, "BUS_ADRERR",
                 "no such physical address, or beyond the end of the mapped file"},
        CodeCase{SIGABRT, SI_TKILL, "SI_TKILL", "sent with tgkill()"},
        CodeCase{SIGTERM, SI_USER, "SI_USER", "sent with kill()"}));

TEST(SignalCodeName, OfAnUnknownPairIsEmpty) {
  EXPECT_EQ(signal_code_name(SIGSEGV, 77), "");
  EXPECT_EQ(signal_code_meaning(SIGABRT, SEGV_MAPERR), "");
}

TEST(IsCoreSignal, AgreesWithTheTableOfSignal7) {
  for (const int core :
       {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS}) {
    EXPECT_TRUE(is_core_signal(core)) << core;
  }
  for (const int other : {SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGPIPE, SIGUSR1, SIGCHLD, SIGSTOP}) {
    EXPECT_FALSE(is_core_signal(other)) << other;
  }
}

TEST(HasFaultAddress, OnlyWhenTheKernelRaisedTheSignalForAnInstruction) {
  EXPECT_TRUE(has_fault_address(SIGSEGV, SEGV_MAPERR));
  EXPECT_TRUE(has_fault_address(SIGBUS, BUS_ADRERR));
  EXPECT_TRUE(has_fault_address(SIGFPE, FPE_INTDIV));
  EXPECT_FALSE(has_fault_address(SIGSEGV, SI_USER));
  EXPECT_FALSE(has_fault_address(SIGSEGV, SI_KERNEL));
  EXPECT_FALSE(has_fault_address(SIGABRT, SI_TKILL));
}

TEST(HasSender, OnlyOfSignalsThatAProcessSent) {
  EXPECT_TRUE(has_sender(SIGABRT, SI_TKILL));
  EXPECT_TRUE(has_sender(SIGTERM, SI_USER));
  EXPECT_TRUE(has_sender(SIGUSR1, SI_QUEUE));
  EXPECT_FALSE(has_sender(SIGSEGV, SEGV_MAPERR));
  EXPECT_FALSE(has_sender(SIGSEGV, SI_KERNEL));
}

}  // namespace
}  // namespace crashcrawler
