#include "runner/base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace crashcrawler {
namespace {

TEST(Result, HoldsAValue) {
  Result<std::string> result(std::string("value"));
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, "value");
  EXPECT_EQ(result->size(), 5u);
}

TEST(Result, HoldsAnError) {
  const Result<std::string> result(Error{"it broke"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "it broke");
  EXPECT_EQ(result.error().exit_status, 125);
}

TEST(Result, TellsValueAndErrorApartWhenTheValueIsAnInteger) {
  const Result<int> zero(0);
  EXPECT_TRUE(zero);
  EXPECT_EQ(*zero, 0);
}

TEST(Result, CarriesMoveOnlyValues) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = std::move(*result);
  EXPECT_EQ(*taken, 7);
}

TEST(Result, OfVoidIsSuccessUnlessGivenAnError) {
  const Result<void> success;
  EXPECT_TRUE(success);
  const Result<void> failure(Error{"no", 127});
  ASSERT_FALSE(failure);
  EXPECT_EQ(failure.error().exit_status, 127);
}

TEST(Error, GainsContextAndKeepsItsExitStatus) {
  const Error error = Error{"no such file", 127}.in("cannot start x");
  EXPECT_EQ(error.message, "cannot start x: no such file");
  EXPECT_EQ(error.exit_status, 127);
}

TEST(Error, OfErrnoEndsInItsText) {
  errno = ENOENT;
  EXPECT_EQ(errno_error("cannot open x").message, "cannot open x: No such file or directory");
}

}  // namespace
}  // namespace crashcrawler
