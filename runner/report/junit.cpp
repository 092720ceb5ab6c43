// JUnit XML has no standard but what its readers do with it. The rules followed here, each for a
// reader:
//
//  * exactly testsuites/testsuite/testcase: dorny/test-reporter drops nested suites, Jenkins suites
//  without a case;
//  * names without pid, time or address: histories and flake tracking key on (class, name), and
//  GitLab drops the second
//    of two equal ones, so equal names get their signature's hash;
//  * a crash is in the testcase of its test, (suite, test), where that is known, else in one of its own; deaths on purpose
//  are in none;
//  * <error>, because EnricoMi/publish-unit-test-result shows <failure> as a warning only; its type
//  is the signal alone;
//  * the message is one line and the first line of the body: readers show the one or the other, and
//  EnricoMi's puts
//    the message before a body that does not begin with it; frames begin with a space;
//  * attachment markers first in system-out (Jenkins reads every one, GitLab only the first: the
//  readable one);
//  * never CDATA: mikepenz/action-junit-report prefers it to the text beside it;
//  * bodies of at most 32 KiB: Jenkins cuts at 50,000 characters, GitLab fails near 10 MB.
#include "runner/report/junit.h"

#include <fmt/format.h>
#include <tinyxml2.h>

#include <map>
#include <utility>

#include "runner/base/signal_names.h"
#include "runner/report/distinct.h"
#include "runner/report/headline.h"
#include "runner/report/stack.h"
#include "runner/report/text.h"
#include "runner/report/text_report.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr const char* kSuite = "crashcrawler";
constexpr size_t kLongestMessage = 200, kLongestName = 160;  // characters
constexpr size_t kLargestBody = 32768, kLargestOutput = 65536;
constexpr size_t kStackRows = 100;
constexpr size_t kHashDigits = 8;

struct JunitCase {
  std::string classname = kSuite;
  std::string name, file;
  int line = 0;
  double seconds = 0;
  std::string type, message, body,
      output;  // type empty: passed, or skipped when there is a message
};

std::string crash_name(const CrashReport& crash) {
  std::string name = program_name(crash.raw) + ": " + event_name(crash);
  const std::optional<StackLine> line = culprit(crash);
  if (line && !line->function().empty()) {
    name += " in " + line->function();
  } else if (!crash.signature.frames.empty()) {
    name += " in " + crash.signature.frames.front();
  }
  return brief(name, kLongestName);
}

std::string crash_body(const DistinctCrash& distinct, const std::string& message,
                       const std::string& directory, const std::string& text_path) {
  const CrashReport& crash = distinct.first();
  std::string body = message + "\n";
  if (distinct.reports.size() > 1) {
    body +=
        fmt::format("{} times in this run, the first as {}\n", distinct.reports.size(), crash.id);
  }
  body += "\ncommand: " + command_line(crash.raw.arguments, 500) + "\n";
  body += "in: " + brief(crash.raw.working_directory, 500) + "\n\n";
  if (const ThreadBacktrace* thread = crashed_thread(crash.backtrace)) {
    body += stack_text(*thread, crash.backtrace, directory, kStackRows);
  } else {
    body += " no stack is known\n";
  }
  return clipped(body + "\nfull report: " + text_path + "\n", kLargestBody);
}

std::string type_of(const CrashReport& crash) {
  switch (crash.kind) {
    case CrashKind::sanitizer:
      return "sanitizer";
    case CrashKind::hang:
      return "hang";
    case CrashKind::oom:
      return "oom";
    case CrashKind::signal:
    case CrashKind::handled_signal:
    case CrashKind::killed:
      break;
  }
  return signal_name(crash.raw.signal.number);
}

JunitCase crash_case(const DistinctCrash& distinct, const Session& session,
                     const std::string& output_directory) {
  const CrashReport& crash = distinct.first();
  const std::string& directory = session.command.working_directory;
  const std::string report_path =
      output_path_from(output_directory + "/crashes/" + crash.id, directory);
  JunitCase result;
  result.name = crash_name(crash);
  if (!crash.test.name.empty()) {
    const std::string& group =
        crash.test.suite.empty() ? crash.test.framework : crash.test.suite;
    result.classname = group.empty() ? kSuite : brief(group, kLongestName);
    result.name = brief(crash.test.name, kLongestName);
  }
  result.type = type_of(crash);
  result.message = shortened(headline(crash, directory), kLongestMessage);
  if (const std::optional<StackLine> line = culprit(crash)) {
    result.file = brief(path_from(line->location().file, directory), 500);
    result.line = line->location().line;
  }
  result.body = crash_body(distinct, result.message, directory, report_path + ".txt");
  result.output = fmt::format("[[ATTACHMENT|{}.txt]]\n[[ATTACHMENT|{}.json]]\n",
                              brief(report_path, 4000), brief(report_path, 4000));
  result.output = clipped(result.output, kLargestOutput);
  return result;
}

// Equal names of different crashes are told apart by what is as stable as they are.
void make_names_unique(std::vector<JunitCase>& cases, const std::vector<DistinctCrash>& crashes) {
  std::map<std::pair<std::string, std::string>, size_t> count;
  for (const JunitCase& test : cases) {
    ++count[{test.classname, test.name}];
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    const CrashReport& crash = crashes[i].first();
    if (count[{cases[i].classname, cases[i].name}] > 1) {
      cases[i].name +=
          " [" +
          (crash.signature.hash.empty() ? crash.id : crash.signature.hash.substr(0, kHashDigits)) +
          "]";
    }
  }
}

