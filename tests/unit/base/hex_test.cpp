#include "runner/base/hex.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

TEST(Hex, IsLowerCaseWithoutPadding) {
  EXPECT_EQ(hex(0), "0x0");
  EXPECT_EQ(hex(0xABCDEF), "0xabcdef");
  EXPECT_EQ(hex(~uint64_t{0}), "0xffffffffffffffff");
}

}  // namespace
}  // namespace crashcrawler
