#include "runner/report/text.h"

#include <gtest/gtest.h>

#include <chrono>

namespace crashcrawler {
namespace {

struct TextCase {
  const char* what;
  std::string from, one_line, many_lines;
};

void PrintTo(const TextCase& text, std::ostream* out) {
  *out << text.what;
}

class Printable : public ::testing::TestWithParam<TextCase> {};

TEST_P(Printable, OnOneLine) {
  EXPECT_EQ(printable(GetParam().from, Lines::one), GetParam().one_line);
}

TEST_P(Printable, OnManyLines) {
  EXPECT_EQ(printable(GetParam().from, Lines::many), GetParam().many_lines);
}

TEST_P(Printable, IsItsOwnFixedPoint) {
  const std::string once = printable(GetParam().from, Lines::one);
  EXPECT_EQ(printable(once, Lines::one), once);
}

TextCase same(const char* what, const std::string& from, const std::string& to) {
  return {what, from, to, to};
}

INSTANTIATE_TEST_SUITE_P(Text, Printable,
                         ::testing::Values(same("nothing", "", ""), same("ASCII", "a b~!", "a b~!"),
                                           same("UTF-8", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xa5",
                                                "\xc3\xa4\xe2\x82\xac\xf0\x9f\x92\xa5"),
                                           same("markup", "]]>&<\"'", "]]>&<\"'"),
                                           TextCase{"newline and tab", "a\nb\tc", "a\\nb c",
                                                    "a\nb\tc"},
                                           same("carriage return", "a\rb", "a\\rb")));

INSTANTIATE_TEST_SUITE_P(
    Controls, Printable,
    ::testing::Values(same("NUL", std::string("a\0b", 3), "a\\x00b"),
                      same("C0", "\x01\x02\x1f", "\\x01\\x02\\x1f"),
                      same("backspaces", "ab\b\b", "ab\\x08\\x08"), same("DEL", "\x7f", "\\x7f"),
                      same("C1: CSI in one character",
                           "\xc2\x9b"
                           "31m",
                           "\\u009b31m"),
                      same("right-to-left override",
                           "a\xe2\x80\xae"
                           "b",
                           "a\\u202eb"),
                      same("isolates", "\xe2\x81\xa6\xe2\x81\xa9", "\\u2066\\u2069"),
                      same("byte order mark stays", "\xef\xbb\xbf", "\xef\xbb\xbf")));

#define FFFD "\xef\xbf\xbd"
INSTANTIATE_TEST_SUITE_P(
    BrokenUtf8, Printable,
    ::testing::Values(same("stray continuation", "a\x80z", "a" FFFD "z"),
                      same("never valid", "\xff\xfe", FFFD FFFD),
                      same("overlong slash", "\xc0\xaf", FFFD FFFD),
                      same("overlong in three", "\xe0\x80\xaf", FFFD FFFD FFFD),
                      same("surrogate", "\xed\xa0\x80", FFFD FFFD FFFD),
                      same("above U+10FFFF", "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD),
                      same("cut at the end", "a\xe2\x82", "a" FFFD),
                      same("cut in the middle", "\xe2\x82z", FFFD "z"),
                      same("lead, then ASCII", "\xc3(", FFFD "("),
                      same("four bytes cut", "\xf0\x9f\x92", FFFD),
                      same("U+FFFE", "\xef\xbf\xbe", FFFD), same("U+FFFF", "\xef\xbf\xbf", FFFD),
                      same("U+1FFFF", "\xf0\x9f\xbf\xbf", FFFD)));

INSTANTIATE_TEST_SUITE_P(
    EscapeSequences, Printable,
    ::testing::Values(
        same("colour", "\x1b[1;31mred\x1b[0m!", "red!"),
        same("cursor", "a\x1b[2Kb\x1b[10;20H", "ab"), same("private mode", "\x1b[?25l", ""),
        same("title ended by BEL", "\x1b]0;evil\ax", "x"),
        same("title ended by ST", "\x1b]0;evil\x1b\\x", "x"),
        same("hyperlink", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"),
        same("DCS", "\x1bPq#0\x1b\\x", "x"), same("character set", "\x1b(Bx", "x"),
        same("reset",
             "\x1b"
             "cx",
             "x"),
        same("unfinished colour", "\x1b[31", "\\x1b[31"),
        same("unfinished title keeps the message", "\x1b]0;assert failed", "\\x1b]0;assert failed"),
        same("ESC at the end", "a\x1b", "a\\x1b"), same("ESC ESC", "\x1b\x1b[0m", "\\x1b")));

TEST(PrintableText, IsValidXmlTextForEveryByte) {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
    all += 'x';
  }
  for (const unsigned char c : printable(all, Lines::one)) {
    EXPECT_TRUE(c >= 0x20 && c != 0x7f);
  }
}

TEST(PrintableText, TakesTimeInProportionToItsLength) {
  const auto start = std::chrono::steady_clock::now();
  for (const std::string piece : {"\x1b]", "\x1b[", "\x1bP", "\xe2\x82", "\x1b(", "A"}) {
    std::string text;
    while (text.size() < 1u << 20) {
      text += piece;
    }
    printable(text, Lines::one);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Shortened, CountsCharactersAndMarksTheCut) {
  EXPECT_EQ(shortened("", 3), "");
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "ab\xe2\x80\xa6");
  EXPECT_EQ(shortened("\xc3\xa4\xc3\xb6\xc3\xbc", 3), "\xc3\xa4\xc3\xb6\xc3\xbc");
  EXPECT_EQ(shortened("\xc3\xa4\xc3\xb6\xc3\xbcx", 3), "\xc3\xa4\xc3\xb6\xe2\x80\xa6");
  EXPECT_EQ(count_characters(shortened(std::string(1000, 'a'), 200)), 200u);
}

TEST(Brief, IsOneShortLineOfAnything) {
  EXPECT_EQ(brief("a\nb", 10), "a\\nb");
  const std::string megabyte = brief(std::string(1u << 20, '\x01'), 50);
  EXPECT_EQ(count_characters(megabyte), 50u);
  // what was cut before it was looked at is marked, though nothing visible came before it
  EXPECT_EQ(
      brief(std::string(100, 'a').replace(0, 90, std::string(30, '\x1b') + std::string(60, 'b')),
            10)
          .substr(0, 4),
      "\\x1b");
  std::string colours;
  while (colours.size() < 1000) {
    colours += "\x1b[31m";
  }
  EXPECT_EQ(brief(colours + "text", 10), "\xe2\x80\xa6");
}

TEST(Clipped, KeepsHeadAndTail) {
  EXPECT_EQ(clipped("short", 100), "short");
  const std::string text = "HEAD" + std::string(10000, 'x') + "TAIL";
  const std::string clip = clipped(text, 1000);
  EXPECT_LE(clip.size(), 1000u);
  EXPECT_TRUE(clip.starts_with("HEAD"));
  EXPECT_TRUE(clip.ends_with("TAIL"));
  EXPECT_NE(clip.find(" bytes left out]"), std::string::npos);
}

TEST(Clipped, CutsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += "\xe2\x82\xac";
  }
  for (size_t bytes = 200; bytes < 210; ++bytes) {
    const std::string clip = clipped(text, bytes);
    EXPECT_LE(clip.size(), bytes);
    EXPECT_EQ(printable(clip, Lines::many), clip);
  }
}

}  // namespace
}  // namespace crashcrawler
