// augment_junit() on a real file system, with crashes made by hand.
#include "runner/augment/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "runner/augment/junit_document.h"
#include "runner/base/file.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kSuite =
    "<testsuite name=\"s\" tests=\"2\" failures=\"1\">\n  <testcase name=\"Crashes\" "
    "classname=\"Score\">\n"
    "    <failure message=\"\"/>\n  </testcase>\n  <testcase name=\"b\" "
    "classname=\"Score\"/>\n</testsuite>\n";

class Augment : public ::testing::Test {
 protected:
  Augment() {
    session_.command = {{"sh", "-c", "x"}, folder_.path()};
    session_.outcome.started = std::chrono::system_clock::now();
    words_.error = [](const CrashReport& crash) {
      return JunitError{"SIGSEGV", crash.id + " died", crash.id + " died\n #0 f\n",
                        "[[ATTACHMENT|" + crash.id + ".txt]]\n"};
    };
    words_.text = [](std::string_view bytes) { return std::string(bytes); };
    words_.line = [](std::string_view bytes, size_t characters) {
      return std::string(bytes.substr(0, characters));
    };
  }

  // A crash of the googletest test Score.NAME in ./prog.
  CrashReport& crash(const std::string& name = "Crashes", const std::string& option = "") {
    CrashReport& made = session_.crashes.emplace_back();
    made.id = "c" + std::to_string(session_.crashes.size());
    made.raw.executable = folder_.path() + "/prog";
    made.raw.arguments = {"./prog"};
    if (!option.empty()) {
      made.raw.arguments.push_back(option);
    }
    made.raw.working_directory = folder_.path();
    made.test.framework = "googletest";
    made.test.suite = "Score";
    made.test.name = name;
    return made;
  }

  std::vector<std::string> augment(std::vector<std::string> globs = {}, bool by_itself = true) {
    return augment_junit(session_, {std::move(globs), by_itself, list_tests_}, words_);
  }

  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string read(const std::string& name) const {
    const Result<std::string> bytes = read_file(path(name), 200u << 20);
    return bytes ? *bytes : "unreadable: " + bytes.error().message;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      found.push_back(entry.path().filename());
    }
    std::ranges::sort(found);
    return found;
  }
  void make_old(const std::string& name) const {
    fs::last_write_time(path(name), fs::file_time_type::clock::now() - std::chrono::hours(1));
  }

  TemporaryDirectory folder_;
  Session session_;
  AugmentWords words_;
  std::function<Result<std::vector<TestName>>(const CrashReport&)> list_tests_;
};

// "Score :: Passes skipped: why", in the order of the file.
std::vector<std::string> cases_of(const std::string& bytes) {
  const Result<JunitDocument> document = read_junit(bytes);
  std::vector<std::string> cases;
  for (const JunitCase& test : document ? document->cases : std::vector<JunitCase>()) {
    std::string line = test.classname + " :: " + test.name;
    for (const Element& child : test.children) {
      line += " " + child.name;
      for (const Attribute& attribute : attributes_of(bytes, child)) {
        if (attribute.name == "message") {
          line += ": " + std::string(attribute.value);
        }
      }
    }
    cases.push_back(line);
  }
  return cases;
}

// --- tests that nobody has written ---

constexpr const char* kDied = ": the program died in Score.Crashes";

TEST_F(Augment, TestsOfTheListAreSkippedWithTheReason) {
  list_tests_ = [](const CrashReport&) {
    return std::vector<TestName>{{"Score", "First", ""},
                                 {"Score", "Crashes", ""},
                                 {"Score", "Last", ""},
                                 {"Other", "x", ""}};
  };
  crash("Crashes", "--gtest_output=xml:out.xml");
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(cases_of(read("out.xml")),
              ElementsAre(std::string("Score :: First skipped: not known how it ended") + kDied +
                              " before it wrote any result",
                          "Score :: Crashes error: c1 died system-out",
                          std::string("Score :: Last skipped: never begun") + kDied,
                          std::string("Other :: x skipped: never begun") + kDied));
  EXPECT_THAT(read("out.xml"),
              HasSubstr("<testsuites tests=\"4\" failures=\"0\" errors=\"1\" skipped=\"3\">"));
}

