#include <gmock/gmock.h>

#include "tests/unit/export/sample_report.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<Json> distinct(size_t number) {
  std::vector<Json> all;
  for (size_t i = 0; i < number; ++i) {
    all.push_back(crash("hash" + std::to_string(i)));
  }
  return all;
}

size_t count_of(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

TEST_F(ExportTest, Counts) {
  read(report({crash(), crash()}));
  EXPECT_EQ(export_counts(exported()),
            "crash-count=2\nunique-crash-count=1\nexpected-crash-count=0\n");
}

TEST_F(ExportTest, AnAnnotationIsAtTheFirstLineOfTheSources) {
  read(report({crash()}));
  EXPECT_EQ(export_github_annotations(exported(), "TOKEN"), R"(::group::CrashCrawler: 1 crash
::stop-commands::TOKEN
1. SIGSEGV in shop, in test Shop.adds: nothing is mapped at address 0x0 (null pointer)
  #0 libc.so.6+0x8aeec
  #1 sum at src/cart.cpp:12
  #2 Cart::total() at src/cart.cpp:30
  #3 main at main.cpp:5
::TOKEN::
::endgroup::
::error file=src/cart.cpp,line=12,title=SIGSEGV in shop%2C in test Shop.adds::nothing is mapped at address 0x0 (null pointer)%0A  #0 libc.so.6+0x8aeec%0A  #1 sum at src/cart.cpp:12%0A  #2 Cart::total() at src/cart.cpp:30%0A  #3 main at main.cpp:5%0A
)");
}

TEST_F(ExportTest, WithoutAFrameInTheSourcesTheTestIsAnnotated) {
  Json json = crash();
  json["threads"] = Json::array();
  read(report({json}));
  EXPECT_THAT(export_github_annotations(exported(), "T"),
              HasSubstr("::error file=tests/shop.cpp,line=7,"));
  json["test"] = Json::object();
  runs.clear();
  read(report({json}));
  EXPECT_THAT(export_github_annotations(exported(), "T"),
              HasSubstr("::error title=SIGSEGV in shop::"));
}

TEST_F(ExportTest, GitHubShowsNoMoreThanTenAnnotations) {
  read(report(distinct(9)));
  EXPECT_EQ(count_of(export_github_annotations(exported(), "T"), "::error "), 9u);
  runs.clear();
  read(report(distinct(300)));
  const std::string text = export_github_annotations(exported(), "T");
  EXPECT_EQ(count_of(text, "::error "), 10u);
  EXPECT_THAT(text, HasSubstr("::291 more distinct crashes"));
  EXPECT_THAT(text, HasSubstr("\n200 more, in report.json\n"));
}

TEST_F(ExportTest, NoCrashIsNoAnnotation) {
  read(report({}));
  EXPECT_EQ(export_github_annotations(exported(), "T"), "");
}

TEST_F(ExportTest, WhatIsNotCompleteIsAWarning) {
  Json json = report({});
  json["soft_errors"] = {"a, b: 100 %"};
  read(json);
  runs.push_back(read_run("/nonexistent", {}));
  EXPECT_EQ(
      export_github_annotations(exported(), "T"),
      "::warning title=CrashCrawler%3A not complete::out: a, b: 100 %25%0Athere is no report: "
      "/nonexistent/report.json: No such file or directory; name the folder that --output-dir "
      "named%0A\n");
}

TEST_F(ExportTest, TheSummaryHasATableAndThenTheStacks) {
  read(report({crash(), crash("b"), crash("b")}));
  EXPECT_EQ(export_markdown(exported()), R"(### CrashCrawler: 3 crashes (2 distinct)

| | crash | program | test | where | how often |
|--:|---|---|---|---|---|
| 1 | <code>SIGSEGV</code> nothing is mapped at address 0x0 &#40;null pointer&#41; | <code>shop</code> | <code>Shop.adds</code> | <code>src/cart.cpp&#58;12</code> | once |
| 2 | <code>SIGSEGV</code> nothing is mapped at address 0x0 &#40;null pointer&#41; | <code>shop</code> | <code>Shop.adds</code> | <code>src/cart.cpp&#58;12</code> | 2 times |

<code>ctest -j4</code>: exit status 8

<details><summary>1. SIGSEGV in shop, in test Shop.adds</summary>

<pre>
nothing is mapped at address 0x0 (null pointer)
#0 libc.so.6+0x8aeec
#1 sum at src/cart.cpp:12
#2 Cart::total() at src/cart.cpp:30
#3 main at main.cpp:5
</pre>

crashes/0001-shop-SIGSEGV.txt

</details>
<details><summary>2. SIGSEGV in shop, in test Shop.adds</summary>

<pre>
nothing is mapped at address 0x0 (null pointer)
#0 libc.so.6+0x8aeec
#1 sum at src/cart.cpp:12
#2 Cart::total() at src/cart.cpp:30
#3 main at main.cpp:5
</pre>

crashes/0001-shop-SIGSEGV.txt

</details>
)");
}

TEST_F(ExportTest, TheSummaryOfSeveralRunsSaysWhichHaveNone) {
  Json json = report({crash()});
  json["attempts"] = {{"count", 5}, {"passed", {{"count", 4}}}};
  read(json, "shard_1");
  runs.push_back(read_run("/nonexistent", {}));
  const std::string text = export_markdown(exported());
  EXPECT_THAT(text, HasSubstr("1 crash, 1 folder without a report"));
  EXPECT_THAT(text, HasSubstr("| <code>shard&#95;1</code> | <code>ctest -j4</code>: exit status 8, "
                              "4 of 5 attempts passed | 1 |"));
  EXPECT_THAT(text, HasSubstr("| <code>/nonexistent</code> | **there is no report&#58;"));
}

TEST_F(ExportTest, TheSummaryStaysBelowItsLimit) {
  read(report(distinct(1000)));
  const std::string text = export_markdown(exported(), 50'000);
  EXPECT_LE(text.size(), 50'000u);
  EXPECT_THAT(text, testing::ContainsRegex("\n9[0-9]+ more in report.json\n"));
  EXPECT_THAT(text, testing::ContainsRegex("The stacks of [0-9]+ more are in report.json.\n$"));
  EXPECT_EQ(count_of(text, "<details>"), count_of(text, "</details>"));
}

TEST_F(ExportTest, Sarif) {
  read(report({crash(), crash()}));
  const Json sarif = Json::parse(export_sarif(exported(), "1.2.3"));
  EXPECT_EQ(sarif["version"], "2.1.0");
  const Json& run = sarif["runs"][0];
  EXPECT_EQ(run["tool"]["driver"]["version"], "1.2.3");
  const Json& rule = run["tool"]["driver"]["rules"][0];
  EXPECT_EQ(rule["id"], "crash/SIGSEGV");
  for (const char* text : {"shortDescription", "fullDescription", "help"}) {
    EXPECT_NE(rule[text]["text"], "") << text;
  }
  EXPECT_EQ(run["invocations"][0]["executionSuccessful"], true);
  ASSERT_EQ(run["results"].size(), 1u);
  const Json& result = run["results"][0];
  EXPECT_EQ(result["ruleId"], "crash/SIGSEGV");
  EXPECT_EQ(result["occurrenceCount"], 2);
  EXPECT_EQ(result["partialFingerprints"]["primaryLocationLineHash"], "cc1:abc");
  EXPECT_EQ(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "src/cart.cpp");
  EXPECT_EQ(result["locations"][0]["physicalLocation"]["region"]["startLine"], 12);
  EXPECT_EQ(result["stacks"][0]["frames"].size(), 4u);
  EXPECT_EQ(result["relatedLocations"].size(), 3u) << "those in the sources";
  const Json& flow = result["codeFlows"][0]["threadFlows"][0]["locations"];
  EXPECT_EQ(flow[0]["location"]["message"]["text"], "#3 main at main.cpp:5");
  EXPECT_EQ(flow[2]["location"]["message"]["text"], "#1 sum at src/cart.cpp:12")
      << "the crash is last";
}

TEST_F(ExportTest, AFindingWithoutAPlaceIsAtItsProgram) {
  Json json = crash("");
  json["threads"] = Json::array();
  json["test"] = Json::object();
  read(report({json}));
  const Json result = Json::parse(export_sarif(exported(), ""))["runs"][0]["results"][0];
  EXPECT_EQ(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "shop");
  EXPECT_EQ(result["partialFingerprints"]["primaryLocationLineHash"], "out/0001-shop-SIGSEGV");
  EXPECT_FALSE(result.contains("codeFlows"));
}

TEST_F(ExportTest, SarifSaysWhichReportIsMissing) {
  runs.push_back(read_run("/nonexistent", {}));
  const Json invocation = Json::parse(export_sarif(exported(), ""))["runs"][0]["invocations"][0];
  EXPECT_EQ(invocation["executionSuccessful"], false);
  EXPECT_THAT(invocation["toolExecutionNotifications"][0]["message"]["text"].get<std::string>(),
              StartsWith("there is no report"));
}

TEST_F(ExportTest, GitlabCodeQuality) {
  read(report({crash(), crash("other")}));
  const Json findings = Json::parse(export_gitlab_codequality(exported()));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(
      findings[0],
      Json({{"description",
             "SIGSEGV in shop, in test Shop.adds: nothing is mapped at address 0x0 (null pointer)"},
            {"check_name", "crash/SIGSEGV"},
            {"fingerprint", "cc1:abc"},
            {"severity", "critical"},
            {"location", {{"path", "src/cart.cpp"}, {"lines", {{"begin", 12}}}}}}));
  EXPECT_NE(findings[0]["fingerprint"], findings[1]["fingerprint"]);
  runs.clear();
  read(report({}));
  EXPECT_EQ(export_gitlab_codequality(exported()), "[]\n");
}

}  // namespace
}  // namespace crashcrawler
