#include "runner/report/junit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tinyxml2.h>

#include "runner/report/text.h"
#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kOutput = "/home/user/project/crashcrawler-out";

struct Case {
  std::string name, classname, time, file, type, message, body, output;
  int line = 0;
};

// junit.xml, parsed back.
struct Junit {
  explicit Junit(const Session& session, const std::string& output = kOutput)
      : text(junit_xml(session, output)) {
    EXPECT_EQ(document.Parse(text.c_str()), tinyxml2::XML_SUCCESS) << document.ErrorStr();
    const tinyxml2::XMLElement* suites = document.FirstChildElement("testsuites");
    suite = suites->FirstChildElement("testsuite");
    for (const auto* test = suite->FirstChildElement("testcase"); test;
         test = test->NextSiblingElement("testcase")) {
      Case& parsed = cases.emplace_back();
      parsed.name = attribute(test, "name");
      parsed.classname = attribute(test, "classname");
      parsed.time = attribute(test, "time");
      parsed.file = attribute(test, "file");
      parsed.line = test->IntAttribute("line");
      if (const auto* error = test->FirstChildElement("error")) {
        parsed.type = attribute(error, "type");
        parsed.message = attribute(error, "message");
        parsed.body = error->GetText();
      }
      if (const auto* output_element = test->FirstChildElement("system-out")) {
        parsed.output = output_element->GetText();
      }
    }
  }

  static std::string attribute(const tinyxml2::XMLElement* element, const char* name) {
    const char* value = element->Attribute(name);
    return value ? value : "";
  }

  std::string text;
  tinyxml2::XMLDocument document;
  const tinyxml2::XMLElement* suite = nullptr;
  std::vector<Case> cases;
};

Session with(std::vector<CrashReport> crashes) {
  Session session = quiet_session();
  session.crashes = std::move(crashes);
  return session;
}

TEST(Junit, OfAQuietRunIsOnePassedCase) {
  const Junit junit(quiet_session());
  ASSERT_EQ(junit.cases.size(), 1u);
  EXPECT_EQ(junit.cases[0].name, "no crash");
  EXPECT_EQ(junit.cases[0].time, "5.250");
  EXPECT_EQ(junit.cases[0].type, "");
  EXPECT_EQ(Junit::attribute(junit.suite, "name"), "crashcrawler");
  EXPECT_EQ(Junit::attribute(junit.suite, "tests"), "1");
  EXPECT_EQ(Junit::attribute(junit.suite, "errors"), "0");
  EXPECT_EQ(Junit::attribute(junit.suite, "time"), "5.250");
  EXPECT_EQ(Junit::attribute(junit.suite, "timestamp"), "2025-03-01T12:00:00");
}

TEST(Junit, OfARunThatNobodyWatchedIsNotAPassedCase) {
  Session session = quiet_session();
  session.health.complete = false;
  session.health.degraded = {"no privileges"};
  const Junit junit(session);
  ASSERT_EQ(junit.cases.size(), 1u);
  EXPECT_EQ(junit.cases[0].name, "crashes that nobody saw");
  EXPECT_EQ(Junit::attribute(junit.suite, "skipped"), "1");
  EXPECT_EQ(Junit::attribute(junit.suite, "errors"), "0");
}

TEST(Junit, OfACrashIsAnErrorWithItsPlace) {
  const Case crash = Junit(with({null_write()})).cases.at(0);
  EXPECT_EQ(crash.name, "null_write: SIGSEGV in store");
  EXPECT_EQ(crash.classname, "crashcrawler");
  EXPECT_EQ(crash.time, "0.000");
  EXPECT_EQ(crash.type, "SIGSEGV");
  EXPECT_EQ(crash.file, "src/store.h");
  EXPECT_EQ(crash.line, 3);
  EXPECT_THAT(crash.message, StartsWith("null_write died of SIGSEGV: nothing is mapped at"));
  EXPECT_THAT(crash.body, StartsWith(crash.message + "\n"));
  EXPECT_THAT(crash.body, HasSubstr("\n #1   middle() at src/null_write.cpp:20:7 [cfi]\n"));
}

