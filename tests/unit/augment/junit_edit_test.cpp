#include "runner/augment/junit_edit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

const JunitError kCrash = {"SIGSEGV", "died <here>", "died <here>\n #0 f\n",
                           "[[ATTACHMENT|a.txt]]\n"};
constexpr const char* kError =
    "<error type=\"SIGSEGV\" message=\"died &lt;here&gt;\">died &lt;here&gt;\n #0 f\n</error>";

// `bytes` with kCrash in its case number `index`.
std::string crashed(const std::string& bytes, size_t index = 0) {
  const Result<JunitDocument> document = read_junit(bytes);
  EXPECT_TRUE(document) << document.error().message;
  JunitEditor editor(bytes, *document);
  editor.put_errors(index, {kCrash});
  EXPECT_TRUE(read_junit(editor.result()));
  return editor.result();
}

TEST(JunitEdit, TakesThePlaceOfAnEmptyFailureAsCtestWritesIt) {
  EXPECT_EQ(
      crashed(
          "<testsuite name=\"(empty)\"\n\ttests=\"2\"\n\tfailures=\"2\"\n\tskipped=\"0\"\n\t>\n"
          "\t<testcase name=\"a\" status=\"fail\">\n\t\t<failure message=\"\"/>\n"
          "\t\t<system-out>words</system-out>\n\t</testcase>\n"
          "\t<testcase name=\"b\" status=\"fail\">\n\t\t<failure message=\"\"/>\n\t</testcase>\n"
          "</testsuite>\n"),
      "<testsuite "
      "name=\"(empty)\"\n\ttests=\"2\"\n\terrors=\"1\"\n\tfailures=\"1\"\n\tskipped=\"0\"\n\t>\n"
      "\t<testcase name=\"a\" status=\"fail\">\n\t\t" +
          std::string(kError) +
          "\n"
          "\t\t<system-out>[[ATTACHMENT|a.txt]]\nwords</system-out>\n\t</testcase>\n"
          "\t<testcase name=\"b\" status=\"fail\">\n\t\t<failure message=\"\"/>\n\t</testcase>\n"
          "</testsuite>\n");
}

TEST(JunitEdit, OpensASelfClosingCase) {
  EXPECT_EQ(
      crashed("<testsuites><testsuite errors='0' name='s' tests='1'><testcase name='a' "
              "/></testsuite></testsuites>"),
      "<testsuites><testsuite errors='1' name='s' tests='1'><testcase name='a'>" +
          std::string(kError) +
          "<system-out>[[ATTACHMENT|a.txt]]\n</system-out></testcase></testsuite></testsuites>");
}

TEST(JunitEdit, StandsBeforeWordsThatAreThereAndCountsThemOnce) {
  const std::string before =
      "<testsuites errors='1' tests='1'><testsuite name='s' errors='1' tests='1'><testcase "
      "name='a'>";
  EXPECT_EQ(crashed(before + "<error>theirs</error></testcase></testsuite></testsuites>"),
            before + kError +
                "<system-out>[[ATTACHMENT|a.txt]]\n</system-out><error>theirs</error></testcase>"
                "</testsuite></testsuites>");
}

TEST(JunitEdit, KeepsAttachmentsInsideOfACdataSection) {
  EXPECT_EQ(
      crashed("<testsuite name='s'><testcase name='a'><system-out><![CDATA[x]]></system-out>"
              "</testcase></testsuite>"),
      "<testsuite name='s'><testcase name='a'>" + std::string(kError) +
          "<system-out><![CDATA[[[ATTACHMENT|a.txt]]\nx]]></system-out></testcase></testsuite>");
  EXPECT_EQ(crashed("<testsuite name='s'><testcase name='a'><system-out/></testcase></testsuite>"),
            "<testsuite name='s'><testcase name='a'>" + std::string(kError) +
                "<system-out>[[ATTACHMENT|a.txt]]\n</system-out></testcase></testsuite>");
}

