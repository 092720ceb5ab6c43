#include "runner/report/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace crashcrawler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Words, WriteTimesInUtc) {
  const std::chrono::system_clock::time_point time{milliseconds(1740830400125)};
  EXPECT_EQ(iso_time(time), "2025-03-01T12:00:00.125Z");
  EXPECT_EQ(iso_seconds(time), "2025-03-01T12:00:00");
  EXPECT_EQ(iso_time(std::chrono::system_clock::time_point{milliseconds(7)}),
            "1970-01-01T00:00:00.007Z");
}

TEST(Words, WriteDurations) {
  EXPECT_EQ(duration_in_words(milliseconds(40)), "0.0 s");
  EXPECT_EQ(duration_in_words(milliseconds(5230)), "5.2 s");
  EXPECT_EQ(duration_in_words(seconds(192)), "3 min 12 s");
  EXPECT_EQ(duration_in_words(seconds(7320)), "2 h 2 min");
}

TEST(Words, CountInSingularAndPlural) {
  EXPECT_EQ(counted(1, "crash", "crashes"), "1 crash");
  EXPECT_EQ(counted(0, "crash", "crashes"), "0 crashes");
  EXPECT_EQ(counted(2, "crash", "crashes"), "2 crashes");
}

struct PathCase {
  const char *path, *directory, *seen;
};

class PathFrom : public ::testing::TestWithParam<PathCase> {};

TEST_P(PathFrom, IsRelativeOnlyBelowTheDirectory) {
  EXPECT_EQ(path_from(GetParam().path, GetParam().directory), GetParam().seen);
}

INSTANTIATE_TEST_SUITE_P(All, PathFrom,
                         ::testing::Values(PathCase{"/p/src/a.cpp", "/p", "src/a.cpp"},
                                           PathCase{"/p/src/a.cpp", "/p/", "src/a.cpp"},
                                           PathCase{"/p/build/../src/a.cpp", "/p", "src/a.cpp"},
                                           PathCase{"/project/a.cpp", "/p", "/project/a.cpp"},
                                           PathCase{"/q/a.cpp", "/p", "/q/a.cpp"},
                                           PathCase{"a.cpp", "/p", "a.cpp"},
                                           PathCase{"/p/a.cpp", "/", "/p/a.cpp"},
                                           PathCase{"/p/a.cpp", "", "/p/a.cpp"},
                                           PathCase{"/p/../q/a.cpp", "/p", "/p/../q/a.cpp"}));

TEST(OutputPathFrom, MakesRelativeNamesAbsoluteFirst) {
  const std::string here = std::filesystem::current_path();
  EXPECT_EQ(output_path_from("out/x", here), "out/x");
  EXPECT_EQ(output_path_from("./out/../out/x", here), "out/x");
  EXPECT_EQ(output_path_from("out/x", "/elsewhere"), here + "/out/x");
}

TEST(CommandLine, CanBePastedIntoAShell) {
  EXPECT_EQ(command_line({"./a", "--b=c", "d e", "", "it's", "$x"}, 100),
            "./a --b=c 'd e' '' 'it'\\''s' '$x'");
  EXPECT_EQ(command_line({}, 100), "");
  EXPECT_EQ(command_line({"a\nb"}, 100), "'a\\nb'");
}

TEST(CommandLine, IsShortWhateverTheArguments) {
  const std::vector<std::string> many(100000, std::string(1000, 'x'));
  EXPECT_LE(command_line(many, 80).size(), 90u);
  EXPECT_LE(command_line({std::string(1u << 20, 'x')}, 80).size(), 90u);
}

TEST(RegisterValues, HaveTheNamesOfTheArchitecture) {
  Registers registers;
  registers.rip = 1;
  registers.rsp = 2;
  registers.r15 = 15;
  const auto wide = register_values(registers, Architecture::x86_64);
  EXPECT_EQ(wide.size(), 23u);
  EXPECT_STREQ(wide[16].first, "r15");
  EXPECT_EQ(wide[16].second, 15u);
  const auto narrow = register_values(registers, Architecture::i386);
  EXPECT_STREQ(narrow[0].first, "eip");
  EXPECT_EQ(narrow[1].second, 2u);
  EXPECT_EQ(narrow.size(), 10u);
}

TEST(RegisterValues, AreAbsentWhenNoneWasCaptured) {
  EXPECT_TRUE(register_values({}, Architecture::x86_64).empty());
}

}  // namespace
}  // namespace crashcrawler
