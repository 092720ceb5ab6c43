// Three witnesses. What the program had printed is known only where ctest has logged it, and says how tests ended. The
// program's own list says which there are, in the order in which they run: what stands behind the test that died there was
// never begun, what stands before it has run, with a result that nobody knows unless it was printed. The program is started
// once more for its list (runner/attribute/test_case/listed_tests.h), so it is asked only when a file of it is written.
// And ctest's list says the same of its tests.
//
// A list that does not agree with what was announced (tests made while the program runs, an order of its own) is not used:
// then only the number is told.
#include "runner/augment/unwritten.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "runner/augment/matching_case.h"
#include "runner/augment/replace_file.h"
#include "runner/base/file.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestLog = size_t{64} << 20;
constexpr size_t kMostAsked = 16;  // programs, for their tests; each may take some seconds

// "Inst/Suite/0.Name/2" and "Suite.Name" are the same test of GoogleTest, the first one more exactly.
std::string without_parameters(const std::string& suite, const std::string& name) {
  std::string plain = suite;
  if (const size_t last = plain.rfind('/');
      last != plain.npos && plain.find_first_not_of("0123456789", last + 1) == plain.npos) {
    plain.resize(last);
  }
  return plain.substr(plain.rfind('/') + 1) + "." + name.substr(0, name.find('/'));
}

bool is_same(const TestName& a, const TestName& b) {
  return a.name == b.name && is_same_suite(a.suite, b.suite);
}

TestName name_of(const PrintedTest& test) {
  return {test.suite, test.name, ""};
}

const PrintedTest* find_printed(const PrintedResults& printed, const TestName& name) {
  const auto found = std::ranges::find_if(
      printed.tests, [&](const PrintedTest& test) { return is_same(name_of(test), name); });
  return found == printed.tests.end() ? nullptr : &*found;
}

bool variable_of(const CrashReport& crash, std::string_view name) {
  return std::ranges::find(crash.raw.environment, name, &EnvironmentVariable::name) !=
         crash.raw.environment.end();
}

// How its tests are called in a sentence.
std::string died_in(const CrashReport& crash) {
  const std::string where = crash.test.name.empty() ? "" : " in " + full_name(crash.test);
  return std::string(crash.kind == CrashKind::hang ? "the program was ended when it hung"
                                                   : "the program died") +
         where;
}

}  // namespace

void Unwritten::problem(const std::string& words) {
  if (std::ranges::find(problems_, words) == problems_.end()) {
    problems_.push_back(words);
  }
}

// --- what is known ---------------------------------------------------------------------------------------------------

// The log of this run's ctest; nullopt: there is none.
std::optional<std::string> Unwritten::ctest_log(const CrashReport& crash) const {
  for (const std::string& folder : ctest_folders(crash.raw)) {
    for (const char* name : {"LastTest.log", "LastTest.log.tmp"}) {
      const std::string path = folder + "/Testing/Temporary/" + name;
      struct stat status {};
      if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
          !is_newer(status, session_.outcome.started)) {
        continue;
      }
      if (const Result<std::string> log = read_file(path, kLargestLog)) {
        return *log;
      }
    }
  }
  return std::nullopt;
}

std::vector<std::string> Unwritten::ctest_folders(const RawCrash& crash) const {
  std::vector<std::string> folders = folders_around(session_, crash);
  std::vector<const std::vector<std::string>*> command_lines{&session_.command.arguments};
  for (const Ancestor& ancestor : crash.ancestors) {
    command_lines.push_back(&ancestor.arguments);
  }
  for (const auto* arguments : command_lines) {
    for (size_t i = 0; i + 1 < arguments->size(); ++i) {
      if ((*arguments)[i] == "--test-dir") {
        folders.insert(folders.begin(),
                       absolute((*arguments)[i + 1], session_.command.working_directory));
      }
    }
  }
  return folders;
}

// What ctest had seen of the output of the crashed program.
PrintedResults Unwritten::printed_by(const CrashReport& crash) const {
  if (crash.test.runner != "ctest" || crash.test.runner_name.empty()) {
    return {};
  }
  const std::optional<std::string> log = ctest_log(crash);
  const std::optional<std::string> output =
      log ? output_in_ctest_log(*log, crash.test.runner_name) : std::nullopt;
  return output ? read_output(crash.test.framework, *output) : PrintedResults();
}

