#include "runner/base/program_output.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

TEST(ProgramOutput, IsWhatItWroteAndHowItEnded) {
  const auto output = output_of({"sh", "-c", "echo out; echo not this >&2; exit 3"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "out\n");
  EXPECT_EQ(output->exit_status, 3);
}

TEST(ProgramOutput, SaysWhatSignalEndedIt) {
  const auto output = output_of({"sh", "-c", "kill -KILL $$"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit_status, 137);
}

TEST(ProgramOutput, OfAProgramThatIsNotThere) {
  const auto output = output_of({"no-such-program"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit_status, 127);
}

TEST(ProgramOutput, IsReadToItsEndButNotKept) {
  const auto output = output_of({"sh", "-c", "head -c 1000000 /dev/zero; exit 4"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text.size(), size_t{64} << 10);
  EXPECT_EQ(output->exit_status, 4);
}

TEST(ProgramOutput, ReadsNothing) {
  const auto output = output_of({"cat"});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit_status, 0);
}

TEST(ProgramOutput, ComplaintIsTheFirstLineOfItsErrors) {
  EXPECT_EQ(
      complaint_of({"sh", "-c", "echo not this; echo 'no engine: why' >&2; echo more >&2; exit 1"}),
      "no engine: why");
  EXPECT_EQ(complaint_of({"sh", "-c", "printf unended >&2"}), "unended");
  EXPECT_EQ(complaint_of({"true"}), "");
  EXPECT_EQ(complaint_of({"no-such-program"}), "");
}

}  // namespace
}  // namespace crashcrawler
