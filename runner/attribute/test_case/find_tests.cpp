// Everything that says which test it was is written down, in order of trust (Rank), because any one of them may be wrong:
// an environment is inherited by whatever a test starts, a test of ctest may be a whole suite, a stack may be that of a
// helper, several tests may have the same command. The first that names a test of a framework is the test; of two that
// mean the same test the one that also names its parameter is taken. What the test's runner calls it is kept apart.
//
// The output is known only where ctest has logged it. There the last test that has begun and not ended is believed when
// the process is of the test that ctest logged, because others write into the same log.
#include "runner/attribute/test_case/find_tests.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "runner/attribute/test_case/ctest.h"
#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {

const std::string* variable(const std::vector<EnvironmentVariable>& environment,
                            std::string_view name) {
  for (const EnvironmentVariable& one : environment) {
    if (one.name == name && !one.value.empty()) {
      return &one.value;
    }
  }
  return nullptr;
}

std::string without_anonymous(std::string_view name) {
  constexpr std::string_view kAnonymous = "(anonymous namespace)::";
  std::string plain;
  for (size_t at = name.find(kAnonymous); at != std::string_view::npos;
       at = name.find(kAnonymous)) {
    plain += name.substr(0, at);
    name.remove_prefix(at + kAnonymous.size());
  }
  return plain.append(name);
}

namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFolders = 8, kMostCandidates = 32;

const std::array<const Framework*, 10> kFrameworks = {
    &kNamedByUser, &kNextest, &kPytest,  &kBazel,    &kGoogleTest,
    &kBoostTest,   &kCatch2,  &kDoctest, &kRustTest, &kGoTest};

StackFunctions functions_of(const ThreadBacktrace& thread) {
  StackFunctions functions;
  for (const Frame& frame : thread.frames) {
    for (const InlinedFunction& inlined : frame.inlines) {
      functions.push_back({inlined.function, &inlined.location});
    }
    functions.push_back({frame.function, &frame.location});
  }
  return functions;
}

void add_from_environment(const CrashReport& crash, std::vector<Clue>& clues) {
  for (const Framework* framework : kFrameworks) {
    if (framework->from_environment != nullptr) {
      if (std::optional<Clue> clue = framework->from_environment(crash.raw.environment)) {
        clues.push_back(std::move(*clue));
      }
    }
  }
}

// Of the process, else of the nearest one above it that says something.
void add_from_arguments(const CrashReport& crash, std::vector<Clue>& clues) {
  for (const Framework* framework : kFrameworks) {
    if (framework->from_arguments == nullptr) {
      continue;
    }
    std::optional<Clue> clue = framework->from_arguments(crash.raw.arguments);
    for (size_t i = 0; !clue && i < crash.raw.ancestors.size(); ++i) {
      const Ancestor& ancestor = crash.raw.ancestors[i];
      clue = framework->from_arguments(ancestor.arguments);
      if (clue) {
        clue->candidate.source += " of " + ancestor.name;
      }
    }
    if (clue) {
      clues.push_back(std::move(*clue));
    }
  }
}

// The crashing thread is the first one; a test may wait in another for the thread that crashed.
void add_from_stacks(const CrashReport& crash, SourceTexts& sources, std::vector<Clue>& clues) {
  for (const ThreadBacktrace& thread : crash.backtrace.threads) {
    const StackFunctions functions = functions_of(thread);
    for (const Framework* framework : kFrameworks) {
      if (framework->from_stack == nullptr) {
        continue;
      }
      if (std::optional<Clue> clue = framework->from_stack(functions, sources)) {
        if (!thread.crashed) {
          clue->candidate.source = "frame of another thread";
        }
        clues.push_back(std::move(*clue));
      }
    }
  }
}

void add_executable(const CrashReport& crash, std::vector<Clue>& clues) {
  const std::string& path = crash.raw.executable.empty() ? crash.raw.name : crash.raw.executable;
  if (!path.empty()) {
    Clue& clue = clues.emplace_back();
    clue.rank = Rank::executable;
    clue.candidate = {path.substr(path.rfind('/') + 1), "executable"};
  }
}

