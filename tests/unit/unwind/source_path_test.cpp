#include "runner/unwind/source_path.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

TEST(AbsoluteSourcePath, joins_and_normalises) {
  EXPECT_EQ(absolute_source_path("/build/app", "src/main.cpp"), "/build/app/src/main.cpp");
  EXPECT_EQ(absolute_source_path("/build/app/obj", "../src/./main.cpp"), "/build/app/src/main.cpp");
  EXPECT_EQ(absolute_source_path("/build", "/usr/include//c++/12/vector"),
            "/usr/include/c++/12/vector");
  EXPECT_EQ(absolute_source_path("", "main.c"), "main.c");
  EXPECT_EQ(absolute_source_path("/build", ""), "");
}

TEST(LiesBelow, compares_whole_folders) {
  EXPECT_TRUE(lies_below("/home/me/app/main.cpp", "/home/me/app"));
  EXPECT_TRUE(lies_below("/home/me/app/main.cpp", "/home/me/app/"));
  EXPECT_TRUE(lies_below("/home/me/app", "/home/me/app"));
  EXPECT_TRUE(lies_below("/x", "/"));
  EXPECT_FALSE(lies_below("/home/me/apple/main.cpp", "/home/me/app"));
  EXPECT_FALSE(lies_below("/home/me", "/home/me/app"));
  EXPECT_FALSE(lies_below("/home/me", ""));
  EXPECT_FALSE(lies_below("", "/home"));
}

}  // namespace
}  // namespace crashcrawler
