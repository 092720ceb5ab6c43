// Which deaths does a test want? Who reports those is switched off; who excuses one too many hides a crash. So a death is
// excused for what can be seen of it, each time with the reason, and never because something that stood above it was content:
// `sh -c "victim; true"` is content, too.
//
// GoogleTest's death tests (googletest/src/gtest-death-test.cc, 1.8 to 1.14). A child runs one statement and is to die in it.
// * Style "threadsafe": the program is started anew, with --gtest_internal_run_death_test=FILE|LINE|... Everything before the
//   statement runs once more, and what dies there (a fixture, a global) passes for the death that was wanted. So the stacks
//   must show the statement, if it is known where that begins and ends (its source) and they show lines at all.
// * Style "fast": the child is forked and goes on in the middle of the test. Nothing of GoogleTest is on its stack that
//   would not be there in a child that the test forked itself, which may not die. So the source must say it: a macro with
//   DEATH in its name, or EXPECT_EXIT/ASSERT_EXIT, around a line of the stack of a test. Without a source the name
//   does that GoogleTest asks such suites to have, *DeathTest.
//   Forked and not started anew means the command line of the process above it, and that one must still have lived.
// * What end is accepted: EXPECT_DEATH takes any but a good exit. EXPECT_EXIT takes what its predicate takes; of
//   KilledBySignal(SIGX) and ExitedWithCode(N) the source tells that another signal is not accepted. Then the test fails,
//   and the death is none on purpose, unless the test is known to have passed (a test of death tests themselves).
//   The text that a death must print is not compared: it went to the parent. Where it is wrong the test fails by itself.
// The parent is another process: what happens to it is judged like everything else. Hangs and kills are never excused.
//
// GoogleTest told to stop at a failed assertion, by --gtest_break_on_failure (a trap in AddTestPartResult) or
// --gtest_throw_on_failure without exceptions (exit() there). Who sets that for his tests wants to see those deaths. It is on
// purpose when another program started this one to see it die, went on, and is itself a test that has passed: not a shell.
//
// A child that its test forked by hand, and that sends itself a signal other than SIGABRT by raise(): no fault does that, and
// a handler that raises its signal anew is seen as one. On purpose when the test, which waited for it, is known to have passed.
//
// WILL_FAIL of CTest. When its own process dies of a signal, ctest (3.25) counts the test as failed all the same; behind a
// wrapper it is the wanted failure. Its log says which; without it, whether there is something between.
//
// Catch2, doctest and Boost.Test have no death tests; their marks for tests that may fail ([!shouldfail], should_fail(),
// expected_failures()) are about assertions, and a signal fails such tests as well. A pytest test, or a script, that starts
// a program and looks at how it died shows that to nobody outside: for those there is --expect.
#include "runner/classify/expected.h"

#include <sys/wait.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <optional>
#include <string_view>

#include "runner/base/signal_names.h"
#include "runner/base/source_text.h"
#include "runner/classify/expect_rules.h"
#include "runner/classify/machinery.h"
#include "runner/classify/normalise.h"

