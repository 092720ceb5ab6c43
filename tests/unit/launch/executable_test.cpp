#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "runner/launch/held_command.h"
#include "tests/unit/launch/process_support.h"

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;

class ResolveExecutable : public ::testing::Test {
 protected:
  ResolveExecutable() {
    ::mkdir(at("first").c_str(), 0755);
    ::mkdir(at("second").c_str(), 0755);
    ::mkdir(at("first/folder").c_str(), 0755);
    folder_.file("first/plain", "text", 0644);
    folder_.file("first/both", "", 0755);
    folder_.file("second/both", "", 0755);
    folder_.file("second/late", "", 0755);
    folder_.file("first/late", "not executable", 0644);
    set_path(at("nowhere") + ":" + at("first") + ":" + at("second"));
  }
  ~ResolveExecutable() override { set_path(before_); }

  std::string at(const std::string& name) const { return folder_.path() + "/" + name; }
  static void set_path(const std::string& path) { ::setenv("PATH", path.c_str(), 1); }
  static Result<std::string> resolve(const std::string& name) {
    return resolve_executable({{name}, "/"});
  }

  testing::ScratchFolder folder_;
  const std::string before_ = std::getenv("PATH");
};

TEST_F(ResolveExecutable, TakesTheFirstOfPath) {
  EXPECT_EQ(*resolve("both"), at("first/both"));
}

TEST_F(ResolveExecutable, PassesOverWhatIsNotExecutable) {
  EXPECT_EQ(*resolve("late"), at("second/late"));
}

TEST_F(ResolveExecutable, LeavesNamesWithASlashAlone) {
  EXPECT_EQ(*resolve(at("second/both")), at("second/both"));
  EXPECT_EQ(*resolve("/proc/self/exe"), "/proc/self/exe");
}

TEST_F(ResolveExecutable, AnEmptyElementIsTheCurrentDirectory) {
  char before[4096];
  ASSERT_NE(::getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(::chdir(at("second").c_str()), 0);
  for (const char* path : {":/nowhere", "/nowhere:", "/nowhere::/nowhere"}) {
    set_path(path);
    const Result<std::string> found = resolve("late");
    ASSERT_TRUE(found) << path;
    EXPECT_EQ(*found, "late");
  }
  ASSERT_EQ(::chdir(before), 0);
}

TEST_F(ResolveExecutable, WithoutPathTheStandardFoldersCount) {
  ::unsetenv("PATH");
  EXPECT_THAT(*resolve("sh"), ::testing::EndsWith("/sh"));
}

TEST_F(ResolveExecutable, SaysWhyNot) {
  const struct {
    std::string name;
    int exit_status;
    std::string text;
  } cases[] = {
      {"absent", 127, "'absent' is in no folder of PATH"},
      {"", 127, "not found"},
      {at("absent"), 127, "No such file"},
      {at("first/plain/below"), 127, "Not a directory"},
      {"plain", 126, at("first/plain") + ": Permission denied"},
      {at("first/plain"), 126, "Permission denied"},
      {"folder", 126, "directory"},
      {at("first"), 126, "it is a directory"},
  };
  for (const auto& c : cases) {
    const Result<std::string> found = resolve(c.name);
    ASSERT_FALSE(found) << c.name;
    EXPECT_EQ(found.error().exit_status, c.exit_status) << c.name;
    EXPECT_THAT(found.error().message, HasSubstr(c.text));
  }
}

}  // namespace
}  // namespace crashcrawler
