#include "runner/augment/junit_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;

std::string refusal(std::string_view bytes) {
  const Result<JunitDocument> document = read_junit(bytes);
  return document ? "accepted" : document.error().message;
}

TEST(JunitDocument, KnowsWhereThingsStand) {
  const std::string bytes =
      "<?xml version='1.0'?>\n<!-- <testcase/> --><testsuites><testsuite name='a&amp;b' "
      "tests='2'>\n"
      "<properties><property name='p'/></properties>\n<testcase name='x' classname=\"c\"/>"
      "<testcase name='y'><failure message=''> \n</failure><system-out><![CDATA[<z>]]></system-out>"
      "</testcase></testsuite></testsuites>";
  const Result<JunitDocument> document = read_junit(bytes);
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_TRUE(document->has_root);
  ASSERT_EQ(document->suites.size(), 1u);
  EXPECT_EQ(document->suites[0].name, "a&b");
  ASSERT_EQ(document->cases.size(), 2u);
  const auto text = [&](Span span) { return bytes.substr(span.begin, span.end - span.begin); };
  EXPECT_EQ(text(document->cases[0].element.all), "<testcase name='x' classname=\"c\"/>");
  EXPECT_TRUE(document->cases[0].element.closed);
  EXPECT_EQ(document->cases[0].classname, "c");
  const JunitCase& second = document->cases[1];
  ASSERT_EQ(second.children.size(), 2u);
  EXPECT_EQ(text(second.children[0].all), "<failure message=''> \n</failure>");
  EXPECT_TRUE(second.children[0].empty);
  EXPECT_EQ(text(second.children[1].content), "<![CDATA[<z>]]>");
  EXPECT_TRUE(second.children[1].begins_cdata);
  EXPECT_FALSE(second.children[1].empty);
  EXPECT_EQ(document->suites[0].cases_end, second.element.all.end);
  const std::vector<Attribute> attributes = attributes_of(bytes, document->suites[0].element);
  ASSERT_EQ(attributes.size(), 2u);
  EXPECT_EQ(attributes[0].value, "a&amp;b");
  EXPECT_EQ(text(attributes[1].span), "2");
}

TEST(JunitDocument, RefusesWhatItDoesNotUnderstandWhole) {
  const std::pair<std::string, const char*> cases[] = {
      {"<testsuites><testsuite name='a'>", "not well-formed"},
      {"", "not well-formed"},
      {"<testsuites/><testsuites/>", "not well-formed"},
      {"<testsuite name='a'><testcase name='x' name='y'/></testsuite>", "not well-formed"},
      {"<testsuite name='a'><testcase name='\xff'/></testsuite>", "not well-formed"},
      {"<testsuite name='a'>&unknown;</testsuite>", "not well-formed"},
      {"<!DOCTYPE t [<!ENTITY a 'b'>]><testsuite name='a'/>", "document type"},
      {"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite name='a'/>", "another encoding"},
      {"<?xml version='1.0' encoding='UTF-16'?><testsuite name='a'/>", "another encoding"},
      {std::string("\xff\xfe<\0t\0/\0>\0", 10), "UTF-16"},
      {"<testsuite xmlns='urn:x' name='a'/>", "namespaces"},
      {"<j:testsuite xmlns:j='urn:x' name='a'/>", "namespaces"},
      {"<testsuite name='a'><testsuite name='b'/></testsuite>", "inside of test suites"},
      {"<html/>", "is no JUnit file: its root is <html>"},
  };
  for (const auto& [bytes, reason] : cases) {
    EXPECT_THAT(refusal(bytes), HasSubstr(reason)) << bytes;
  }
}

TEST(JunitDocument, HasALimit) {
  std::string bytes = "<testsuite name='a'>";
  for (int i = 0; i < 600'000; ++i) {
    bytes += "<testcase/>";
  }
  EXPECT_THAT(refusal(bytes + "</testsuite>"), HasSubstr("more than 500000 elements"));
}

TEST(JunitDocument, AcceptsAnEncodingOfAnySpellingAndAPrefixThatNoElementHas) {
  EXPECT_EQ(refusal("<?xml version='1.0' encoding='utf-8'?><testsuite "
                    "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' name='a'/>"),
            "accepted");
  EXPECT_EQ(refusal("\xef\xbb\xbf<testsuites/>"), "accepted");
}

}  // namespace
}  // namespace crashcrawler
