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
//  * bodies of at most 32 KiB: Jenkins cuts at 50,000 characters, GitLab fails near 10 MB of text, so that after the
//  first 200 crashes only one line of each is left;
//  * deaths on purpose are no cases, leftovers are a skipped one: neither makes a run fail;
//  * strict is what the schema junit-10 of Jenkins' xunit plugin knows: no file and line of a case, no skipped of the
//  root, no flakyFailure and no rerunFailure: there a crash that came in some attempts is an error like others.
#include "runner/report/junit.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "runner/base/signal_names.h"
#include "runner/report/attempts.h"
#include "runner/report/distinct.h"
#include "runner/report/headline.h"
#include "runner/report/stack.h"
#include "runner/report/text.h"
#include "runner/report/text_report.h"
#include "runner/report/words.h"
#include "runner/report/xml_printer.h"

namespace crashcrawler {
namespace {

constexpr const char* kSuite = "crashcrawler";
constexpr size_t kLongestMessage = 200, kLongestName = 160;  // characters
constexpr size_t kLargestBody = 32768, kLargestOutput = 65536;
constexpr size_t kStackRows = 100;
constexpr size_t kHashDigits = 8;
constexpr size_t kFullBodies = 200;
constexpr size_t kAttempts = 20;  // told of one crash

struct Entry {
  std::string classname = kSuite;
  std::string name, file;
  int line = 0;
  double seconds = 0;
  std::string type, message, body,
      output;            // type empty: passed
  bool skipped = false;  // then type and message say why
  bool flaky = false;    // an attempt passed: all that went wrong is in `attempts`
  std::vector<JunitError>
      attempts;  // that crashed; of a case that never passed those after the first
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

std::string crash_body(const CrashReport& crash, size_t times, const std::string& message,
                       const std::string& directory, const std::string& text_path) {
  std::string body = message + "\n";
  if (times > 1) {
    body += fmt::format("{} times in this run, the first as {}\n", times, crash.id);
  }
  body += "\ncommand: " + command_line(crash.raw.arguments, 500) + "\n";
  body += "in: " + brief(crash.raw.working_directory, 500) + "\n\n";
  if (const ThreadBacktrace* thread = crashed_thread(crash.backtrace)) {
    body += stack_text(*thread, crash.backtrace, directory, kStackRows);
  } else {
    body += " no stack is known\n";
  }
  if (!text_path.empty()) {
    body += "\nfull report: " + text_path + "\n";
  }
  return clipped(body, kLargestBody);
}

// "AddressSanitizer:heap-use-after-free"
std::string finding_type(const CrashReport& crash) {
  if (!crash.sanitizer) {
    return "sanitizer";
  }
  const std::string& kind = crash.sanitizer->kind;
  return brief(crash.sanitizer->tool + (kind.empty() ? "" : ":" + kind), kLongestName);
}

std::string type_of(const CrashReport& crash) {
  switch (crash.kind) {
    case CrashKind::sanitizer:
      return finding_type(crash);
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

// Where a crash's own files are, without their suffix, as the reports name them. "": there are none.
std::string report_path(const CrashReport& crash, const Session& session,
                        const std::string& output_directory) {
  return output_directory.empty() ? ""
                                  : output_path_from(output_directory + "/crashes/" + crash.id,
                                                     session.command.working_directory);
}

JunitError error_of(const CrashReport& crash, size_t times, const Session& session,
                    const std::string& output_directory) {
  const std::string& directory = session.command.working_directory;
  const std::string path = report_path(crash, session, output_directory);
  JunitError error;
  error.type = type_of(crash);
  error.message = shortened(headline(crash, directory), kLongestMessage);
  error.body =
      crash_body(crash, times, error.message, directory, path.empty() ? "" : path + ".txt");
  if (!path.empty()) {
    error.attachments = fmt::format("[[ATTACHMENT|{}.txt]]\n[[ATTACHMENT|{}.json]]\n",
                                    brief(path, 4000), brief(path, 4000));
  }
  return error;
}

Entry crash_case(const DistinctCrash& distinct, const Session& session,
                 const std::string& output_directory) {
  const CrashReport& crash = distinct.first();
  JunitError error = error_of(crash, distinct.reports.size(), session, output_directory);
  Entry result;
  result.name = crash_name(crash);
  if (!crash.test.name.empty()) {
    const std::string& group = crash.test.suite.empty() ? crash.test.framework : crash.test.suite;
    result.classname = group.empty() ? kSuite : brief(group, kLongestName);
    result.name = brief(crash.test.name, kLongestName);
  }
  result.type = std::move(error.type);
  result.message = std::move(error.message);
  result.body = std::move(error.body);
  result.output = clipped(error.attachments, kLargestOutput);
  if (const std::optional<StackLine> line = culprit(crash)) {
    result.file = brief(path_from(line->location().file, session.command.working_directory), 500);
    result.line = line->location().line;
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

// Equal names of different crashes are told apart by what is as stable as they are.
void make_names_unique(std::vector<Entry>& cases, const std::vector<DistinctCrash>& crashes) {
  std::map<std::pair<std::string, std::string>, size_t> count;
  for (const Entry& test : cases) {
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

Entry lost_case(const Health& health) {
  Entry result;
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

Entry leftover_case(const std::vector<LeftoverProcess>& leftovers) {
  Entry result;
  result.name = "processes left over";
  result.skipped = true;
  result.type = "leftover";
  result.message = counted(leftovers.size(), "process", "processes") + " outlived the command:";
  for (const LeftoverProcess& process : leftovers) {
    result.message += " " + brief(process.name, kLongestName);
    if (result.message.size() > kLongestMessage) {
      break;
    }
  }
  result.message = brief(result.message, kLongestMessage);
  return result;
}

// Surefire's dialect, which Jenkins and mikepenz/action-junit-report read: a case that passed in the end has a flakyFailure for each time
// that it did not; one that never passed has its error, and a rerunFailure for each further time.
void tell_attempts(Entry& test, const DistinctCrash& crash, const AttemptCounts& counts,
                   const Session& session, const std::string& directory) {
  test.flaky = passed_elsewhere(crash, counts, session);
  for (size_t i = test.flaky ? 0 : 1; i < crash.reports.size() && test.attempts.size() < kAttempts;
       ++i) {
    JunitError error = error_of(*crash.reports[i], 1, session, directory);
    error.body =
        fmt::format("{}\nattempt {} of {}\n", error.message, crash.reports[i]->raw.attempt,
                    session.repetition->attempts.size()) +
        (test.attempts.empty()
             ? error.body.substr(error.message.size() + 1)
             : "full report: " + report_path(*crash.reports[i], session, directory) + ".txt\n");
    test.attempts.push_back(std::move(error));
  }
}

std::vector<Entry> test_cases(const Session& session, const std::string& output_directory,
                              JunitProfile profile) {
  const std::vector<DistinctCrash> crashes = by_test(distinct_crashes(session));
  std::vector<Entry> cases;
  cases.reserve(crashes.size() + 1);
  const AttemptCounts counts = session.repetition ? count_attempts(session) : AttemptCounts();
  for (const DistinctCrash& crash : crashes) {
    cases.push_back(crash_case(crash, session, output_directory));
    if (session.repetition && profile == JunitProfile::full) {
      tell_attempts(cases.back(), crash, counts, session, output_directory);
    }
    if (cases.size() > kFullBodies) {
      cases.back().body = cases.back().message + "\n";
    }
  }
  make_names_unique(cases, crashes);
  if (session.health.lost_crashes > 0) {
    cases.push_back(lost_case(session.health));
  }
  if (!session.health.complete) {  // never to be taken for a run in which nothing crashed
    Entry& unknown = cases.emplace_back();
    unknown.name = "crashes that nobody saw";
    unknown.skipped = true;
    unknown.type = "unknown";
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
  if (!session.outcome.leftovers.empty()) {
    cases.push_back(leftover_case(session.outcome.leftovers));
  }
  return cases;
}

struct Counters {
  size_t tests = 0, errors = 0, skipped = 0;
  double seconds = 0;
};

Counters count(const std::vector<Entry>& cases, double seconds) {
  Counters counters{cases.size(), 0, 0, seconds};
  for (const Entry& test : cases) {
    counters.skipped += test.skipped ? 1 : 0;
    counters.errors += !test.skipped && !test.flaky && !test.type.empty() ? 1 : 0;
  }
  return counters;
}

void push_counters(XmlPrinter& xml, const Counters& counters) {
  xml.PushAttribute("name", kSuite);
  xml.PushAttribute("tests", std::to_string(counters.tests).c_str());
  xml.PushAttribute("failures", "0");
  xml.PushAttribute("errors", std::to_string(counters.errors).c_str());
  xml.PushAttribute("time", fmt::format("{:.3f}", counters.seconds).c_str());
}

void push_case(XmlPrinter& xml, const Entry& test, JunitProfile profile) {
  xml.OpenElement("testcase");
  xml.PushAttribute("classname", test.classname.c_str());
  xml.PushAttribute("name", test.name.c_str());
  xml.PushAttribute("time", fmt::format("{:.3f}", test.seconds).c_str());
  if (!test.file.empty() && profile == JunitProfile::full) {
    xml.PushAttribute("file", test.file.c_str());
    if (test.line > 0) {
      xml.PushAttribute("line", test.line);
    }
  }
  if (test.skipped) {
    xml.OpenElement("skipped");
    xml.PushAttribute("type", test.type.c_str());
    xml.PushAttribute("message", test.message.c_str());
    xml.CloseElement();
  }
  if (!test.skipped && !test.flaky && !test.type.empty()) {
    xml.OpenElement("error");
    xml.PushAttribute("type", test.type.c_str());
    xml.PushAttribute("message", test.message.c_str());
    xml.PushText(test.body.c_str());
    xml.CloseElement();
  }
  for (const JunitError& attempt : test.attempts) {
    xml.OpenElement(test.flaky ? "flakyFailure" : "rerunFailure");
    xml.PushAttribute("type", attempt.type.c_str());
    xml.PushAttribute("message", attempt.message.c_str());
    xml.OpenElement("stackTrace");
    xml.PushText(attempt.body.c_str());
    xml.CloseElement();
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

std::string junit_xml(const Session& session, const std::string& directory, JunitProfile profile) {
  const std::vector<Entry> cases = test_cases(session, directory, profile);
  const double seconds = std::chrono::duration<double>(session.outcome.duration).count();
  const Counters counters = count(cases, seconds);
  const std::string skipped = std::to_string(counters.skipped);
  XmlPrinter xml;
  xml.OpenElement("testsuites");
  push_counters(xml, counters);
  if (profile == JunitProfile::full) {
    xml.PushAttribute("skipped", skipped.c_str());
  }
  xml.OpenElement("testsuite");
  push_counters(xml, counters);
  xml.PushAttribute("skipped", skipped.c_str());
  xml.PushAttribute("timestamp", iso_seconds(session.outcome.started).c_str());
  for (const Entry& test : cases) {
    push_case(xml, test, profile);
  }
  xml.CloseElement();
  xml.CloseElement();
  return xml.document();
}

JunitError junit_error(const CrashReport& crash, const Session& session,
                       const std::string& directory) {
  return error_of(crash, 1, session, directory);
}

}  // namespace crashcrawler
