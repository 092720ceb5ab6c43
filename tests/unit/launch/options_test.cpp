#include "runner/main/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

RunOptions parsed(const Words& arguments) {
  const auto result = parse_options(arguments);
  if (const auto* text = std::get_if<TextToPrint>(&result)) {
    ADD_FAILURE() << text->text;
    return {};
  }
  return std::get<RunOptions>(result);
}

TextToPrint refused(const Words& arguments) {
  const auto result = parse_options(arguments);
  const auto* text = std::get_if<TextToPrint>(&result);
  return text ? *text : TextToPrint{"accepted", -1};
}

TEST(Options, TheCommandBeginsAtTheFirstWordThatIsNoOptionOfOurs) {
  const struct {
    Words arguments, command;
  } cases[] = {
      {{"--", "ctest", "-j4"}, {"ctest", "-j4"}},
      {{"ctest", "-j4"}, {"ctest", "-j4"}},
      {{"-v", "ctest", "-v", "--output-dir", "x"}, {"ctest", "-v", "--output-dir", "x"}},
      {{"--output-dir", "out", "ctest", "--help"}, {"ctest", "--help"}},
      {{"ctest", "--", "--version"}, {"ctest", "--", "--version"}},
      {{"--", "-v"}, {"-v"}},
      {{"--", "--", "x"}, {"--", "x"}},
      {{"--", "--bogus"}, {"--bogus"}},
      {{"--", "echo", "", "two words", "--leftovers"}, {"echo", "", "two words", "--leftovers"}},
      {{"sh", "-c", "exit 3"}, {"sh", "-c", "exit 3"}},
      {{"--keep-core", "--", "a", "--keep-core=false"}, {"a", "--keep-core=false"}},
      {{"env", "A=B", "x"}, {"env", "A=B", "x"}},
      {{"--", "++"}, {"++"}},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(parsed(c.arguments).command.arguments, ElementsAreArray(c.command));
  }
}

TEST(Options, Defaults) {
  const RunOptions options = parsed({"true"});
  EXPECT_EQ(options.output_directory, "crashcrawler-out");
  EXPECT_EQ(options.linger, std::chrono::seconds(2));
  EXPECT_EQ(options.leftovers, LeftoverPolicy::leave);
  EXPECT_EQ(options.timeout, std::nullopt);
  EXPECT_EQ(options.grace, std::chrono::seconds(5));
  EXPECT_EQ(options.fail_on, FailOn::crash);
  EXPECT_EQ(options.crash_stack_bytes, 64u << 10);
  EXPECT_EQ(options.thread_stack_bytes, 16u << 10);
  EXPECT_EQ(options.ring_bytes, 16u << 20);
  EXPECT_FALSE(options.keep_core || options.best_effort || options.verbose);
  EXPECT_EQ(options.user, "");
  EXPECT_THAT(options.command.working_directory, StartsWith("/"));
}

TEST(Options, AreTaken) {
  const RunOptions options = parsed({"--output-dir",
                                     "some where",
                                     "--linger=500ms",
                                     "--leftovers",
                                     "kill",
                                     "--keep-core",
                                     "--user",
                                     "ci",
                                     "--fail-on=never",
                                     "--best-effort",
                                     "--sanitizers=abort",
                                     "--collector=ptrace",
                                     "--stack-size",
                                     "5000",
                                     "--thread-stack-size",
                                     "32K",
                                     "--ring-size",
                                     "5M",
                                     "--verbose",
                                     "--",
                                     "true"});
  EXPECT_EQ(options.output_directory, "some where");
  EXPECT_EQ(options.linger, std::chrono::milliseconds(500));
  EXPECT_EQ(options.leftovers, LeftoverPolicy::kill);
  EXPECT_EQ(options.fail_on, FailOn::never);
  EXPECT_EQ(options.crash_stack_bytes, 8192u) << "whole pages";
  EXPECT_EQ(options.thread_stack_bytes, 32u << 10);
  EXPECT_EQ(options.ring_bytes, 8u << 20) << "a power of two";
  EXPECT_TRUE(options.keep_core && options.best_effort && options.verbose);
  EXPECT_EQ(options.sanitizers, Sanitizers::abort);
  EXPECT_EQ(options.collector, CollectorChoice::ptrace);
  EXPECT_EQ(parsed({"--collector", "bpf", "x"}).collector, CollectorChoice::bpf);
  EXPECT_EQ(parsed({"--collector=auto", "x"}).collector, CollectorChoice::automatic);
  EXPECT_EQ(parsed({"x"}).collector, CollectorChoice::automatic);
  EXPECT_EQ(options.user, "ci");
  EXPECT_EQ(parsed({"--leftovers=wait", "x"}).leftovers, LeftoverPolicy::wait);
  EXPECT_EQ(parsed({"--linger", "0s", "x"}).linger.count(), 0);
  const RunOptions often =
      parsed({"--until-crash", "--repeat", "300", "--for=10s", "--jobs=4", "--chaos=9", "--", "x"});
  EXPECT_TRUE(often.repeats && often.attempts.until_crash);
  EXPECT_EQ(often.attempts.most, 300);
  EXPECT_EQ(often.attempts.duration, std::chrono::seconds(10));
  EXPECT_EQ(often.attempts.jobs, 4);
  EXPECT_EQ(often.attempts.chaos_seed, 9u);
  const RunOptions disturbed = parsed({"--chaos", "--", "x"});
  EXPECT_TRUE(disturbed.repeats && disturbed.attempts.chaos_seed);
  EXPECT_EQ(disturbed.attempts.most, 1);
  EXPECT_EQ(disturbed.attempts.chaos_first, 1);
  const RunOptions later = parsed({"--chaos=9:17", "--until-fingerprint=0a1b", "--", "x"});
  EXPECT_EQ(later.attempts.chaos_seed, 9u);
  EXPECT_EQ(later.attempts.chaos_first, 17);
  EXPECT_TRUE(later.repeats && later.attempts.until_crash);
  EXPECT_EQ(later.attempts.until_fingerprint, "0a1b");
  EXPECT_FALSE(parsed({"--", "x"}).repeats);
  const RunOptions timed = parsed({"--timeout", "600s", "--grace=0s", "x", "--timeout"});
  EXPECT_EQ(timed.timeout, std::chrono::minutes(10));
  EXPECT_EQ(timed.grace.count(), 0);
}