TEST(Junit, PutsTheAttachmentsFirst) {
  const Case crash = Junit(with({null_write()})).cases.at(0);
  EXPECT_EQ(crash.output,
            "[[ATTACHMENT|crashcrawler-out/crashes/0001-null_write-SIGSEGV.txt]]\n"
            "[[ATTACHMENT|crashcrawler-out/crashes/0001-null_write-SIGSEGV.json]]\n");
  EXPECT_THAT(Junit(with({null_write()}), "/elsewhere").cases.at(0).output,
              StartsWith("[[ATTACHMENT|/elsewhere/crashes/0001"));
}

TEST(Junit, CountsTheSameCrashInOneCase) {
  std::vector<CrashReport> crashes;
  for (int i = 0; i < 500; ++i) {
    crashes.push_back(null_write("id" + std::to_string(i)));
  }
  const Junit junit(with(crashes));
  ASSERT_EQ(junit.cases.size(), 1u);
  EXPECT_THAT(junit.cases[0].body, HasSubstr("\n500 times in this run, the first as id0\n"));
  EXPECT_EQ(Junit::attribute(junit.suite, "errors"), "1");
}

TEST(Junit, HasNamesThatStayTheSame) {
  CrashReport later = null_write("0077-null_write-SIGSEGV");
  later.raw.pid = 9999;
  later.raw.time += std::chrono::hours(1);
  for (Frame& moved : later.backtrace.threads[0].frames) {
    moved.instruction_addr += 0x1000000;
  }
  EXPECT_EQ(Junit(with({null_write()})).cases[0].name, Junit(with({later})).cases[0].name);
}

TEST(Junit, TellsEqualNamesOfDifferentCrashesApart) {
  CrashReport other = null_write();
  other.signature.hash = "1234567890abcdef";
  const Junit junit(with({null_write(), other}));
  EXPECT_EQ(junit.cases.at(0).name, "null_write: SIGSEGV in store [00000000]");
  EXPECT_EQ(junit.cases.at(1).name, "null_write: SIGSEGV in store [12345678]");
}

TEST(Junit, NamesACrashWithoutNamesByItsSignature) {
  CrashReport report = null_write();
  for (Frame& made : report.backtrace.threads[0].frames) {
    made.function.clear();
    made.raw_function.clear();
    made.inlines.clear();
  }
  report.signature.frames = {"null_write+0x1139"};
  EXPECT_EQ(Junit(with({report})).cases.at(0).name, "null_write: SIGSEGV in null_write+0x1139");
}

TEST(Junit, TellsLostCrashesAsAnErrorOfTheirOwn) {
  Session session = quiet_session();
  session.health.lost_crashes = 2;
  const Junit junit(session);
  ASSERT_EQ(junit.cases.size(), 1u);
  EXPECT_EQ(junit.cases[0].name, "crashes were lost");
  EXPECT_EQ(junit.cases[0].type, "lost");
  const Junit busy(busy_session());
  EXPECT_EQ(busy.cases.at(busy.cases.size() - 2).name, "crashes were lost");
}

TEST(Junit, HasTheRightCounters) {
  const Junit junit(busy_session());
  EXPECT_EQ(junit.cases.size(), 6u);
  for (const tinyxml2::XMLElement* element :
       {junit.suite, junit.document.FirstChildElement("testsuites")}) {
    EXPECT_EQ(Junit::attribute(element, "tests"), "6");
    EXPECT_EQ(Junit::attribute(element, "errors"), "5");
    EXPECT_EQ(Junit::attribute(element, "failures"), "0");
    EXPECT_EQ(Junit::attribute(element, "skipped"), "1");
  }
}

TEST(Junit, OfAStrictProfileHasOnlyWhatTheSchemaKnows) {
  const std::string strict = junit_xml(busy_session(), kOutput, JunitProfile::strict);
  tinyxml2::XMLDocument document;
  ASSERT_EQ(document.Parse(strict.c_str()), tinyxml2::XML_SUCCESS);
  EXPECT_EQ(document.RootElement()->Attribute("skipped"), nullptr);
  const tinyxml2::XMLElement* test =
      document.RootElement()->FirstChildElement()->FirstChildElement();
  for (; test; test = test->NextSiblingElement()) {
    EXPECT_EQ(test->Attribute("file"), nullptr);
    EXPECT_EQ(test->Attribute("line"), nullptr);
  }
}