TEST(JunitEdit, LeavesEverythingElseAsItIs) {
  const std::string head =
      "\xef\xbb\xbf<?xml version='1.0'  encoding='utf-8' ?>\r\n<!-- a > b --><?pi x?>\r\n"
      "<testsuites  odd = 'yes'>\r\n<testsuite name='&#x41;'><x:y xmlns:x='u'/>";
  // an element with a namespace is refused, so without it
  std::string plain = head;
  plain.replace(plain.find("<x:y xmlns:x='u'/>"), 18,
                "<unknown a=\"'\"><![CDATA[<testcase>]]></unknown>");
  const std::string tail =
      "\r\n  <testcase name = \"b&quot;\"   classname='c'><failure>&#10;words</failure></testcase "
      ">\r\n"
      "</testsuite></testsuites>\r\n<!-- end -->";
  const std::string result = crashed(plain + "\r\n  <testcase name='a'></testcase>" + tail);
  EXPECT_TRUE(result.starts_with(plain + "\r\n  <testcase name='a'>\r\n    <error"));
  EXPECT_TRUE(result.ends_with("</testcase>" + tail));
}

TEST(JunitEdit, AddsCasesAndSuitesAndCountsThem) {
  const std::string bytes =
      "<testsuites tests=\"1\" failures=\"0\" errors=\"0\">\n  <testsuite name=\"A\" tests=\"1\" "
      "failures=\"0\" skipped=\"0\" errors=\"0\">\n    <testcase name=\"x\"/>\n  </testsuite>\n"
      "</testsuites>\n";
  const Result<JunitDocument> document = read_junit(bytes);
  JunitEditor editor(bytes, *document);
  editor.add_case(0, {"A", "y", 0.25, TestState::failed, "one\ntwo", {}});
  editor.add_case(0, {"A", "z", std::nullopt, TestState::skipped, "not today", {}});
  editor.add_suite({"B", {{"B", "q\"<", std::nullopt, TestState::passed, "", {kCrash}}}});
  EXPECT_EQ(
      editor.result(),
      "<testsuites tests=\"4\" skipped=\"1\" failures=\"1\" errors=\"1\">\n  <testsuite name=\"A\" "
      "tests=\"3\" failures=\"1\" skipped=\"1\" errors=\"0\">\n    <testcase name=\"x\"/>\n"
      "    <testcase classname=\"A\" name=\"y\" time=\"0.250\">\n"
      "      <failure message=\"one\" type=\"\">one\ntwo</failure>\n    </testcase>\n"
      "    <testcase classname=\"A\" name=\"z\">\n      <skipped message=\"not today\"/>\n"
      "    </testcase>\n  </testsuite>\n"
      "  <testsuite name=\"B\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" "
      "time=\"0.000\">\n"
      "    <testcase classname=\"B\" name=\"q&quot;&lt;\">\n      " +
          std::string(kError) +
          "\n      <system-out>[[ATTACHMENT|a.txt]]\n</system-out>\n    </testcase>\n  "
          "</testsuite>\n"
          "</testsuites>\n");
}

TEST(JunitEdit, FillsWhatIsEmpty) {
  for (const std::string bytes : {"<testsuites/>", "<testsuites></testsuites>",
                                  "<testsuites><testsuite name='A' tests='0'/></testsuites>"}) {
    const Result<JunitDocument> document = read_junit(bytes);
    JunitEditor editor(bytes, *document);
    if (document->suites.empty()) {
      editor.add_suite({"A", {{"A", "x", 0.0, TestState::passed, "", {kCrash}}}});
    } else {
      editor.add_case(0, {"A", "x", 0.0, TestState::passed, "", {kCrash}});
    }
    const Result<JunitDocument> after = read_junit(editor.result());
    ASSERT_TRUE(after) << editor.result();
    EXPECT_EQ(after->cases.size(), 1u) << editor.result();
  }
}

TEST(JunitEdit, ManyCrashesOfOneTestAreTenAndACount) {
  const std::string bytes = "<testsuite name='s'><testcase name='a'/></testsuite>";
  const Result<JunitDocument> document = read_junit(bytes);
  JunitEditor editor(bytes, *document);
  editor.put_errors(0, std::vector<JunitError>(12, kCrash));
  EXPECT_THAT(editor.result(),
              ::testing::HasSubstr("\n2 more crashes of this test\n</error><system-out>"));
}

}  // namespace
}  // namespace crashcrawler