TEST_F(Augment, TheListNamesTheParameterWhenItCanBeOneOnly) {
  list_tests_ = [](const CrashReport&) {
    return std::vector<TestName>{
        {"Typed/0", "Crashes", ""}, {"I/P", "a/0", ""}, {"I/P", "a/1", ""}};
  };
  CrashReport& one = crash("Crashes", "--gtest_output=xml:one.xml");
  one.test.suite = "Typed";
  CrashReport& two = crash("a", "--gtest_output=xml:two.xml");
  two.test.suite = "P";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(cases_of(read("one.xml")), ElementsAre("Typed/0 :: Crashes error: c1 died system-out",
                                                     HasSubstr("I/P :: a/0 skipped: never begun"),
                                                     HasSubstr("I/P :: a/1 skipped: never begun")));
  EXPECT_THAT(cases_of(read("two.xml")),
              ElementsAre(HasSubstr("Typed/0 :: Crashes skipped: not known how it ended"),
                          HasSubstr("I/P :: a/0 skipped: not known whether it ran"),
                          HasSubstr("I/P :: a/1 skipped: not known whether it ran"),
                          "P :: a error: c2 died system-out"));
}

TEST_F(Augment, AListThatDoesNotAgreeWithWhatWasAnnouncedIsNotUsed) {
  folder_.write("Testing/Temporary/LastTest.log",
                "Start\n\"all\" start time: x\nOutput:\n---\n"
                "[==========] Running 3 tests from 1 test suite.\n[ RUN      ] Score.Crashes\n<end "
                "of output>\n");
  list_tests_ = [](const CrashReport&) {
    return std::vector<TestName>{{"Score", "Crashes", ""}, {"Score", "Last", ""}};
  };
  CrashReport& crashed = crash("Crashes", "--gtest_output=xml:out.xml");
  crashed.test.runner = "ctest";
  crashed.test.runner_name = "all";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(cases_of(read("out.xml")), ElementsAre("Score :: Crashes error: c1 died system-out"));
  EXPECT_THAT(read("out.xml"), HasSubstr("2 of the 3 tests of this program have never begun"));
}

TEST_F(Augment, NeverReachedTestsAreAddedToAFileThatStopsAtTheCrash) {
  folder_.write(
      "c.xml",
      "<testsuites>\n  <testsuite name=\"\" tests=\"1\">\n    <testcase classname=\"prog.global\" "
      "name=\"a\"/>\n    <testcase classname=\"prog.global\" name=\"b/section\"/>\n  "
      "</testsuite>\n</testsuites>\n");
  list_tests_ = [](const CrashReport&) {
    return std::vector<TestName>{{"", "a", ""}, {"", "b", ""}, {"", "c", ""}};
  };
  CrashReport& crashed = crash("b");
  crashed.raw.arguments = {"./prog", "-r", "junit", "-o", "c.xml"};
  crashed.test.framework = "catch2";
  crashed.test.suite = "";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(cases_of(read("c.xml")),
              ElementsAre("prog.global :: a", "prog.global :: b/section error: c1 died system-out",
                          "prog.global :: c skipped: never begun: the program died in b"));
}

TEST_F(Augment, AProgramThatDoesNotAnswerIsNamedAndManyAreNotAsked) {
  size_t asked = 0;
  list_tests_ = [&](const CrashReport&) -> Result<std::vector<TestName>> {
    ++asked;
    return Error{"it took longer than 5000 ms"};
  };
  for (int i = 0; i < 20; ++i) {
    crash("Crashes", "--gtest_output=xml:" + std::to_string(i) + ".xml");
  }
  EXPECT_THAT(augment(), ElementsAre("which tests prog never began is not known: asked for its "
                                     "tests, it took longer than 5000 ms",
                                     "more than 16 programs died: the others were not asked for "
                                     "the tests that they never began"));
  EXPECT_EQ(asked, 16u);
  EXPECT_THAT(cases_of(read("19.xml")), ElementsAre("Score :: Crashes error: c20 died system-out"));
}

