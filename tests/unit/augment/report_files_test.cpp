#include "runner/augment/report_files.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

// "WRITER path", of the only file that is named; "" when none is.
std::string named(const std::vector<std::string>& arguments,
                  const std::vector<EnvironmentVariable>& environment = {}) {
  constexpr const char* kNames[] = {"ctest", "googletest", "catch2", "doctest", "boost", "pytest"};
  std::string text;
  for (const ReportFile& file : report_files(arguments, environment)) {
    text += std::string(text.empty() ? "" : "; ") + kNames[static_cast<int>(file.writer)] + " " +
            (file.directory.empty() ? "" : file.directory + "+") + file.path +
            (file.in_folder ? " (folder)" : "");
  }
  return text;
}

TEST(ReportFiles, OfEveryFramework) {
  EXPECT_EQ(named({"/usr/bin/ctest", "-j4", "--output-junit", "o.xml", "--test-dir", "b"}),
            "ctest b+o.xml");
  EXPECT_EQ(named({"./t", "--gtest_output=xml:o.xml"}), "googletest o.xml");
  EXPECT_EQ(named({"./t", "--gtest_output=xml:dir/"}), "googletest dir/ (folder)");
  EXPECT_EQ(named({"./t", "--gtest_output=xml"}), "googletest test_detail.xml");
  EXPECT_EQ(named({"./t", "--gtest_output=json:o.json"}), "");
  EXPECT_EQ(named({"./t", "-r", "junit", "-o", "o.xml"}), "catch2 o.xml");
  EXPECT_EQ(named({"./t", "-r", "xml", "-o", "o.xml"}), "");
  EXPECT_EQ(named({"./t", "-r=junit", "-o=o.xml"}), "catch2 o.xml; doctest o.xml");
  EXPECT_EQ(named({"./t", "--logger=HRF,all,stdout:JUNIT,all,o.xml"}), "boost o.xml");
  EXPECT_EQ(named({"./t", "--log_format=JUNIT", "--log_sink=o.xml"}), "boost o.xml");
  EXPECT_EQ(named({"/usr/bin/python3", "-m", "pytest", "--junitxml=o.xml"}), "pytest o.xml");
  EXPECT_EQ(named({"pytest-3", "--junit-xml", "o.xml"}), "pytest o.xml");
}

TEST(ReportFiles, OfTheEnvironmentWhereNoOptionSaysOtherwise) {
  EXPECT_EQ(named({"./t"}, {{"GTEST_OUTPUT", "xml:e.xml"}}), "googletest e.xml");
  EXPECT_EQ(named({"./t"}, {{"XML_OUTPUT_FILE", "/b/test.xml"}}), "googletest /b/test.xml");
  EXPECT_EQ(named({"./t", "--gtest_output=xml:o.xml"}, {{"GTEST_OUTPUT", "xml:e.xml"}}),
            "googletest o.xml");
}

TEST(ReportFiles, OfNothing) {
  EXPECT_EQ(named({}), "");
  EXPECT_EQ(named({"./t"}), "");
  EXPECT_EQ(named({"ctest", "--output-junit"}), "");
  EXPECT_EQ(named({"./t", "--gtest_output="}), "");
  EXPECT_EQ(named({"./t", "--logger="}), "");
}

}  // namespace
}  // namespace crashcrawler