namespace crashcrawler {
namespace {

constexpr std::string_view kDeathTestFlag = "--gtest_internal_run_death_test=";

bool is_death_macro(std::string_view name) {
  const bool upper = std::ranges::none_of(name, [](char c) { return c >= 'a' && c <= 'z'; });
  return upper && (name.find("DEATH") != std::string_view::npos || name == "EXPECT_EXIT" ||
                   name == "ASSERT_EXIT");
}

std::string_view base_name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// The statement of a death test, as its child stood in it.
struct Statement {
  MacroCall call;
  std::string file;
  bool reached = false;  // a stack leads through it
};

// All places of a stack, top first.
template <typename Take>
void for_each_place(const ThreadBacktrace& thread, Take take) {
  for (const Frame& frame : thread.frames) {
    for (const InlinedFunction& inlined : frame.inlines) {
      take(inlined.location);
    }
    take(frame.location);
  }
}

// The first two of FILE|LINE|INDEX|...
struct DeathTestPlace {
  std::string file;
  int line = 0;
};

std::optional<DeathTestPlace> place_of_flag(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (!argument.starts_with(kDeathTestFlag)) {
      continue;
    }
    const std::string value = argument.substr(kDeathTestFlag.size());
    const size_t bar = value.find('|');
    DeathTestPlace place{value.substr(0, bar), 0};
    if (bar != std::string::npos) {
      std::from_chars(value.data() + bar + 1, value.data() + value.size(), place.line);
    }
    return place;
  }
  return std::nullopt;
}

// The statement that the flag names, its file as the debug information has it: __FILE__ may be relative.
Statement statement_of_flag(const CrashReport& report, const DeathTestPlace& place,
                            SourceTexts& sources) {
  Statement statement;
  const auto is_file = [&](const std::string& file) {
    return file == place.file ||
           (place.file.front() != '/' && base_name_of(file) == base_name_of(place.file));
  };
  statement.file = place.file;
  for (const ThreadBacktrace& thread : report.backtrace.threads) {
    for_each_place(thread, [&](const SourceLocation& location) {
      if (!place.file.empty() && is_file(location.file)) {
        statement.file = location.file;
      }
    });
  }
  statement.call =
      macro_call_above(sources.lines(statement.file), place.line, is_death_macro, true);
  for (const ThreadBacktrace& thread : report.backtrace.threads) {
    for_each_place(thread, [&](const SourceLocation& location) {
      const bool inside =
          location.line >= statement.call.first_line && location.line <= statement.call.last_line;
      statement.reached = statement.reached || (location.file == statement.file && inside);
    });
  }
  return statement;
}

// Whether the stack of the main thread is whole, and has the lines of what it would show: the test's file, or main().
bool shows_lines(const CrashReport& report, const std::string& file) {
  return std::ranges::any_of(report.backtrace.threads, [&](const ThreadBacktrace& thread) {
    return thread.tid == report.raw.pid && thread.stop_reason == "end of stack" &&
           std::ranges::any_of(thread.frames, [&](const Frame& frame) {
             return frame.location.line > 0 &&
                    (frame.location.file == file || frame.function == "main" ||
                     frame.function.starts_with("main("));
           });
  });
}

// TestBody() itself may be gone: it is left by a jump when the last thing that it does is a call.
bool is_in_test(const ThreadBacktrace& thread) {
  return std::ranges::any_of(thread.frames, [](const Frame& frame) {
    return frame.function.find("::TestBody()") != std::string::npos ||
           frame.function.starts_with("testing::Test::Run()") ||
           frame.function.starts_with("testing::TestInfo::Run()");
  });
}

// Of a child that was forked: the innermost death-test macro that a stack with a test on it leads through.
Statement statement_on_stack(const CrashReport& report, SourceTexts& sources) {
  Statement statement;
  for (const ThreadBacktrace& thread : report.backtrace.threads) {
    if (!is_in_test(thread)) {
      continue;
    }
    for_each_place(thread, [&](const SourceLocation& location) {
      if (statement.call.name.empty()) {
        statement.call =
            macro_call_above(sources.lines(location.file), location.line, is_death_macro, true);
        statement.file = location.file;
      }
    });
  }
  return statement;
}

bool is_forked_copy(const CrashReport& report) {
  const RawCrash& raw = report.raw;
  return !raw.ancestors.empty() && !raw.arguments.empty() &&
         raw.ancestors.front().arguments.size() <= raw.arguments.size() &&
         !raw.ancestors.front().arguments.empty() &&
         std::equal(raw.ancestors.front().arguments.begin(),
                    raw.ancestors.front().arguments.end() - 1, raw.arguments.begin()) &&
         raw.arguments[raw.ancestors.front().arguments.size() - 1].starts_with(
             raw.ancestors.front().arguments.back());
}

bool parent_died_before(const CrashReport& report, const std::vector<CrashReport>& reports) {
  return std::ranges::any_of(reports, [&](const CrashReport& other) {
    return !report.raw.ancestors.empty() && other.raw.pid == report.raw.ancestors.front().pid &&
           other.raw.time < report.raw.time && !other.raw.alive;
  });
}

int final_signal(const CrashReport& report) {
  return (report.followed_by ? *report.followed_by : report.raw.signal).number;
}

// The word behind `function`( in an argument; empty: it is not there.
std::string argument_of(const std::string& text, const std::string& function) {
  const size_t at = text.find(function + "(");
  if (at == std::string::npos) {
    return "";
  }
  const size_t begin = at + function.size() + 1;
  std::string word = text.substr(begin, text.find(')', begin) - begin);
  std::erase(word, ' ');
  return word;
}

// Whether the macro, as far as its text says, takes this end.
bool accepts(const MacroCall& call, const CrashReport& report) {
  if (!call.name.ends_with("EXIT") || call.arguments.size() < 2 || !report.raw.has_exit ||
      !WIFSIGNALED(report.raw.wait_status)) {
    return true;
  }
  const std::string& predicate = call.arguments[1];
  const std::string wanted = argument_of(predicate, "KilledBySignal");
  if (wanted.empty()) {
    return predicate.find("ExitedWithCode(") == std::string::npos;
  }
  const bool is_known =
      wanted.starts_with("SIG") || wanted.find_first_not_of("0123456789") == std::string::npos;
  return !is_known || wanted == signal_name(final_signal(report)) ||
         wanted == std::to_string(final_signal(report));
}

// The command was the test program itself, or ctest's log says so.
bool test_passed(const CrashReport& report, const RunOutcome& outcome) {
  if (report.test.runner_result != RunnerResult::unknown) {
    return report.test.runner_result == RunnerResult::passed;
  }
  return report.raw.ancestors.size() == 1 && outcome.signal == 0 && outcome.exit_code == 0;
}

std::string place_in_words(const Statement& statement) {
  return statement.call.name + " at " + std::string(base_name_of(statement.file)) + ":" +
         std::to_string(statement.call.first_line);
}

std::string excused_by(const Statement& statement, const char* style, CrashReport& report,
                       const RunOutcome& outcome) {
  if (!statement.call.name.empty() && !accepts(statement.call, report) &&
      !test_passed(report, outcome)) {
    report.soft_errors.push_back("it died in the death test " + place_in_words(statement) +
                                 ", which does not accept this end");
    return "";
  }
  return std::string("GoogleTest death test (") + style + " style), in " +
         place_in_words(statement);
}

std::string threadsafe_death_test(CrashReport& report, const RunOutcome& outcome,
                                  SourceTexts& sources) {
  const std::optional<DeathTestPlace> place = place_of_flag(report.raw.arguments);
  if (!place || place->file.empty()) {
    return "";
  }
  const Statement statement = statement_of_flag(report, *place, sources);
  if (statement.call.name.empty()) {
    return "GoogleTest death test (threadsafe style), at " +
           std::string(base_name_of(place->file)) + ":" + std::to_string(place->line);
  }
  if (!statement.reached && shows_lines(report, statement.file)) {
    report.soft_errors.push_back("it is the child of the death test " + place_in_words(statement) +
                                 ", but did not die in its statement");
    return "";
  }
  return excused_by(statement, "threadsafe", report, outcome);
}

std::string fast_death_test(CrashReport& report, const std::vector<CrashReport>& reports,
                            const RunOutcome& outcome, SourceTexts& sources) {
  if (!is_forked_copy(report) || parent_died_before(report, reports)) {
    return "";
  }
  const Statement statement = statement_on_stack(report, sources);
  if (!statement.call.name.empty()) {
    return excused_by(statement, "fast", report, outcome);
  }
  const TestCase& test = report.test;
  const std::string_view suite =
      std::string_view(test.suite).substr(0, test.suite.find('/', test.suite.find("DeathTest")));
  const bool source_is_there = !test.file.empty() && !sources.lines(test.file).empty();
  const bool in_test = std::ranges::any_of(report.backtrace.threads, is_in_test);
  if (in_test && !source_is_there && test.framework == "googletest" &&
      suite.ends_with("DeathTest")) {
    return "GoogleTest death test (fast style): a forked child of a test of " + test.suite;
  }
  return "";
}

// A tracer is shown the signal first, and it is met once more as one that had gone to somebody.
bool is_raised(const RawSignal& signal, const RawCrash& raw) {
  return has_sender(signal.number, signal.code) &&
         (signal.sender_pid == raw.pid || signal.sender_pid == raw.inner_pid);
}

std::string raised_for_test(const CrashReport& report, const std::vector<CrashReport>& reports,
                            const RunOutcome& outcome) {
  const RawCrash& raw = report.raw;
  const bool by_itself =
      is_raised(raw.signal, raw) && (!raw.first_signal || is_raised(raw.first_signal->signal, raw));
  const bool in_test = std::ranges::any_of(report.backtrace.threads, is_in_test);
  if (!by_itself || raw.signal.number == SIGABRT || report.kind == CrashKind::sanitizer ||
      !in_test || !is_forked_copy(report) || parent_died_before(report, reports) ||
      !test_passed(report, outcome)) {
    return "";
  }
  return "it sent itself " + signal_name(raw.signal.number) +
         "; the test that had forked it went on, and passed";
}

bool is_shell_or_runner(std::string_view name) {
  constexpr std::string_view kNames[] = {"sh",    "bash",  "dash",    "zsh",   "ctest", "make",
                                         "ninja", "cmake", "timeout", "meson", "env",   "busybox"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

// What ended the program, when that was GoogleTest over a failed assertion.
std::string told_to_stop(const CrashReport& report) {
  if (report.backtrace.threads.empty()) {
    return "";
  }
  std::string above;
  for (const Frame& frame : report.backtrace.threads.front().frames) {
    const std::string name =
        normalise_function(frame.function.empty() ? frame.raw_function : frame.function);
    if (name == "testing::UnitTest::AddTestPartResult") {
      const bool trap = above.empty() && (report.raw.signal.number == SIGTRAP ||
                                          report.raw.signal.number == SIGSEGV);
      return trap ? "gtest_break_on_failure" : above == "exit" ? "gtest_throw_on_failure" : "";
    }
    above = name;
  }
  return "";
}

std::string asked_to_stop(const CrashReport& report, const std::vector<CrashReport>& reports,
                          const RunOutcome& outcome) {
  const std::string flag = told_to_stop(report);
  if (flag.empty() || report.raw.ancestors.size() < 2 ||
      is_shell_or_runner(report.raw.ancestors.front().name) ||
      parent_died_before(report, reports) || report.test.runner_result == RunnerResult::failed ||
      (report.test.runner_result == RunnerResult::unknown && outcome.exit_code != 0)) {
    return "";
  }
  return "GoogleTest stopped at a failed assertion, as " + flag + " asks for; " +
         report.raw.ancestors.front().name + " started it for that, and passed";
}

std::string wanted_by_ctest(const CrashReport& report) {
  const TestCase& test = report.test;
  if (!test.failure_wanted || test.runner_result == RunnerResult::failed) {
    return "";
  }
  const bool is_direct =
      !report.raw.ancestors.empty() && report.raw.ancestors.front().name == "ctest";
  if (test.runner_result == RunnerResult::unknown && is_direct) {
    return "";
  }
  return "ctest wants the test " + test.runner_name + " to fail (WILL_FAIL)";
}

bool may_be_on_purpose(const CrashReport& report) {
  return report.kind == CrashKind::signal || report.kind == CrashKind::handled_signal ||
         report.kind == CrashKind::sanitizer;
}

std::string evidence(CrashReport& report, const std::vector<CrashReport>& reports,
                     const RunOutcome& outcome, SourceTexts& sources) {
  if (!may_be_on_purpose(report)) {
    return "";
  }
  std::string reason = threadsafe_death_test(report, outcome, sources);
  if (reason.empty() && !place_of_flag(report.raw.arguments)) {
    reason = fast_death_test(report, reports, outcome, sources);
  }
  if (reason.empty()) {
    reason = raised_for_test(report, reports, outcome);
  }
  if (reason.empty()) {
    reason = asked_to_stop(report, reports, outcome);
  }
  return reason.empty() ? wanted_by_ctest(report) : reason;
}

}  // namespace

std::vector<std::string> mark_expected(std::vector<CrashReport>& reports,
                                       const std::vector<ExpectRule>& rules,
                                       const RunOutcome& outcome) {
  SourceTexts sources;
  std::vector<bool> used(rules.size());
  for (CrashReport& report : reports) {
    report.expected_reason = evidence(report, reports, outcome, sources);
    for (size_t i = 0; i < rules.size(); ++i) {
      if (matches(rules[i], report)) {
        used[i] = true;
        if (report.expected_reason.empty()) {
          report.expected_reason = "rule " + rules[i].text;
        }
      }
    }
  }
  std::vector<std::string> unused;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (!used[i]) {
      unused.push_back("no death matched the rule " + rules[i].text);
    }
  }
  return unused;
}

}  // namespace crashcrawler