TEST_F(Augment, NobodyIsAskedForAFileThatNobodyOwes) {
  folder_.write("a.xml", kSuite);
  list_tests_ = [](const CrashReport&) -> Result<std::vector<TestName>> {
    ADD_FAILURE() << "asked";
    return std::vector<TestName>();
  };
  crash();
  EXPECT_THAT(augment({"a.xml"}), IsEmpty());
}

TEST_F(Augment, AProgramThatHasWrittenItsFileAtTheEndIsNotAsked) {
  folder_.write("a.xml", kSuite);
  list_tests_ = [](const CrashReport&) -> Result<std::vector<TestName>> {
    ADD_FAILURE() << "asked, although only a child of it died";
    return std::vector<TestName>();
  };
  crash("Crashes", "--gtest_output=xml:a.xml");
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(cases_of(read("a.xml")).front(), "Score :: Crashes error: c1 died system-out");
}

TEST_F(Augment, OfPytestAboveTheWorkersOfXdistTheFileIsWritten) {
  list_tests_ = [](const CrashReport& program) {
    EXPECT_EQ(program.raw.arguments.at(0), "pytest");
    return std::vector<TestName>{{"t", "test_a", ""}, {"t", "Crashes", ""}, {"t", "test_z", ""}};
  };
  CrashReport& worker = crash();
  worker.raw.arguments = {"python3", "-c", "exec"};
  worker.raw.ancestors = {{1, "python3", {"pytest", "--junitxml=x.xml"}}};
  worker.raw.environment = {{"PYTEST_XDIST_WORKER", "gw0"}};
  worker.test.framework = "pytest";
  worker.test.suite = "t";
  CrashReport& controller = crash();
  controller.raw.arguments = {"pytest", "--junitxml=x.xml"};
  controller.test = {};
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(cases_of(read("x.xml")),
              ElementsAre(HasSubstr("t :: test_a skipped: not known whether it ran"),
                          "t :: Crashes error: c1 died system-out",
                          HasSubstr("t :: test_z skipped: not known whether it ran")));
}

TEST_F(Augment, ATestsNameOfAMebibyteIsShortened) {
  folder_.write("Testing/Temporary/LastTest.log",
                "Start\n\"all\" start time: x\nOutput:\n---\n[ RUN      ] Score." +
                    std::string(1 << 20, 'p') + "\n[ RUN      ] Score.x\n<end of output>\n");
  list_tests_ = [](const CrashReport&) {
    return std::vector<TestName>{{"Score", std::string(1 << 20, 'l'), ""}};
  };
  CrashReport& crashed = crash(std::string(1 << 20, 'x'), "--gtest_output=xml:long.xml");
  crashed.test.runner = "ctest";
  crashed.test.runner_name = "all";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_EQ(cases_of(read("long.xml")).size(), 3u);
  EXPECT_LT(read("long.xml").size(), 20000u);
}

