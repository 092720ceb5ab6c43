// What a dead test program is asked for its tests, and what it answers.
#include "runner/attribute/test_case/listed_tests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

CrashReport crash_of(const std::string& framework, std::vector<std::string> arguments) {
  CrashReport crash;
  crash.test.framework = framework;
  crash.raw.arguments = std::move(arguments);
  crash.raw.executable = "/b/prog";
  return crash;
}

std::vector<std::string> asked(const std::string& framework, std::vector<std::string> arguments) {
  return question_for_list(crash_of(framework, std::move(arguments))).arguments;
}

std::vector<std::string> listed(const std::string& framework, const std::string& output) {
  std::vector<std::string> names;
  for (const TestName& test : parse_test_list(framework, output)) {
    names.push_back(test.suite + "|" + test.name + (test.file.empty() ? "" : "|" + test.file));
  }
  return names;
}

TEST(ListedTests, AreAskedForWithoutWhatWritesOrChangesThem) {
  EXPECT_THAT(
      asked("googletest", {"./prog", "--gtest_filter=A.*", "--gtest_output=xml:a.xml", "own"}),
      ElementsAre("/b/prog", "--gtest_filter=A.*", "own", "--gtest_list_tests"));
  EXPECT_THAT(asked("catch2", {"prog", "-r", "junit", "-o", "a.xml", "--reporter=junit", "[tag]"}),
              ElementsAre("/b/prog", "[tag]", "--list-test-names-only"));
  EXPECT_THAT(asked("doctest", {"prog", "-r=junit", "-o=a.xml", "-tc=a"}),
              ElementsAre("/b/prog", "-tc=a", "--list-test-cases", "-r=xml"));
  EXPECT_THAT(asked("boost.test", {"prog", "--logger=JUNIT,all,a.xml", "--log_sink", "a"}),
              ElementsAre("/b/prog", "--list_content=HRF"));
  EXPECT_THAT(
      asked("pytest", {"/usr/bin/python3", "-m", "pytest", "-vv", "--junitxml", "a", "t.py"}),
      ElementsAre("/usr/bin/python3", "-m", "pytest", "-vv", "t.py", "--collect-only", "-q", "-p",
                  "no:cacheprovider", "-q", "-q"));
  EXPECT_THAT(asked("pytest", {"venv/bin/python3", "t.py"}).front(), "/b/prog")
      << "seen from a folder that is not known";
}

TEST(ListedTests, AreNotAskedForWhereTheListWouldBeAnother) {
  EXPECT_THAT(asked("googletest", {"prog", "--gtest_shuffle"}), IsEmpty());
  EXPECT_THAT(asked("boost.test", {"prog", "--run_test=A"}), IsEmpty());
  EXPECT_THAT(asked("boost.test", {"prog", "-t", "A"}), IsEmpty());
  EXPECT_THAT(asked("catch2", {"prog", "--order", "rand"}), IsEmpty());
  EXPECT_THAT(asked("rust", {"prog"}), IsEmpty());
  EXPECT_THAT(asked("googletest", {}), IsEmpty());
  CrashReport shard = crash_of("googletest", {"prog"});
  shard.raw.environment = {{"GTEST_TOTAL_SHARDS", "2"}};
  EXPECT_THAT(question_for_list(shard).arguments, IsEmpty());
  ::setenv("GTEST_SHUFFLE", "1", 1);
  EXPECT_THAT(asked("googletest", {"prog"}), IsEmpty());
  ::setenv("GTEST_SHUFFLE", "0", 1);
  EXPECT_FALSE(asked("googletest", {"prog"}).empty());
  ::unsetenv("GTEST_SHUFFLE");
}

TEST(ListedTests, AreRead) {
  EXPECT_THAT(
      listed("googletest",
             "Running main() from gtest_main.cc\nInst/Suite.\n  Name/0  # GetParam() = 1\n"
             "  Name/1  # GetParam() = a. b\nTyped/0.  # TypeParam = int\n  x\nno suite.\n  "
             "y\n"),
      ElementsAre("Inst/Suite|Name/0", "Inst/Suite|Name/1", "Typed/0|x"));
  EXPECT_THAT(listed("catch2", "a b\n\"#c\"\n\n"), ElementsAre("|a b", "|#c"));
  EXPECT_THAT(
      listed("doctest",
             "<doctest binary=\"x\">\n"
             "  <TestCase name=\"a &lt;&amp;lt; b\" filename=\"a.cpp\" skipped=\"false\"/>\n"
             "  <TestCase name=\"off\" filename=\"a.cpp\" skipped=\"true\"/>\n</doctest>\n"),
      ElementsAre("|a <&lt; b|a.cpp"));
  EXPECT_THAT(
      listed("boost.test",
             "Outer*: what it is\n    Inner*\n        a*: words\n        off\n    b*\nc*\n"),
      ElementsAre("Outer.Inner|a", "Outer|b", "|c"));
  EXPECT_THAT(listed("pytest", "t/a.py::C::test_b[x::y z]\nt/a.py::test_c\n\n2 tests collected\n"),
              ElementsAre("t.a.C|test_b[x::y z]", "t.a|test_c"));
  for (const char* framework : {"googletest", "catch2", "doctest", "boost.test", "pytest", ""}) {
    for (const std::string& text :
         {std::string(), std::string(1 << 20, ' '), std::string("  a\n    \n\0:: .py::\n", 18)}) {
      parse_test_list(framework, text);
    }
  }
}