std::vector<TestName> Unwritten::listed_by(const CrashReport& crash) {
  if (!options_.list_tests) {
    return {};
  }
  const std::string program = words_.line(program_of(crash.raw), kLongestName);
  if (++asked_ > kMostAsked) {
    problem(fmt::format(
        "more than {} programs died: the others were not asked for the tests that they never began",
        kMostAsked));
    return {};
  }
  Result<std::vector<TestName>> answer = options_.list_tests(crash);
  if (!answer) {
    problem("which tests " + program + " never began is not known: asked for its tests, " +
            words_.line(answer.error().message, kLongestPath));
    return {};
  }
  return std::move(*answer);
}

Unwritten::Known Unwritten::known_of(const CrashReport& crash) {
  Known known{printed_by(crash), listed_by(crash)};
  if (known.printed.announced != 0 && known.printed.announced != known.listed.size()) {
    known.listed.clear();
  }
  const TestName own{crash.test.suite, crash.test.name, ""};
  const std::string plain = without_parameters(own.suite, own.name);
  const auto is_it = [&](const TestName& test) { return is_same(test, own); };
  const auto may_be = [&](const TestName& test) {
    return crash.test.framework == "googletest" &&
           without_parameters(test.suite, test.name) == plain;
  };
  auto begin = std::ranges::find_if(known.listed, is_it);
  auto end = begin == known.listed.end() ? begin : begin + 1;
  if (begin == known.listed.end()) {
    begin = std::ranges::find_if(known.listed, may_be);
    end = std::find_if(known.listed.rbegin(), std::make_reverse_iterator(begin), may_be).base();
  }
  if (variable_of(crash, "PYTEST_XDIST_WORKER")) {
    begin = end;  // workers share the list out, so its order says nothing
  }
  known.first = static_cast<size_t>(begin - known.listed.begin());
  known.last = static_cast<size_t>(end - known.listed.begin());
  return known;
}

// --- cases -----------------------------------------------------------------------------------------------------------

NewCase Unwritten::crashed_case(const CrashReport& crash) const {
  NewCase made;
  const std::string program = program_of(crash.raw);
  made.classname = words_.line(classname_of(crash.test, program), kLongestName);
  made.name = crash.test.name.empty() ? "unknown test" : words_.line(crash.test.name, kLongestName);
  made.errors = {words_.error(crash)};
  return made;
}

NewCase Unwritten::case_of(const PrintedTest& printed, const CrashReport& program) const {
  TestCase test;
  test.framework = program.test.framework;
  test.suite = printed.suite;
  test.name = printed.name;
  NewCase made;
  made.classname = words_.line(classname_of(test, program_of(program.raw)), kLongestName);
  made.name = words_.line(printed.name, kLongestName);
  made.seconds = printed.seconds;
  made.state = printed.state;
  made.words = words_.text(printed.words);
  if (made.words.empty() && printed.state == TestState::skipped) {
    made.words = "skipped";
  }
  if (made.words.empty() && printed.state == TestState::failed) {
    made.words = "failed, and had not printed why";
  }
  if (printed.state == TestState::unfinished) {
    made.state = TestState::skipped;
    made.words = "not known how it ended: the program died first";
  }
  return made;
}

// Of a test that is in the program's list and not in its output.
NewCase Unwritten::case_without_result(const CrashReport& crash, const Known& known,
                                       size_t index) const {
  TestCase test;
  test.framework = crash.test.framework;
  test.suite = known.listed[index].suite;
  test.name = known.listed[index].name;
  test.file = known.listed[index].file;
  NewCase made;
  made.classname = words_.line(classname_of(test, program_of(crash.raw)), kLongestName);
  made.name = words_.line(test.name, kLongestName);
  made.state = TestState::skipped;
  const bool place_known = known.first < known.last;
  if (!known.printed.tests.empty() || (place_known && index >= known.last)) {
    made.words = "never begun: " + died_in(crash);
  } else if (place_known && index < known.first) {
    made.words = "not known how it ended: " + died_in(crash) + " before it wrote any result";
  } else {
    made.words = "not known whether it ran: " + died_in(crash) + " before it wrote any result";
  }
  made.words = words_.line(made.words, kLongestName);
  return made;
}

