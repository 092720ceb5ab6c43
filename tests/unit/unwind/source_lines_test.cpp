#include "runner/unwind/source_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "runner/unwind/crash_unwinder.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::LiveSnapshot;

class SourceLines : public testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/a.c"; }
  void write(const std::string& text) { std::ofstream(path()) << text; }
  std::shared_ptr<const SourceText> around(int line, int64_t program_modified_ns = 0) {
    return SourceFiles().around({path(), line, 1}, program_modified_ns);
  }

  tests::TemporaryFolder folder_;
};

TEST_F(SourceLines, are_the_line_and_its_neighbours) {
  write("one\ntwo\r\nthree\nfour");
  const auto text = around(2);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->first_line, 1);
  EXPECT_THAT(text->lines, ElementsAre("one", "two", "three"));
  EXPECT_THAT(around(1)->lines, ElementsAre("one", "two"));
  EXPECT_THAT(around(4)->lines, ElementsAre("three", "four"));
  EXPECT_EQ(around(4)->first_line, 3);
}

TEST_F(SourceLines, are_none_where_the_file_has_no_such_line) {
  write("one\ntwo\n");
  EXPECT_FALSE(around(3));
  EXPECT_FALSE(around(0));
  EXPECT_FALSE(around(-1));
  EXPECT_FALSE(around(2147483647));
  write("");
  EXPECT_FALSE(around(1));
}

TEST_F(SourceLines, are_cut) {
  write(std::string(100'000, 'x') + "\n");
  EXPECT_EQ(around(1)->lines.at(0).size(), 240u);
}

TEST_F(SourceLines, are_not_read_from_what_is_no_file_of_ordinary_size) {
  EXPECT_FALSE(around(1)) << "no such file";
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  EXPECT_FALSE(around(1)) << "would wait for a writer";
  EXPECT_FALSE(SourceFiles().around({"/dev/zero", 1, 1}, 0));
  EXPECT_FALSE(SourceFiles().around({"relative.c", 1, 1}, 0));
  ASSERT_EQ(::unlink(path().c_str()), 0);
  write("x\n" + std::string(4 << 20, 'x'));
  EXPECT_FALSE(around(1)) << "too large";
}

TEST_F(SourceLines, say_when_they_were_written_after_the_program) {
  write("one\n");
  EXPECT_TRUE(around(1, 1)->newer_than_program);
  EXPECT_FALSE(around(1, INT64_MAX)->newer_than_program);
  EXPECT_FALSE(around(1, 0)->newer_than_program) << "not known";
}

TEST_F(SourceLines, are_read_once_per_place) {
  write("one\n");
  SourceFiles files;
  const auto first = files.around({path(), 1, 1}, 0);
  write("two\n");
  EXPECT_EQ(files.around({path(), 1, 9}, 0), first);
}

TEST(CrashUnwinder, quotes_the_source_of_the_crash) {
  const LiveSnapshot snapshot = tests::crash_of("optimised", "null_write");
  const Backtrace backtrace = CrashUnwinder(snapshot.files, {}).unwind(snapshot.crash);
  const Frame& top = backtrace.threads[0].frames.at(0);
  ASSERT_TRUE(top.location.text);
  EXPECT_EQ(top.location.text->first_line, top.location.line - 1);
  EXPECT_THAT(top.location.text->lines.at(1), HasSubstr("MARK: inner"));
  ASSERT_TRUE(top.inlines.at(0).location.text);
  EXPECT_THAT(top.inlines[0].location.text->lines.at(1), HasSubstr("MARK: put"));
}

}  // namespace
}  // namespace crashcrawler