TEST(Options, ExpectMayBeGivenMoreThanOnce) {
  const auto parsed = parse_options({"--expect", "exe=*/a signal=SIGABRT", "--expect-file", "one",
                                     "--expect", "test=B.*", "--expect-file", "two", "--", "x"});
  const auto* options = std::get_if<RunOptions>(&parsed);
  ASSERT_NE(options, nullptr);
  ASSERT_EQ(options->expect_rules.size(), 2u);
  EXPECT_EQ(options->expect_rules[0].executable, "*/a");
  EXPECT_EQ(options->expect_rules[1].text, "--expect test=B.*");
  EXPECT_EQ(options->expect_files, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(options->command.arguments, std::vector<std::string>{"x"});
}

TEST(Options, ARunIsRecordedOrReplayed) {
  EXPECT_THAT(parsed({"--debug-dir", "a", "--debug-dir", "/b c", "--", "x"}).debug_directories,
              ElementsAre("a", "/b c"));
  EXPECT_FALSE(parsed({"--", "x", "--debuginfod"}).debuginfod);
  EXPECT_TRUE(parsed({"--debuginfod", "--", "x"}).debuginfod);
  const RunOptions recorded = parsed({"--record", "some file", "--", "x", "--replay", "y"});
  EXPECT_EQ(recorded.record_file, "some file");
  EXPECT_EQ(recorded.replay_file, "");
  EXPECT_THAT(recorded.command.arguments, ElementsAre("x", "--replay", "y"));
  const RunOptions replayed = parsed({"--replay", "some file", "--fail-on", "never"});
  EXPECT_EQ(replayed.replay_file, "some file");
  EXPECT_EQ(replayed.fail_on, FailOn::never);
  EXPECT_EQ(parsed({"--replay=x", "--"}).replay_file, "x");
}

TEST(Options, MistakesAre125WithTheReasonAndTheUsage) {
  const struct {
    Words arguments;
    std::string text;
  } cases[] = {
      {{}, "no command to run"},
      {{"--"}, "no command to run"},
      {{"-v"}, "no command to run"},
      {{"--debug-dir", "", "--", "x"}, "--debug-dir: the name of a folder is missing"},
      {{"--record", "", "--", "x"}, "--record: the name of a file is missing"},
      {{"--expect", "exe=*/victim color=red", "--", "x"},
       "--expect 'color=red' at character 14 has an unknown key"},
      {{"--expect", "", "--", "x"}, "--expect the rule is empty"},
      {{"--replay", ""}, "--replay: the name of a file is missing"},
      {{"--replay", "r", "--", "x", "y"}, "--replay runs no command, but there is one: x"},
      {{"--replay", "r", "x"}, "--replay runs no command, but there is one: x"},
      {{"--replay", "r", "--record", "s"}, "--replay has nothing to --record"},
      {{"--bogus", "--", "true"},
       "unknown option --bogus (did you forget `--` before the command?)"},
      {{"--bogus"}, "unknown option --bogus"},
      {{"-j4", "ctest"}, "unknown option -j4"},
      {{"--output-dir"}, "--output-dir"},
      {{"--linger", "2", "--", "x"}, "--linger: '2' is no duration; write it as 500ms or 2s"},
      {{"--linger", "1.5s", "--", "x"}, "'1.5s' is no duration"},
      {{"--linger", "-1s", "--", "x"}, "'-1s' is no duration"},
      {{"--linger", "99999999999999s", "--", "x"}, "is no duration"},
      {{"--repeat=0", "--", "x"}, "--repeat: '0' is no number from 1 to 1000000"},
      {{"--jobs=2", "--", "x"}, "--jobs is for --repeat, --until-crash and --for"},
      {{"--chaos=x", "--", "x"}, "--chaos: 'x' is no seed"},
      {{"--repeat=2", "--record=f", "--", "x"}, "--record stores one run, not many"},
      {{"--repeat=2", "--replay=f"}, "--replay runs no command, so there is nothing to repeat"},
      {{"--timeout=soon", "--", "x"}, "--timeout: 'soon' is no duration; write it as 500ms or 2s"},
      {{"--timeout", "0ms", "--", "x"}, "--timeout: '0ms' leaves the command no time"},
      {{"--timeout"}, "--timeout"},
      {{"--grace", "-1s", "--", "x"}, "--grace: '-1s' is no duration"},
      {{"--leftovers", "eat", "--", "x"}, "--leftovers: 'eat' is none of kill, leave, wait"},
      {{"--fail-on", "new", "--", "x"}, "--fail-on: 'new' is none of crash, never"},
      {{"--stack-size", "64k", "--", "x"},
       "--stack-size: '64k' is no size between 4096 and 8388608 bytes"},
      {{"--stack-size", "100M", "--", "x"}, "'100M' is no size"},
      {{"--stack-size", "0", "--", "x"}, "'0' is no size"},
      {{"--ring-size", "18446744073709551615K", "--", "x"}, "is no size"},
      {{"--ring-size", "", "--", "x"}, "no size"},
      {{"--core-limit", "much", "--", "x"}, "no size"},
  };
  for (const auto& c : cases) {
    const TextToPrint text = refused(c.arguments);
    EXPECT_EQ(text.exit_status, 125) << c.text;
    EXPECT_THAT(text.text, StartsWith("crashcrawler-run: "));
    EXPECT_THAT(text.text, HasSubstr(c.text));
    EXPECT_THAT(text.text, HasSubstr("Usage: crashcrawler-run [options] -- command"));
  }
}

TEST(Options, OfJunitFiles) {
  const RunOptions options =
      parsed({"--augment-junit", "a*.xml", "--augment-junit=b", "--junit-profile", "strict",
              "--no-augment-junit", "--no-list-tests", "--", "x"});
  EXPECT_THAT(options.augment_junit, ElementsAre("a*.xml", "b"));
  EXPECT_FALSE(options.augment_by_itself);
  EXPECT_FALSE(options.list_tests);
  EXPECT_EQ(options.junit_profile, JunitProfile::strict);
  const RunOptions defaults = parsed({"x"});
  EXPECT_TRUE(defaults.augment_by_itself);
  EXPECT_TRUE(defaults.list_tests);
  EXPECT_EQ(defaults.junit_profile, JunitProfile::full);
  EXPECT_THAT(refused({"--junit-profile=loose", "x"}).text,
              HasSubstr("'loose' is none of full, strict"));
  EXPECT_THAT(refused({"--augment-junit", "", "x"}).text,
              HasSubstr("the name of a file is missing"));
}

TEST(Options, HelpAndVersionAreNoMistake) {
  const TextToPrint help = refused({"--help"});
  EXPECT_EQ(help.exit_status, 0);
  for (const char* option : {"--output-dir",
                             "--linger",
                             "--leftovers",
                             "--timeout",
                             "--grace",
                             "--keep-core",
                             "--user",
                             "--fail-on",
                             "--best-effort",
                             "--sanitizers",
                             "--stack-size",
                             "--thread-stack-size",
                             "--core-limit",
                             "--ring-size",
                             "--debug-dir",
                             "--augment-junit",
                             "--no-augment-junit",
                             "--no-list-tests",
                             "--junit-profile",
                             "--record",
                             "--replay",
                             "--verbose"}) {
    EXPECT_THAT(help.text, HasSubstr(option));
  }
  EXPECT_EQ(refused({"-h"}).text, help.text);
  EXPECT_EQ(refused({"--version"}).exit_status, 0);
  EXPECT_THAT(refused({"--version"}).text, StartsWith("crashcrawler-run "));
  EXPECT_THAT(refused({"--version"}).text, EndsWith("\n"));
}

}  // namespace
}  // namespace crashcrawler