// That of the crash, and around it those of the other tests of its program.
std::vector<NewCase> Unwritten::cases_of(const CrashReport& crash) {
  const Known known = known_of(crash);
  NewCase crashed = crashed_case(crash);
  TestName own{crash.test.suite, crash.test.name, ""};
  if (known.last == known.first + 1) {
    own = known.listed[known.first];  // the list may know its parameter
    TestCase exact = crash.test;
    exact.suite = own.suite;
    exact.name = own.name;
    crashed.classname = words_.line(classname_of(exact, program_of(crash.raw)), kLongestName);
    crashed.name = words_.line(own.name, kLongestName);
  }
  if (known.listed.empty() && known.printed.announced > known.printed.tests.size()) {
    crashed.errors.front().body +=
        fmt::format("\n{} of the {} tests of this program have never begun.\n",
                    known.printed.announced - known.printed.tests.size(), known.printed.announced);
  }
  std::vector<NewCase> cases;
  const auto is_listed = [&](const TestName& name) {
    return std::ranges::any_of(known.listed,
                               [&](const TestName& test) { return is_same(test, name); });
  };
  bool placed = false;
  for (const PrintedTest& test : known.printed.tests) {
    const bool is_it = is_same(name_of(test), own);
    if (!is_listed(name_of(test))) {
      cases.push_back(is_it ? crashed : case_of(test, crash));
      placed = placed || is_it;
    }
  }
  for (size_t i = 0; i < known.listed.size(); ++i) {
    const TestName& test = known.listed[i];
    const PrintedTest* printed = find_printed(known.printed, test);
    if (is_same(test, own)) {
      cases.push_back(crashed);
      placed = true;
    } else {
      cases.push_back(printed ? case_of(*printed, crash) : case_without_result(crash, known, i));
    }
  }
  if (!placed) {
    cases.push_back(crashed);
  }
  return cases;
}

std::vector<NewCase> Unwritten::missing_cases(const CrashReport& crash,
                                              const JunitDocument& document, bool crash_is_there) {
  std::vector<NewCase> cases = cases_of(crash);
  std::erase_if(cases, [&](const NewCase& made) {
    if (!made.errors.empty()) {
      return crash_is_there;
    }
    TestCase test;
    test.framework = crash.test.framework;
    test.suite = made.classname;
    test.name = made.name;
    return !matching_cases(document, test, false).empty();
  });
  return cases;
}

// --- ctest -----------------------------------------------------------------------------------------------------------

// The tests of the ctest above a crash, when they are as many as its log had announced.
std::vector<std::string> Unwritten::names_of_ctest(const CrashReport& crash,
                                                   size_t announced) const {
  const std::vector<std::string> folders = ctest_folders(crash.raw);
  for (const RunnerTests& tests : session_.runner_tests) {
    if (tests.names.size() == announced &&
        std::ranges::find(folders, tests.folder) != folders.end()) {
      return tests.names;
    }
  }
  return {};
}

std::vector<NewCase> Unwritten::never_begun_by_ctest(const Target& target,
                                                     const JunitDocument& document) {
  std::vector<NewCase> cases;
  const CrashReport& crash = session_.crashes[*target.crashes.begin()];
  const std::optional<std::string> log = ctest_log(crash);
  const PrintedResults printed = log ? read_ctest_log(*log) : PrintedResults();
  if (printed.tests.size() >= printed.announced) {
    return cases;
  }
  for (const std::string& bytes : names_of_ctest(crash, printed.announced)) {
    const std::string name = words_.line(bytes, kLongestName);
    if (std::ranges::find(document.cases, bytes, &JunitCase::name) == document.cases.end() &&
        std::ranges::find(printed.tests, bytes, &PrintedTest::name) == printed.tests.end()) {
      cases.push_back(
          {name, name, std::nullopt, TestState::skipped, "never begun: ctest had stopped", {}});
    }
  }
  return cases;
}

