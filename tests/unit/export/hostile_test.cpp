// A program that chooses its names so that they mean something to those who show them.
#include <gmock/gmock.h>

#include <sstream>

#include "tests/unit/export/sample_report.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using testing::Not;

const char* const kBad =
    "a\n::error::b\r\n::TOKEN::\n%0A::set-output "
    "name=x::y,:|</pre></details><script>*_`[x](http://www.e.org)@you\x1b[31m\\";

struct Hostile : ExportTest {
  Json bad_crash(const std::string& text) {
    Json json = crash(text);
    json["id"] = text;
    json["crash_info"]["cause"] = text;
    json["crash_info"]["signal"]["name"] = text;
    json["process"]["executable"]["path"] = "/bin/" + text;
    json["test"] = {{"suite", text}, {"name", text}, {"file", "/sources/" + text}, {"line", 1}};
    json["threads"] =
        Json::array({{{"crashed", true}, {"frames", {frame(text, "/sources/" + text, 3)}}}});
    return json;
  }

  void read_bad(const std::string& text, size_t number = 1) {
    std::vector<Json> crashes;
    for (size_t i = 0; i < number; ++i) {
      crashes.push_back(bad_crash(text + std::to_string(i)));
    }
    Json json = report(crashes);
    json["run"]["command_args"] = {text};
    json["soft_errors"] = std::vector<std::string>(20, text);
    read(json).folder = "out";
  }
};

TEST_F(Hostile, NoLineOfTheLogIsACommandOfTheProgram) {
  read_bad(kBad);
  std::istringstream lines(export_github_annotations(exported(), "TOKEN"));
  std::vector<std::string> commands;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string::npos && line.substr(first).starts_with("::")) {
      commands.push_back(line.substr(0, line.find_first_of(" :", 2)));
    }
  }
  EXPECT_THAT(commands, testing::ElementsAre("::warning", "::group", "::stop-commands", "::TOKEN",
                                             "::endgroup", "::error"));
}

TEST_F(Hostile, PropertiesOfAnAnnotationStayOne) {
  read_bad(kBad);
  const std::string text = export_github_annotations(exported(), "TOKEN");
  const std::string error = text.substr(text.rfind("\n::error ") + 1);
  const std::string properties = error.substr(8, error.find("::", 8) - 8);
  EXPECT_EQ(std::ranges::count(properties, ','), 2) << properties;
  EXPECT_THAT(properties, Not(HasSubstr(":")));
  EXPECT_THAT(error, HasSubstr("%250A")) << "what looks escaped is not unescaped to something else";
}

TEST_F(Hostile, TheSummaryHasNoElementOfTheProgram) {
  read_bad(kBad);
  const std::string text = export_markdown(exported());
  EXPECT_THAT(text, Not(HasSubstr("<script")));
  EXPECT_THAT(text, Not(HasSubstr("</pre></details>")));
  EXPECT_THAT(text.substr(0, text.find("<pre>")), Not(HasSubstr("[x](")));
  EXPECT_THAT(text.substr(0, text.find("<pre>")), Not(HasSubstr("www.")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  const size_t row = text.find("| 1 |");
  EXPECT_EQ(std::ranges::count(text.substr(row, text.find('\n', row) - row), '|'), 7);
}

TEST_F(Hostile, LongTextsStayWithinTheLimits) {
  read_bad(std::string(5000, '*'), 150);
  const std::string text = export_github_annotations(exported(), "T");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 3 * 4096u);
  }
  EXPECT_LE(export_markdown(exported()).size(), size_t{900} << 10);
}

TEST_F(Hostile, TheTableAloneStaysBelowTheLimit) {
  std::string wide;
  for (int i = 0; i < 350; ++i) {
    wide += "\U0001F4A5";
  }
  for (int i = 0; i < 110; ++i) {
    runs.reserve(200);
    read_bad(wide + std::to_string(i), 3);
    runs.back().folder = wide.substr(0, 1200);
  }
  EXPECT_LE(export_markdown(exported()).size(), size_t{900} << 10);
}

TEST_F(Hostile, JsonStaysJson) {
  read_bad(kBad);
  const Json sarif = Json::parse(export_sarif(exported(), "1"));
  const std::string uri =
      sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
  EXPECT_EQ(uri.find_first_of(" :\n\"<>\\"), std::string::npos) << uri;
  EXPECT_EQ(Json::parse(export_gitlab_codequality(exported())).size(), 1u);
}

TEST_F(Hostile, BeginningsOfAReportAreSurvived) {
  const std::string whole = report({crash()}).dump();
  std::filesystem::create_directories(path + "/cut");
  for (size_t length = 0; length < whole.size(); length += 7) {
    ASSERT_TRUE(write_file_atomically(path + "/cut/report.json", whole.substr(0, length)));
    EXPECT_NE(read_run(path + "/cut", {}).problem, "") << length;
  }
}

TEST_F(Hostile, AReportThatIsTooLargeIsNotRead) {
  read(report({}));
  EXPECT_THAT(read_run(path + "/out", {}, 10).problem, HasSubstr("larger than 10 bytes"));
}

}  // namespace
}  // namespace crashcrawler