TEST_F(Augment, PutsACrashIntoItsCaseAndKeepsTheOriginalBesideIt) {
  folder_.write("a.xml", kSuite);
  ASSERT_EQ(::chmod(path("a.xml").c_str(), 0640), 0);
  crash();
  EXPECT_THAT(augment({"*.xml"}), IsEmpty());
  EXPECT_THAT(read("a.xml"),
              HasSubstr("<error type=\"SIGSEGV\" message=\"c1 died\">c1 died\n #0 f\n</error>"));
  EXPECT_THAT(read("a.xml"), HasSubstr("failures=\"0\""));
  EXPECT_THAT(read("a.xml"), HasSubstr("errors=\"1\""));
  EXPECT_EQ(read("a.xml.crashcrawler-orig"), kSuite);
  EXPECT_THAT(names(), ElementsAre("a.xml", "a.xml.crashcrawler-orig"));
  struct stat status {};
  ASSERT_EQ(::stat(path("a.xml").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  const std::string once = read("a.xml");
  EXPECT_THAT(augment({"*"}), IsEmpty());  // as a run around this one would
  EXPECT_EQ(read("a.xml"), once);
}

TEST_F(Augment, ADeathOnPurposeChangesNothing) {
  folder_.write("a.xml", kSuite);
  crash().expected_reason = "death test";
  crash("b", "--gtest_output=xml:missing.xml").expected_reason = "death test";
  EXPECT_THAT(augment({"*.xml"}), IsEmpty());
  EXPECT_EQ(read("a.xml"), kSuite);
  EXPECT_THAT(names(), ElementsAre("a.xml"));
}

TEST_F(Augment, AFileOfAnEarlierRunIsNotTouched) {
  folder_.write("a.xml", kSuite);
  folder_.write("own.xml", kSuite);
  make_old("a.xml");
  make_old("own.xml");
  crash("Crashes", "--gtest_output=xml:own.xml");
  EXPECT_THAT(augment({"a.xml"}),
              ElementsAre(HasSubstr("own.xml was left as it is: it is older than this run"),
                          HasSubstr("stand in no JUnit file")));
  EXPECT_EQ(read("a.xml"), kSuite);
  EXPECT_EQ(read("own.xml"), kSuite);
}

TEST_F(Augment, WritesWhatTheDeadProgramNeverWrote) {
  folder_.write("Testing/Temporary/LastTest.log",
                "Start\n\"all\" start time: x\nOutput:\n---\n"
                "[==========] Running 4 tests from 1 test suite.\n"
                "[ RUN      ] Score.Passes\n[       OK ] Score.Passes (250 ms)\n"
                "[ RUN      ] Score.Fails\nnot <so>\n[  FAILED  ] Score.Fails (1 ms)\n"
                "[ RUN      ] Score.Crashes\n<end of output>\n");
  CrashReport& crashed = crash("Crashes", "--gtest_output=xml:new/out.xml");
  crashed.test.runner = "ctest";
  crashed.test.runner_name = "all";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_EQ(read("new/out.xml"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\">\n"
            "  <testsuite name=\"Score\" tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\" "
            "time=\"0.251\">\n"
            "    <testcase classname=\"Score\" name=\"Passes\" time=\"0.250\"/>\n"
            "    <testcase classname=\"Score\" name=\"Fails\" time=\"0.001\">\n"
            "      <failure message=\"not &lt;so&gt;\" type=\"\">not &lt;so&gt;\n</failure>\n"
            "    </testcase>\n"
            "    <testcase classname=\"Score\" name=\"Crashes\">\n"
            "      <error type=\"SIGSEGV\" message=\"c1 died\">c1 died\n #0 f\n\n"
            "1 of the 4 tests of this program have never begun.\n</error>\n"
            "      <system-out>[[ATTACHMENT|c1.txt]]\n</system-out>\n    </testcase>\n"
            "  </testsuite>\n</testsuites>\n");
}

TEST_F(Augment, FillsAnEmptyFileOfTheDeadProgramAndKeepsIt) {
  folder_.write("o.xml", "");
  CrashReport& crashed = crash("crashes");
  crashed.raw.arguments = {"./prog", "-r", "junit", "-o", "o.xml"};
  crashed.test.framework = "catch2";
  crashed.test.suite = "";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(read("o.xml"), HasSubstr("<testcase classname=\"prog.global\" name=\"crashes\">"));
  EXPECT_EQ(read("o.xml.crashcrawler-orig"), "");
}

TEST_F(Augment, AProgramThatOnlyInheritedGtestOutputIsNotItsWriter) {
  CrashReport& crashed = crash();
  crashed.raw.environment = {{"GTEST_OUTPUT", "xml:reports/"}};
  crashed.test = {};
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(names(), IsEmpty());
  crashed.test.framework = "googletest";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(read("reports/prog.xml"), HasSubstr("unknown test"));
}

TEST_F(Augment, NoAugmentLeavesAloneWhatNobodyNamed) {
  crash("Crashes", "--gtest_output=xml:a.xml");
  crash("Other", "--gtest_output=xml:b.xml");
  EXPECT_THAT(augment({}, false), IsEmpty());
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(augment({"b*"}, false), IsEmpty());
  EXPECT_THAT(names(), ElementsAre("b.xml"));
}

TEST_F(Augment, FindsTheFileOfCtestAroundItsTests) {
  folder_.write(
      "build/j.xml",
      "<testsuite name=\"x\"\n\ttests=\"1\"\n\tfailures=\"1\"\n\t>\n\t<testcase name=\"all\">\n"
      "\t\t<failure message=\"\"/>\n\t</testcase>\n</testsuite>\n");
  CrashReport& crashed = crash();
  crashed.raw.working_directory = path("build/sub");
  crashed.raw.ancestors = {{2, "ctest", {"ctest", "--output-junit", "j.xml"}}};
  crashed.test.runner = "ctest";
  crashed.test.runner_name = "all";
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(read("build/j.xml"), HasSubstr("\n\terrors=\"1\"\n\tfailures=\"0\"\n"));
}

TEST_F(Augment, WritesTheFileOfACtestThatWasEnded) {
  folder_.write(
      "build/Testing/Temporary/LastTest.log.tmp",
      "1/3 Testing: a\nOutput:\n---\nx\n<end of output>\nTest time =   0.25 sec\nTest Passed.\n");
  CrashReport& hangs = crash();
  hangs.raw.working_directory = path("build/sub");
  hangs.raw.ancestors = {{2, "ctest", {"ctest", "--output-junit", "j.xml"}}};
  hangs.test.runner = "ctest";
  hangs.test.runner_name = "hangs";
  CrashReport& ctest = crash();
  ctest.raw.working_directory = path("build");
  ctest.raw.arguments = {"ctest", "--output-junit", "j.xml"};
  ctest.test = {};
  EXPECT_THAT(augment(), IsEmpty());
  const std::string written = read("build/j.xml");
  EXPECT_THAT(written, HasSubstr("<testcase classname=\"a\" name=\"a\" time=\"0.250\"/>"));
  EXPECT_THAT(written, HasSubstr("<testcase classname=\"hangs\" name=\"hangs\">\n      <error "));
  EXPECT_THAT(written, HasSubstr("1 of the 3 tests of ctest have never begun"));
  EXPECT_THAT(written, Not(HasSubstr("c2 died")));
}

TEST_F(Augment, AddsTheTestOfASecondProgramThatNamesTheSameFile) {
  folder_.write("a.xml", kSuite);
  crash("New", "--gtest_output=xml:a.xml");
  EXPECT_THAT(augment(), IsEmpty());
  EXPECT_THAT(read("a.xml"), HasSubstr("  <testcase name=\"b\" classname=\"Score\"/>\n"
                                       "  <testcase classname=\"Score\" name=\"New\">\n"));
  EXPECT_THAT(read("a.xml"), HasSubstr("tests=\"3\""));
}

// What must be left exactly as it was, and why.
class WrongInput : public Augment {
 protected:
  void expect_left(const std::string& name, const std::string& why) {
    const std::vector<std::string> before = names();
    const std::string bytes = read(name);
    crash();
    EXPECT_THAT(augment({name}), ElementsAre(HasSubstr(name + " was left as it is: it " + why),
                                             HasSubstr("stand in no JUnit file but our own")));
    EXPECT_EQ(read(name), bytes);
    EXPECT_EQ(names(), before);
  }
  void expect_bytes_left(const std::string& bytes, const std::string& why) {
    session_.crashes.clear();
    folder_.write("w.xml", bytes);
    expect_left("w.xml", why);
  }
};

TEST_F(WrongInput, IsLeft) {
  const std::string suite = kSuite;
  expect_bytes_left("", "is empty");
  expect_bytes_left(suite.substr(0, suite.size() / 2), "is not well-formed");
  expect_bytes_left(suite + suite, "is not well-formed");  // two processes, one after the other
  expect_bytes_left(suite.substr(0, 90) + suite, "is not well-formed");  // and one over the other
  expect_bytes_left("<?xml version='1.0' encoding='iso-8859-1'?>" + suite,
                    "is in another encoding");
  expect_bytes_left(std::string("\xff\xfe<\0a\0/\0>\0", 10), "is in UTF-16");
  expect_bytes_left("<testsuite xmlns='x'/>", "uses XML namespaces");
  expect_bytes_left("<testsuites><testsuite name='a'>" + suite + "</testsuite></testsuites>",
                    "has test suites inside");
  expect_bytes_left("<testsuites>" + suite + suite + "</testsuites>",
                    "has 2 cases of the name Crashes");
  expect_bytes_left("not XML at all", "is not well-formed");
}

TEST_F(WrongInput, OfAnotherKindThanAFileIsLeft) {
  ASSERT_EQ(::mkfifo(path("fifo.xml").c_str(), 0600), 0);
  folder_.write("real", kSuite);
  fs::create_symlink("real", path("link.xml"));
  fs::create_directory(path("dir.xml"));
  folder_.write("two.xml", kSuite);
  fs::create_hard_link(path("two.xml"), path("names"));
  folder_.write("read_only.xml", kSuite);
  ASSERT_EQ(::chmod(path("read_only.xml").c_str(), 0444), 0);
  crash();
  EXPECT_THAT(augment({"*.xml"}),
              ElementsAre(HasSubstr("dir.xml was left as it is: it is no regular file"),
                          HasSubstr("fifo.xml was left as it is: it is no regular file"),
                          HasSubstr("link.xml was left as it is: it is a symbolic link"),
                          HasSubstr("read_only.xml was left as it is: it may only be read"),
                          HasSubstr("two.xml was left as it is: it has other names"),
                          HasSubstr("stand in no JUnit file")));
  EXPECT_EQ(read("real"), kSuite);
  EXPECT_EQ(read("read_only.xml"), kSuite);
  EXPECT_EQ(read("two.xml"), kSuite);
  EXPECT_EQ(fs::read_symlink(path("link.xml")), "real");
}

TEST_F(WrongInput, OfAHundredMegabytesIsLeft) {
  folder_.write("w.xml", kSuite);
  fs::resize_file(path("w.xml"), 100u << 20);
  crash();
  EXPECT_THAT(augment({"w.xml"}),
              ElementsAre(HasSubstr("is larger than 32 MiB"), HasSubstr("no JUnit file")));
  EXPECT_EQ(fs::file_size(path("w.xml")), 100u << 20);
}

TEST_F(WrongInput, WhereTheOriginalCannotBeKeptIsLeft) {
  folder_.write("w.xml", kSuite);
  folder_.write("w.xml.crashcrawler-orig/x", "");
  expect_left("w.xml", "cannot be kept as");
}

TEST_F(WrongInput, AGlobThatNamesNothingIsSaid) {
  crash();
  EXPECT_THAT(augment({"no*such"}), ElementsAre("--augment-junit no*such names no file"));
}

TEST_F(WrongInput, OfManyFilesIsSaidInAFewLines) {
  for (int i = 0; i < 50; ++i) {
    folder_.write(std::to_string(i) + ".xml", "<broken");
  }
  crash();
  EXPECT_EQ(augment({"*.xml"}).size(), 22u);
}

}  // namespace
}  // namespace crashcrawler