// The file of a ctest that was ended before it could write it: what its log has, the crashes of its tests, and the tests
// that it has never come to.
std::string Unwritten::file_of_ctest(const Target& target) const {
  NewSuite suite{"(empty)", {}};
  PrintedResults printed;
  const CrashReport& of_ctest = session_.crashes[*target.own.begin()];
  if (const auto log = ctest_log(of_ctest)) {
    printed = read_ctest_log(*log);
  }
  for (const PrintedTest& test : printed.tests) {
    NewCase made = case_of(test, of_ctest);
    made.classname = made.name;
    suite.cases.push_back(std::move(made));
  }
  for (const size_t index : target.crashes) {
    const CrashReport& crash = session_.crashes[index];
    if (crash.test.runner_name.empty()) {
      continue;
    }
    const std::string name = words_.line(crash.test.runner_name, kLongestName);
    auto place = std::ranges::find(suite.cases, name, &NewCase::name);
    if (place == suite.cases.end()) {
      place =
          suite.cases.insert(place, NewCase{name, name, std::nullopt, TestState::failed, "", {}});
    }
    place->errors.push_back(words_.error(crash));
  }
  const size_t begun = suite.cases.size();
  for (const std::string& bytes : names_of_ctest(of_ctest, printed.announced)) {
    const std::string name = words_.line(bytes, kLongestName);
    if (std::ranges::find(suite.cases, name, &NewCase::name) == suite.cases.end()) {
      suite.cases.push_back(
          {name, name, std::nullopt, TestState::skipped, "never begun: ctest was ended", {}});
    }
  }
  for (NewCase& made : suite.cases) {
    if (!made.errors.empty() && suite.cases.size() == begun && printed.announced > begun) {
      made.errors.front().body += fmt::format("\n{} of the {} tests of ctest have never begun.\n",
                                              printed.announced - begun, printed.announced);
      break;
    }
  }
  return new_junit({suite});
}

// pytest above the workers of xdist was in no test: of what hung below it with one, seen as its own. nullopt: nothing did,
// or it was in a test itself.
std::optional<CrashReport> Unwritten::controller_of(const Target& target, size_t own) const {
  const CrashReport& controller = session_.crashes[own];
  const auto in_test = [&](size_t index) {
    return session_.crashes[index].test.framework == "pytest";
  };
  const auto worker = std::ranges::find_if(target.crashes, in_test);
  if (target.writer != Writer::pytest || in_test(own) || worker == target.crashes.end()) {
    return std::nullopt;
  }
  CrashReport both = session_.crashes[*worker];
  both.raw.arguments = controller.raw.arguments;
  both.raw.executable = controller.raw.executable;
  both.raw.working_directory = controller.raw.working_directory;
  return both;
}

std::string Unwritten::file_of(const Target& target) {
  if (target.writer == Writer::ctest) {
    return file_of_ctest(target);
  }
  std::vector<NewSuite> suites;
  const auto suite_named = [&](const std::string& name) -> NewSuite& {
    const auto found = std::ranges::find(suites, name, &NewSuite::name);
    return found != suites.end() ? *found : suites.emplace_back(NewSuite{name, {}});
  };
  for (const size_t index : target.own) {
    const std::optional<CrashReport> controller = controller_of(target, index);
    const CrashReport& crash = controller ? *controller : session_.crashes[index];
    for (NewCase& made : cases_of(crash)) {
      const std::string name = target.writer == Writer::googletest ? made.classname
                               : target.writer == Writer::pytest
                                   ? "pytest"
                                   : words_.line(program_of(crash.raw), kLongestName);
      NewSuite& suite = suite_named(name);
      const auto other = std::ranges::find_if(suite.cases, [&](const NewCase& there) {
        return there.name == made.name && there.classname == made.classname;
      });
      if (other == suite.cases.end()) {
        suite.cases.push_back(std::move(made));
      } else if (!made.errors.empty() && other->errors.empty()) {
        *other = std::move(made);  // of a fork, or of another shard
      }
    }
  }
  return new_junit(suites);
}

}  // namespace crashcrawler