// "Inst/Suite.Name/2" and "Suite.Name" mean the same test of GoogleTest, the first one more exactly.
std::string without_parameter(const std::string& suite, const std::string& name) {
  std::string plain_suite = suite;
  const size_t last = plain_suite.rfind('/');
  if (last != std::string::npos && last + 1 < plain_suite.size() &&
      plain_suite.find_first_not_of("0123456789", last + 1) == std::string::npos) {
    plain_suite.resize(last);
  }
  return plain_suite.substr(plain_suite.rfind('/') + 1) + "." + name.substr(0, name.find('/'));
}

bool is_same_test(const TestCase& test, const Clue& clue) {
  return test.framework == clue.framework &&
         without_parameter(test.suite, test.name) == without_parameter(clue.suite, clue.name);
}

void refine(TestCase& test, const Clue& clue) {
  const auto length = [](const std::string& suite, const std::string& name) {
    return suite.size() + name.size();
  };
  if (length(clue.suite, clue.name) > length(test.suite, test.name)) {
    test.suite = clue.suite;
    test.name = clue.name;
  }
  if (test.file.empty()) {
    test.file = clue.file;
    test.line = clue.line;
  }
}

TestCase settled(std::vector<Clue> clues) {
  std::ranges::stable_sort(clues, {}, &Clue::rank);
  TestCase test;
  for (const Clue& clue : clues) {
    if (test.candidates.size() < kMostCandidates) {
      test.candidates.push_back(clue.candidate);
    }
    if (!clue.name.empty() && test.name.empty()) {
      test.framework = clue.framework;
      test.suite = clue.suite;
      test.name = clue.name;
      test.file = clue.file;
      test.line = clue.line;
    } else if (!clue.name.empty() && is_same_test(test, clue)) {
      refine(test, clue);
    }
    if (!clue.runner.empty() && test.runner.empty()) {
      test.runner = clue.runner;
      test.runner_name = clue.runner_name;
    }
  }
  if (test.name.empty() && !test.runner.empty()) {
    test.framework = test.runner;
    test.name = test.runner_name;
  }
  return test;
}

std::vector<Clue> clues_of(const CrashReport& crash, SourceTexts& sources) {
  std::vector<Clue> clues;
  add_from_environment(crash, clues);
  add_from_arguments(crash, clues);
  add_from_stacks(crash, sources, clues);
  add_executable(crash, clues);
  return clues;
}

// The command line of the ctest that `crash` is below of; null: of none.
const std::vector<std::string>* ctest_above(const RawCrash& crash) {
  const std::vector<std::string>* nearest = nullptr;
  for (const Ancestor& ancestor : crash.ancestors) {
    if (nearest == nullptr && is_ctest(ancestor.arguments)) {
      nearest = &ancestor.arguments;
    }
  }
  return nearest;
}

// The value of --test-dir; empty: not given.
std::string test_dir(const std::vector<std::string>& arguments) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--test-dir" && i + 1 < arguments.size()) {
      return arguments[i + 1];
    }
    if (arguments[i].starts_with("--test-dir=")) {
      return arguments[i].substr(11);
    }
  }
  return "";
}

bool has_tests(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "CTestTestfile.cmake", ignored);
}

// Where that ctest had its tests. It may have changed its folder before it began, which is not known of processes that
// did not die: then it is the outermost folder with tests around the one that the dead process stood in.
std::string build_folder(const std::vector<std::string>& ctest, const RawCrash& crash,
                         const Command& command) {
  const std::string given = test_dir(ctest);
  const fs::path folder = (fs::path(command.working_directory) / given).lexically_normal();
  if (has_tests(folder)) {
    return folder;
  }
  fs::path found;
  for (fs::path here = crash.working_directory; here.has_relative_path();
       here = here.parent_path()) {
    if (has_tests(here)) {
      found = here;
    }
  }
  return found;
}

class Ctests {
 public:
  Ctests(const Session& session, bool may_ask) : session_(session), may_ask_(may_ask) {}

