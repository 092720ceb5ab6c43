#include "runner/unwind/cfi_step.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::crash_of;
using tests::LiveSnapshot;
using tests::program;

// One step out of the top frame of a program at a fixed address.
class CfiStepTest : public testing::Test {
 protected:
  CfiStepTest() : snapshot_(crash_of("fixed_address", "null_write")) {
    fd_.reset(::open(program("fixed_address").c_str(), O_RDONLY | O_CLOEXEC));
    const auto image = ElfImage::open(fd_.get(), program("fixed_address"), DebugFileSearch());
    EXPECT_TRUE(image);
    image_ = *image;
  }

  CfiStep step() {
    const RegisterSet registers(snapshot_.crash.threads.at(0).registers, Architecture::x86_64);
    const AddressSpace memory(snapshot_.crash);
    return step_by_cfi(*image_, 0, registers.pc(), registers, memory);
  }

  Registers& registers() { return snapshot_.crash.threads.at(0).registers; }

  LiveSnapshot snapshot_;
  UniqueFd fd_;
  std::shared_ptr<ElfImage> image_;
};

TEST_F(CfiStepTest, restores_what_the_callee_saved_and_forgets_the_rest) {
  registers().rbx = 42;
  const CfiStep found = step();
  ASSERT_EQ(found.outcome, CfiStep::Outcome::caller);
  EXPECT_GT(found.cfa, registers().rsp);
  EXPECT_EQ(found.registers.sp(), found.cfa);
  EXPECT_EQ(found.registers.get(3), 42u) << "rbx belongs to the caller";
  EXPECT_EQ(found.registers.get(12), registers().r12);
  for (const size_t number : {0, 1, 2, 4, 5, 8, 9, 10, 11}) {
    EXPECT_FALSE(found.registers.get(number)) << number << " may have been changed by the callee";
  }
  EXPECT_FALSE(found.signal_frame);
}

TEST_F(CfiStepTest, names_the_place_that_was_not_captured) {
  snapshot_.crash.threads[0].stack.clear();
  const CfiStep found = step();
  EXPECT_EQ(found.outcome, CfiStep::Outcome::unreadable);
  EXPECT_GE(found.address, registers().rsp);
  EXPECT_LT(found.address, registers().rsp + 64);
}

TEST_F(CfiStepTest, knows_where_no_table_is) {
  registers().rip = 0x10;
  EXPECT_EQ(step().outcome, CfiStep::Outcome::no_table);
}

}  // namespace
}  // namespace crashcrawler