class ListTests : public ::testing::Test {
 protected:
  ListTests() {
    crash_ = crash_of("googletest", {"prog", "--gtest_output=xml:a.xml"});
    crash_.raw.executable = folder_.path() + "/prog";
    crash_.raw.working_directory = folder_.path();
    crash_.raw.root_directory = "/";
    crash_.raw.uid = ::getuid();
    crash_.raw.effective_uid = ::geteuid();
  }
  void program(const std::string& body) {
    folder_.write("prog", "#!/bin/sh\n" + body);
    ASSERT_EQ(::chmod((folder_.path() + "/prog").c_str(), 0755), 0);
  }
  std::string refusal(std::chrono::milliseconds longest = std::chrono::seconds(60)) {
    const Result<std::vector<TestName>> tests = list_tests(crash_, longest);
    return tests ? "none" : tests.error().message;
  }

  TemporaryDirectory folder_;
  CrashReport crash_;
};

TEST_F(ListTests, OfARealProgramInItsFolderWithoutInput) {
  crash_.raw.environment = {{"GTEST_OUTPUT", "xml:b.xml"}, {"LANG", "xx"}};
  program(
      "read nothing\necho A.\necho \"  $1\"\necho \"  $LANG\"\necho \"  ${GTEST_OUTPUT-unset}\"\n"
      "echo '  DISABLED_x'\necho \"  $PWD\"\nexit 1\n");
  const Result<std::vector<TestName>> tests = list_tests(crash_);
  ASSERT_TRUE(tests) << tests.error().message;
  std::vector<std::string> names;
  for (const TestName& test : *tests) {
    names.push_back(test.name);
  }
  EXPECT_THAT(names, ElementsAre("--gtest_list_tests", "xx", "unset", folder_.path()));
}

TEST_F(ListTests, NotOfAProgramThatIsAnother) {
  program("echo A.\necho '  b'\n");
  EXPECT_EQ(refusal(), "none");
  crash_.raw.uid = 12345;
  EXPECT_THAT(refusal(), HasSubstr("another user"));
  crash_.raw.uid = ::getuid();
  crash_.raw.root_directory = "/srv/root";
  EXPECT_THAT(refusal(), HasSubstr("saw other files"));
  crash_.raw.root_directory = "/";
  crash_.raw.mount_namespace = 1;
  EXPECT_THAT(refusal(), HasSubstr("saw other files"));
  crash_.raw.mount_namespace = 0;
  Mapping mapping;
  mapping.path = crash_.raw.executable;
  mapping.inode = 1;
  crash_.raw.mappings = {mapping};
  EXPECT_THAT(refusal(), HasSubstr("has been replaced"));
  struct stat status {};
  ASSERT_EQ(::stat(crash_.raw.executable.c_str(), &status), 0);
  crash_.raw.mappings[0].inode = status.st_ino;
  EXPECT_EQ(refusal(), "none");
  crash_.raw.mappings[0].modified_ns = 1;
  EXPECT_THAT(refusal(), HasSubstr("has been replaced"));
  crash_.raw.mappings[0].modified_ns = 0;
  crash_.raw.time = std::chrono::system_clock::now() + std::chrono::seconds(1);
  EXPECT_EQ(refusal(), "none");
  crash_.raw.time -= std::chrono::minutes(1);
  EXPECT_THAT(refusal(), HasSubstr("has been replaced")) << "by one that is younger than the death";
}

TEST_F(ListTests, OfAProgramThatDiesOrSaysNothingOrNeverStops) {
  program("kill -SEGV $$\n");
  EXPECT_EQ(refusal(), "it names none");
  program("exec sleep 100\n");
  EXPECT_THAT(refusal(std::chrono::milliseconds(100)), HasSubstr("took longer than"));
  program(
      "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; "
      "done\n");
  EXPECT_THAT(refusal(), HasSubstr("had more to say"));
}

}  // namespace
}  // namespace crashcrawler
