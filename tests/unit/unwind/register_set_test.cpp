#include "runner/unwind/register_set.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

TEST(RegisterSet, numbers_x86_64_as_its_abi_does) {
  Registers r;
  r.rax = 100, r.rdx = 101, r.rcx = 102, r.rbx = 103, r.rsi = 104, r.rdi = 105, r.rbp = 106;
  r.rsp = 107, r.r8 = 108, r.r15 = 115, r.rip = 116;
  const RegisterSet set(r, Architecture::x86_64);
  for (const size_t number : {0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16}) {
    EXPECT_EQ(set.get(number), 100 + number);
  }
  EXPECT_EQ(set.pc(), 116u);
  EXPECT_EQ(set.sp(), 107u);
  EXPECT_EQ(set.fp(), 106u);
  EXPECT_FALSE(set.get(17));
}

TEST(RegisterSet, numbers_i386_as_its_abi_does) {
  Registers r;
  r.rax = 100, r.rcx = 101, r.rdx = 102, r.rbx = 103, r.rsp = 104, r.rbp = 105, r.rsi = 106;
  r.rdi = 107, r.rip = 108;
  const RegisterSet set(r, Architecture::i386);
  for (size_t number = 0; number <= 8; ++number) {
    EXPECT_EQ(set.get(number), 100 + number);
  }
  EXPECT_EQ(set.pc(), 108u);
  EXPECT_EQ(set.sp(), 104u);
  EXPECT_EQ(set.fp(), 105u);
  EXPECT_FALSE(set.get(9));
}

TEST(RegisterSet, keeps_addresses_within_the_word) {
  RegisterSet set(Registers{}, Architecture::i386);
  set.set(0, 0x1'0000'0004);
  EXPECT_EQ(set.get(0), 4u);
}

TEST(RegisterSet, forgets) {
  RegisterSet set(Registers{}, Architecture::x86_64);
  set.forget(3);
  EXPECT_FALSE(set.get(3));
  set.set(3, 7);
  EXPECT_EQ(set.get(3), 7u);
  set.set(99, 1);
  set.forget(99);
  EXPECT_FALSE(set.get(99));
}

}  // namespace
}  // namespace crashcrawler
