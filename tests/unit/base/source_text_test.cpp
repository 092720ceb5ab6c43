#include "runner/base/source_text.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

bool is_check(std::string_view name) {
  return name == "CHECK";
}

TEST(SourceText, FindsTheCallAroundALine) {
  const std::vector<std::string> lines = {
      "CHECK(one);",       "CHECK(",  "    \"a ) b\",  // ) here",
      "    { f(1, 2); },", "    c);", "other();"};
  for (const int line : {2, 3, 4, 5}) {
    const MacroCall call = macro_call_above(lines, line, is_check, true);
    EXPECT_EQ(call.first_line, 2) << line;
    EXPECT_EQ(call.last_line, 5) << line;
    EXPECT_EQ(call.arguments.size(), 3u) << line;
    EXPECT_EQ(call.arguments.back(), "c");
  }
  EXPECT_EQ(macro_call_above(lines, 1, is_check, true).arguments, std::vector<std::string>{"one"});
  EXPECT_EQ(macro_call_above(lines, 6, is_check, true).name, "");
  EXPECT_EQ(macro_call_above(lines, 6, is_check, false).first_line, 2);
  EXPECT_EQ(macro_call_above(lines, 0, is_check, false).name, "");
  EXPECT_EQ(macro_call_above(lines, 7, is_check, false).name, "");
}

TEST(SourceText, WhatIsInAStringOrACommentIsNoCall) {
  EXPECT_EQ(macro_call_above({"f(\"CHECK(\"); // CHECK(x)"}, 1, is_check, false).name, "");
  EXPECT_EQ(macro_call_above({"CHECK(never closed"}, 1, is_check, false).name, "");
  EXPECT_EQ(macro_call_above({"CHECK(R\"x(a)\",)x\", 1'000)"}, 1, is_check, true).arguments.size(),
            2u);
}

TEST(SourceText, LiteralsAreJoined) {
  EXPECT_EQ(literal_text("\"score \" /* so */ \"is\\\" saved\""), "score is\" saved");
  EXPECT_EQ(literal_text("R\"(raw)\""), "raw");
  EXPECT_EQ(literal_text("kName"), "");
  EXPECT_EQ(literal_text(""), "");
}

TEST(SourceText, OnlyRegularFilesOfASaneSizeAreRead) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/a.cpp";
  std::ofstream(path) << "one\ntwo";
  SourceTexts sources;
  EXPECT_EQ(sources.lines(path), (std::vector<std::string>{"one", "two"}));
  ASSERT_EQ(::mkfifo((folder.path() + "/pipe").c_str(), 0600), 0);
  for (const std::string& other : {folder.path() + "/pipe", folder.path(), std::string("/dev/zero"),
                                   std::string("a.cpp"), std::string()}) {
    EXPECT_TRUE(sources.lines(other).empty()) << other;
  }
}

}  // namespace
}  // namespace crashcrawler