  void add(const CrashReport& crash, std::vector<Clue>& clues, TestCase& test) {
    const std::vector<std::string>* ctest = ctest_above(crash.raw);
    if (ctest == nullptr) {
      return;
    }
    const std::vector<std::string>& whole =
        is_ctest(session_.command.arguments) ? session_.command.arguments : *ctest;
    const std::vector<const CtestTest*> found = tests_of(crash.raw, tests_in(whole, crash.raw));
    for (const CtestTest* one : found) {
      Clue& clue = clues.emplace_back();
      clue.rank = Rank::runner;
      clue.candidate = {
          one->name, found.size() == 1
                         ? "ctest"
                         : "ctest, one of " + std::to_string(found.size()) + " with this command"};
    }
    if (found.size() != 1) {
      return;
    }
    Clue& clue = clues.back();
    clue.runner = "ctest";
    clue.runner_name = found.front()->name;
    test.runner_result = found.front()->result;
    test.failure_wanted = found.front()->will_fail;
    test.file = found.front()->file;
    test.line = found.front()->line;
    add_output(*found.front(), clues);
  }

  std::vector<std::string> problems;
  std::vector<RunnerTests> answers;  // of each folder that was asked

 private:
  void add_output(const CtestTest& test, std::vector<Clue>& clues) {
    const size_t dot = test.last_run.find('.');
    if (dot == std::string::npos) {
      return;
    }
    Clue& clue = clues.emplace_back();
    clue.rank = Rank::output;
    clue.candidate = {test.last_run, "output [ RUN ]"};
    clue.framework = "googletest";
    clue.suite = test.last_run.substr(0, dot);
    clue.name = test.last_run.substr(dot + 1);
  }

  const std::vector<CtestTest>& tests_in(const std::vector<std::string>& ctest,
                                         const RawCrash& crash) {
    static const std::vector<CtestTest> kNone;
    const std::string folder = build_folder(ctest, crash, session_.command);
    if (const auto known = by_folder_.find(folder); known != by_folder_.end()) {
      return known->second;
    }
    if (!may_ask_ || folder.empty() || by_folder_.size() >= kMostFolders) {
      say(!may_ask_
              ? "a replay starts no program, so ctest was not asked for the names of its tests"
              : "the build folder of ctest was not found, so its tests have no names here");
      return kNone;
    }
    std::vector<CtestTest>& tests = by_folder_[folder];
    Result<std::vector<CtestTest>> answer = ask_ctest(ctest, folder, session_.outcome.started);
    if (answer) {
      tests = std::move(*answer);
      RunnerTests& all = answers.emplace_back(
          RunnerTests{"ctest", fs::path(folder + "/").parent_path().lexically_normal(), {}});
      for (const CtestTest& test : tests) {
        all.names.push_back(test.name);
      }
    } else {
      say("the names of ctest's tests are not known: " + answer.error().message);
    }
    return tests;
  }

  void say(const std::string& problem) {
    if (std::ranges::find(problems, problem) == problems.end()) {
      problems.push_back(problem);
    }
  }

  const Session& session_;
  bool may_ask_;
  std::map<std::string, std::vector<CtestTest>> by_folder_;
};

}  // namespace

TestCase find_test(const CrashReport& crash) {
  SourceTexts sources;
  return settled(clues_of(crash, sources));
}

std::vector<std::string> find_tests(Session& session, bool may_ask) {
  SourceTexts sources;
  Ctests ctests(session, may_ask);
  for (CrashReport& crash : session.crashes) {
    std::vector<Clue> clues = clues_of(crash, sources);
    TestCase of_runner;
    ctests.add(crash, clues, of_runner);
    crash.test = settled(std::move(clues));
    crash.test.runner_result = of_runner.runner_result;
    crash.test.failure_wanted = of_runner.failure_wanted;
    if (crash.test.file.empty()) {
      crash.test.file = of_runner.file;
      crash.test.line = of_runner.line;
    }
  }
  session.runner_tests = std::move(ctests.answers);
  return ctests.problems;
}

}  // namespace crashcrawler