JunitCase lost_case(const Health& health) {
  JunitCase result;
  result.name = "crashes were lost";
  result.type = "lost";
  result.message = counted(health.lost_crashes, "death was", "deaths were") +
                   " seen but not captured, so this report is incomplete";
  result.body = result.message + "\n";
  for (const std::string& problem : health.degraded) {
    result.body += " " + brief(problem, 500) + "\n";
  }
  return result;
}

// The same crash in two tests is an error of both.
std::vector<DistinctCrash> by_test(const std::vector<DistinctCrash>& crashes) {
  std::vector<DistinctCrash> split;
  for (const DistinctCrash& crash : crashes) {
    std::map<std::pair<std::string, std::string>, size_t> seen;
    for (const CrashReport* report : crash.reports) {
      const auto [place, is_new] =
          seen.try_emplace({report->test.suite, report->test.name}, split.size());
      if (is_new) {
        split.emplace_back();
      }
      split[place->second].reports.push_back(report);
    }
  }
  return split;
}

std::vector<JunitCase> test_cases(const Session& session, const std::string& output_directory) {
  const std::vector<DistinctCrash> crashes = by_test(distinct_crashes(session));
  std::vector<JunitCase> cases;
  cases.reserve(crashes.size() + 1);
  for (const DistinctCrash& crash : crashes) {
    cases.push_back(crash_case(crash, session, output_directory));
  }
  make_names_unique(cases, crashes);
  if (session.health.lost_crashes > 0) {
    cases.push_back(lost_case(session.health));
  }
  if (!session.health.complete) {  // never to be taken for a run in which nothing crashed
    JunitCase& unknown = cases.emplace_back();
    unknown.name = "crashes that nobody saw";
    unknown.message = "not known: for some or all of the run nothing was captured";
    for (const std::string& problem : session.health.degraded) {
      unknown.message += "; " + problem;
    }
    unknown.message = brief(unknown.message, kLongestMessage);
  }
  if (cases.empty()) {
    cases.emplace_back().name = "no crash";
    cases.back().seconds = std::chrono::duration<double>(session.outcome.duration).count();
  }
  return cases;
}

bool is_skipped(const JunitCase& test) {
  return test.type.empty() && !test.message.empty();
}

void push_counters(tinyxml2::XMLPrinter& xml, const std::vector<JunitCase>& cases, double seconds) {
  size_t errors = 0, skipped = 0;
  for (const JunitCase& test : cases) {
    errors += test.type.empty() ? 0 : 1;
    skipped += is_skipped(test) ? 1 : 0;
  }
  xml.PushAttribute("name", kSuite);
  xml.PushAttribute("tests", std::to_string(cases.size()).c_str());
  xml.PushAttribute("failures", "0");
  xml.PushAttribute("errors", std::to_string(errors).c_str());
  xml.PushAttribute("skipped", std::to_string(skipped).c_str());
  xml.PushAttribute("time", fmt::format("{:.3f}", seconds).c_str());
}

void push_case(tinyxml2::XMLPrinter& xml, const JunitCase& test) {
  xml.OpenElement("testcase");
  xml.PushAttribute("classname", test.classname.c_str());
  xml.PushAttribute("name", test.name.c_str());
  xml.PushAttribute("time", fmt::format("{:.3f}", test.seconds).c_str());
  if (!test.file.empty()) {
    xml.PushAttribute("file", test.file.c_str());
    if (test.line > 0) {
      xml.PushAttribute("line", test.line);
    }
  }
  if (is_skipped(test)) {
    xml.OpenElement("skipped");
    xml.PushAttribute("message", test.message.c_str());
    xml.CloseElement();
  }
  if (!test.type.empty()) {
    xml.OpenElement("error");
    xml.PushAttribute("type", test.type.c_str());
    xml.PushAttribute("message", test.message.c_str());
    xml.PushText(test.body.c_str());
    xml.CloseElement();
  }
  if (!test.output.empty()) {
    xml.OpenElement("system-out");
    xml.PushText(test.output.c_str());
    xml.CloseElement();
  }
  xml.CloseElement();
}

}  // namespace

std::string junit_xml(const Session& session, const std::string& directory) {
  const std::vector<JunitCase> cases = test_cases(session, directory);
  const double seconds = std::chrono::duration<double>(session.outcome.duration).count();
  tinyxml2::XMLPrinter xml;
  xml.PushDeclaration("xml version=\"1.0\" encoding=\"UTF-8\"");
  xml.OpenElement("testsuites");
  push_counters(xml, cases, seconds);
  xml.OpenElement("testsuite");
  push_counters(xml, cases, seconds);
  xml.PushAttribute("timestamp", iso_seconds(session.outcome.started).c_str());
  for (const JunitCase& test : cases) {
    push_case(xml, test);
  }
  xml.CloseElement();
  xml.CloseElement();
  return std::string(xml.CStr()) + "\n";
}

}  // namespace crashcrawler
