#include "runner/unwind/demangle.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

TEST(ReadableName, demangles) {
  EXPECT_EQ(readable_name("_ZN4shop6middleEPi"), "shop::middle(int*)");
  EXPECT_EQ(readable_name("_ZN4shop12_GLOBAL__N_13putEPii"),
            "shop::(anonymous namespace)::put(int*, int)");
}

TEST(ReadableName, leaves_other_names_alone) {
  EXPECT_EQ(readable_name("main"), "main");
  EXPECT_EQ(readable_name("_Zebra"), "_Zebra");
  EXPECT_EQ(readable_name("a.b"), "a.b");
  EXPECT_EQ(readable_name(".cold"), ".cold");
  EXPECT_EQ(readable_name(""), "");
}

TEST(ReadableName, drops_what_the_compiler_appended) {
  EXPECT_EQ(readable_name("_ZN4shop6middleEPi.cold"), "shop::middle(int*)");
  EXPECT_EQ(readable_name("_ZN4shop6middleEPi.part.0.isra.3"), "shop::middle(int*)");
  EXPECT_EQ(readable_name("raise.constprop.12"), "raise");
  EXPECT_EQ(readable_name("version.2"), "version.2") << "a clone has a kind";
}

TEST(ReadableName, drops_symbol_versions) {
  EXPECT_EQ(readable_name("memcpy@@GLIBC_2.14"), "memcpy");
}

TEST(ReadableName, drops_the_hash_of_rust_names) {
  EXPECT_EQ(readable_name("_ZN4core9panicking5panic17h0123456789abcdefE"),
            "core::panicking::panic");
}

TEST(ReadableName, demangles_rust) {
  EXPECT_EQ(
      readable_name("_ZN46_$LT$app..Store$u20$as$u20$core..ops..Drop$GT$4drop17h0123456789abcdefE"),
      "<app::Store as core::ops::Drop>::drop");
  EXPECT_EQ(readable_name("_RNvMCsbDqzXfLQacH_3appNtB2_5Store3get"), "<app::Store>::get");
  EXPECT_EQ(readable_name("_RINvCsbDqzXfLQacH_3app7look_upmE.llvm.1234567890"),
            "app::look_up::<u32>");
  EXPECT_EQ(readable_name("_Ready"), "_Ready");
}

TEST(ReadableName, demangles_d) {
  EXPECT_EQ(readable_name("_D3app5Store3getMFiZi"), "app.Store.get(int)");
  EXPECT_EQ(readable_name("_Dmain"), "_Dmain");
  EXPECT_EQ(readable_name("_D1x"), "_D1x") << "no type";
}

TEST(ReadableName, does_not_try_names_without_measure) {
  const std::string huge = "_Z" + std::string(1 << 20, 'P') + "i";
  EXPECT_EQ(readable_name(huge), huge);
}

}  // namespace
}  // namespace crashcrawler