TEST(Junit, ADeathOnPurposeIsNoCase) {
  CrashReport expected = null_write("0001-expected-SIGSEGV");
  expected.expected_reason = "a death test";
  const Junit alone(with({expected}));
  ASSERT_EQ(alone.cases.size(), 1u);
  EXPECT_EQ(alone.cases[0].name, "no crash");
  const Junit beside_a_real_one(with({expected, null_write("0002-null_write-SIGSEGV")}));
  ASSERT_EQ(beside_a_real_one.cases.size(), 1u);
  EXPECT_THAT(beside_a_real_one.cases[0].body, Not(HasSubstr("times in this run")));
  EXPECT_THAT(beside_a_real_one.cases[0].body, HasSubstr("0002-null_write"));
}

TEST(Junit, KindsHaveTheirOwnTypes) {
  CrashReport report = null_write();
  report.kind = CrashKind::hang;
  EXPECT_EQ(Junit(with({report})).cases[0].type, "hang");
  report.kind = CrashKind::oom;
  EXPECT_EQ(Junit(with({report})).cases[0].type, "oom");
  report.kind = CrashKind::sanitizer;
  report.sanitizer = {"AddressSanitizer", "heap-use-after-free", ""};
  EXPECT_EQ(Junit(with({report})).cases[0].type, "AddressSanitizer:heap-use-after-free");
  report.sanitizer->kind.clear();
  EXPECT_EQ(Junit(with({report})).cases[0].type, "AddressSanitizer");
}

TEST(Junit, LeftoversAreSkippedAndFailNothing) {
  Session session = quiet_session();
  session.outcome.leftovers = {{1, "daemon", {}}, {2, "sleep", {}}};
  const Junit junit(session);
  ASSERT_EQ(junit.cases.size(), 2u);
  const tinyxml2::XMLElement* skipped =
      junit.suite->LastChildElement("testcase")->FirstChildElement("skipped");
  ASSERT_NE(skipped, nullptr);
  EXPECT_EQ(Junit::attribute(skipped, "type"), "leftover");
  EXPECT_EQ(Junit::attribute(skipped, "message"), "2 processes outlived the command: daemon sleep");
  EXPECT_EQ(Junit::attribute(junit.suite, "errors"), "0");
}

TEST(Junit, OfVeryManyCrashesKeepsOneLineOfTheLaterOnes) {
  std::vector<CrashReport> crashes;
  for (int i = 0; i < 300; ++i) {
    crashes.push_back(null_write());
    crashes.back().signature.hash = "hash" + std::to_string(i);
  }
  const Junit junit(with(crashes));
  ASSERT_EQ(junit.cases.size(), 300u);
  EXPECT_THAT(junit.cases[199].body, HasSubstr("full report"));
  EXPECT_EQ(junit.cases[200].body, junit.cases[200].message + "\n");
}

TEST(Junit, StaysWellFormedAndShortForHostileNames) {
  const Junit junit(with({hostile_crash()}));
  EXPECT_EQ(printable(junit.text, Lines::many), junit.text);
  EXPECT_THAT(junit.text, Not(HasSubstr("<![CDATA[")));
  const Case& crash = junit.cases.at(0);
  EXPECT_LE(count_characters(crash.message), 200u);
  EXPECT_LE(crash.body.size(), 32u * 1024);
  EXPECT_THAT(crash.body, StartsWith(crash.message + "\n"));
  EXPECT_THAT(crash.body, HasSubstr("]]>&<\"'\\x01\\x7f\xef\xbf\xbd"));
  EXPECT_LE(count_characters(crash.name), 170u);
}

TEST(Junit, CutsABodyOfManyLongFrames) {
  CrashReport report = null_write();
  for (int i = 0; i < 5000; ++i) {
    report.backtrace.threads[0].frames.push_back(
        frame(std::to_string(i) + std::string(1000, 'f'), "src/a.cpp", i + 1));
  }
  const Case crash = Junit(with({report})).cases.at(0);
  EXPECT_LE(crash.body.size(), 32u * 1024);
  EXPECT_THAT(crash.body, StartsWith(crash.message));
  EXPECT_THAT(crash.body, HasSubstr("full report: crashcrawler-out/"));
}

}  // namespace
}  // namespace crashcrawler
