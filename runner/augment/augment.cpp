// The report that a person opens first is the test runner's own, and it is where a crash shows least: ctest writes an
// empty <failure>, GoogleTest, Catch2 and pytest write nothing at all, because they write at the end. So the runner's
// file is mended: the crash is put into its case, and what the dead program did not write is written for it.
//
// Whose file is it? What --augment-junit names may hold any crash of the run; what a command line names belongs to that
// process, and only the process's own file is made when it is missing. A test program is never started again to ask
// for its tests: that would run its static initialisers and its main() with nobody watching.
//
// A file of somebody else is changed only when everything about it is understood (junit_document.h), by edits at byte
// offsets (junit_edit.h), and only when the result is read back as well-formed. All else is left, and said.
#include "runner/augment/augment.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "runner/augment/junit_document.h"
#include "runner/augment/junit_edit.h"
#include "runner/augment/matching_case.h"
#include "runner/augment/printed_results.h"
#include "runner/augment/replace_file.h"
#include "runner/augment/report_files.h"
#include "runner/base/file.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 10'000;  // that globs may name
constexpr size_t kMostProblems = 20;   // that are told one by one
constexpr size_t kMostParents = 32;  // folders above a test's in which ctest's files are looked for
constexpr size_t kLargestLog = size_t{64} << 20;
constexpr size_t kLongestName = 1000, kLongestPath = 500;  // characters

// A JUnit file and what may have to go into it.
struct Target {
  bool named = false;            // by the user
  std::optional<Writer> writer;  // by a command line
  std::set<size_t> crashes;      // indices into Session::crashes
  std::set<size_t> own;          // those of processes that would have written it
};

std::string absolute(const std::string& path, const std::string& directory) {
  return (fs::path(directory) / path).lexically_normal();
}

std::string program_of(const RawCrash& crash) {
  const std::string name = fs::path(crash.executable).filename();
  return name.empty() ? crash.name : name;
}

const char* framework_of(Writer writer) {
  switch (writer) {
    case Writer::googletest:
      return "googletest";
    case Writer::catch2:
      return "catch2";
    case Writer::doctest:
      return "doctest";
    case Writer::boost_test:
      return "boost.test";
    case Writer::pytest:
      return "pytest";
    case Writer::ctest:
      break;
  }
  return "ctest";
}

class Augmenter {
 public:
  Augmenter(const Session& session, const AugmentOptions& options, const AugmentWords& words)
      : session_(session), options_(options), words_(words) {}

  std::vector<std::string> run() {
    for (size_t i = 0; i < session_.crashes.size(); ++i) {
      if (session_.crashes[i].expected_reason.empty()) {
        real_.insert(i);
      }
    }
    if (real_.empty()) {
      return {};
    }
    for (const size_t crash : real_) {
      find_files_of(crash);
    }
    find_named_files();
    for (const auto& [path, target] : targets_) {
      if (const Result<void> done = augment(path, target); !done) {
        problem(path, done.error().message);
      }
    }
    tell_homeless();
    return std::move(problems_);
  }

 private:
  void problem(const std::string& path, const std::string& what) {
    if (++problem_count_ <= kMostProblems) {
      problems_.push_back("JUnit file " + words_.line(path, kLongestPath) +
                          " was left as it is: it " + words_.line(what, kLongestPath));
    } else if (problem_count_ == kMostProblems + 1) {
      problems_.push_back("more JUnit files were left as they are");
    }
  }

  // --- which files ---------------------------------------------------------------------------------------------------

  Target& target(const std::string& path) { return targets_[path]; }

  // Where ctest may have been started that has started this: nobody says.
  std::vector<std::string> folders_around(const RawCrash& crash) const {
    std::vector<std::string> folders{session_.command.working_directory};
    fs::path here = crash.working_directory;
    for (size_t i = 0; i < kMostParents && here.has_relative_path();
         ++i, here = here.parent_path()) {
      folders.push_back(here);
    }
    return folders;
  }

  bool is_wanted(const std::string& path) const {
    return options_.by_itself || std::ranges::any_of(options_.globs, [&](const std::string& glob) {
             const std::string whole = absolute(glob, session_.command.working_directory);
             return ::fnmatch(whole.c_str(), path.c_str(), FNM_PATHNAME) == 0;
           });
  }

  void add_file(const std::string& path, Writer writer, size_t crash, bool own) {
    if (!is_wanted(path)) {
      return;
    }
    Target& file = target(path);
    file.writer = file.writer && !own ? file.writer : writer;
    file.crashes.insert(crash);
    if (own) {
      file.own.insert(crash);
    }
  }

  void find_files_of(size_t index) {
    const CrashReport& crash = session_.crashes[index];
    for (const ReportFile& file : report_files(crash.raw.arguments, crash.raw.environment)) {
      // Variables are inherited by programs that know nothing of them, so the test's framework decides.
      const bool own =
          file.writer == Writer::ctest || crash.test.framework == framework_of(file.writer);
      const bool is_known = !crash.test.framework.empty() && crash.test.framework != "ctest";
      if (!own && is_known) {
        continue;  // options of the same name mean another thing elsewhere
      }
      const std::string path = file.writer == Writer::ctest
                                   ? place_of(file, crash.raw)
                                   : absolute(file.path, crash.raw.working_directory);
      add_file(file.in_folder ? first_free(path, program_of(crash.raw)) : path, file.writer, index,
               own);
    }
    std::vector<const std::vector<std::string>*> command_lines{&session_.command.arguments};
    for (const Ancestor& ancestor : crash.raw.ancestors) {
      command_lines.push_back(&ancestor.arguments);
    }
    for (const auto* arguments : command_lines) {
      for (const ReportFile& file : report_files(*arguments, {})) {
        if (!file.in_folder) {
          add_file(place_of(file, crash.raw), file.writer, index, false);
        }
      }
    }
  }

  // GoogleTest takes the first name that is free: program.xml, program_1.xml, ... (FilePath::GenerateUniqueFileName).
  static std::string first_free(const std::string& folder, const std::string& program) {
    std::string path = absolute(program + ".xml", folder);
    std::error_code ignored;
    for (int i = 1; i < 1000 && fs::exists(path, ignored); ++i) {
      path = absolute(fmt::format("{}_{}.xml", program, i), folder);
    }
    return path;
  }

  // The file of a process above the crashed one. Its folder is not known: the first one around the crash in which
  // there is such a file.
  std::string place_of(const ReportFile& file, const RawCrash& crash) const {
    std::string first = session_.command.working_directory;
    std::error_code ignored;
    for (const std::string& folder : folders_around(crash)) {
      std::string path = absolute(file.path, absolute(file.directory, folder));
      if (fs::exists(fs::symlink_status(path, ignored))) {
        return path;
      }
      // there is none yet: below the folder that ctest works in
      if (file.writer == Writer::ctest && file.directory.empty() &&
          !fs::is_directory(first + "/Testing/Temporary", ignored) &&
          fs::is_directory(folder + "/Testing/Temporary", ignored)) {
        first = folder;
      }
    }
    return absolute(file.path, absolute(file.directory, first));
  }

  void find_named_files() {
    for (const std::string& pattern : options_.globs) {
      const std::string whole = absolute(pattern, session_.command.working_directory);
      glob_t found{};
      const int status = ::glob(whole.c_str(), GLOB_NOSORT, nullptr, &found);
      const size_t count = status == 0 ? found.gl_pathc : 0;
      for (size_t i = 0; i < std::min(count, kMostFiles); ++i) {
        const std::string path = absolute(found.gl_pathv[i], "/");
        if (path.ends_with(kOriginalSuffix)) {
          continue;
        }
        Target& file = target(path);
        file.named = true;
        file.crashes.insert(real_.begin(), real_.end());
      }
      ::globfree(&found);
      if (count > kMostFiles) {
        problems_.push_back(fmt::format("--augment-junit {} names {} files; only {} were looked at",
                                        words_.line(pattern, kLongestPath), count, kMostFiles));
      }
      const bool expected = std::ranges::any_of(targets_, [&](const auto& entry) {
        return ::fnmatch(whole.c_str(), entry.first.c_str(), FNM_PATHNAME) == 0;
      });
      if (!expected) {
        problems_.push_back("--augment-junit " + words_.line(pattern, kLongestPath) +
                            " names no file");
      }
    }
  }

  // --- one file ------------------------------------------------------------------------------------------------------

  Result<void> augment(const std::string& path, const Target& file) {
    Result<std::optional<OriginalFile>> read = read_original(path);
    if (!read) {
      return read.error();
    }
    if (!*read) {
      if (file.own.empty()) {
        return {};  // who would write it lives, or is ctest, which says that itself
      }
      const Result<void> created = create_file(path, written_for_the_dead(file));
      if (created) {
        tell_at_home(file);
      }
      return created;
    }
    const OriginalFile& original = **read;
    if (!is_newer(original.status, session_.outcome.started)) {
      return file.own.empty() ? Result<void>()
                              : Error{
                                    "is older than this run, in which its program died before it "
                                    "could write it"};
    }
    if (original.bytes.empty()) {
      if (file.own.empty()) {
        return Error{"is empty, and no crash of the run is known to be its program's"};
      }
      const Result<void> done = replace_file(path, original, written_for_the_dead(file));
      if (done) {
        tell_at_home(file);
      }
      return done;
    }
    return edit(path, file, original);
  }

  Result<void> edit(const std::string& path, const Target& file, const OriginalFile& original) {
    const Result<JunitDocument> document = read_junit(original.bytes);
    if (!document) {
      return document.error();
    }
    const bool of_ctest = file.writer == Writer::ctest;
    std::map<size_t, std::vector<size_t>> crashes_of_case;
    std::vector<size_t> without_case;
    for (const size_t index : file.crashes) {
      const TestCase& test = session_.crashes[index].test;
      const std::vector<size_t> cases = matching_cases(*document, test, of_ctest);
      if (cases.size() > 1) {
        return Error{fmt::format("has {} cases of the name {}", cases.size(),
                                 document->cases[cases.front()].name)};
      }
      if (!cases.empty()) {
        crashes_of_case[cases.front()].push_back(index);
      } else if (file.own.contains(index)) {
        without_case.push_back(index);
      }
    }

    JunitEditor editor(original.bytes, *document);
    std::set<size_t> placed(without_case.begin(), without_case.end());
    bool changed = !without_case.empty();
    for (const auto& [test, crashes] : crashes_of_case) {
      placed.insert(crashes.begin(), crashes.end());
      const std::vector<JunitError> errors =
          new_errors(original.bytes, document->cases[test], crashes);
      if (!errors.empty()) {
        editor.put_errors(test, errors);
        changed = true;
      }
    }
    for (const size_t index : without_case) {
      add_missing_case(editor, *document, session_.crashes[index]);
    }
    if (changed) {
      const std::string result = editor.result();
      if (const Result<JunitDocument> check = read_junit(result); !check) {
        return Error{"would be broken by the crash: it " + check.error().message};
      }
      if (Result<void> done = replace_file(path, original, result); !done) {
        return done;
      }
    }
    at_home_.insert(placed.begin(), placed.end());
    return {};
  }

  // The same crash of a test once, and none that a run inside of this one has put there already.
  std::vector<JunitError> new_errors(const std::string& bytes, const JunitCase& test,
                                     const std::vector<size_t>& crashes) const {
    std::set<std::string> seen;
    std::vector<JunitError> errors;
    for (const size_t index : crashes) {
      const CrashReport& crash = session_.crashes[index];
      const std::string& hash = crash.signature.hash;
      if (!hash.empty() && !seen.insert(hash).second) {
        continue;
      }
      JunitError error = words_.error(crash);
      const bool there = std::ranges::any_of(test.children, [&](const Element& child) {
        return child.name == "error" && std::string_view(bytes)
                                            .substr(child.content.begin)
                                            .starts_with(escaped_text(error.message));
      });
      if (!there) {
        errors.push_back(std::move(error));
      }
    }
    return errors;
  }

  void add_missing_case(JunitEditor& editor, const JunitDocument& document,
                        const CrashReport& crash) const {
    NewCase added = case_of(crash);
    const std::string suite = crash.test.framework == "googletest" ? added.classname : "";
    const auto found = std::ranges::find(document.suites, suite, &JunitSuite::name);
    if (found != document.suites.end()) {
      editor.add_case(static_cast<size_t>(found - document.suites.begin()), std::move(added));
    } else if (document.has_root && (!suite.empty() || document.suites.empty())) {
      NewSuite made{suite.empty() ? program_of(crash.raw) : suite, {}};
      made.cases.push_back(std::move(added));
      editor.add_suite(std::move(made));
    } else {
      editor.add_case(document.suites.size() - 1, std::move(added));
    }
  }

  void tell_at_home(const Target& file) {
    const std::set<size_t>& written = file.writer == Writer::ctest ? file.crashes : file.own;
    at_home_.insert(written.begin(), written.end());
  }

  // --- what was never written ----------------------------------------------------------------------------------------

  NewCase case_of(const CrashReport& crash) const {
    NewCase made;
    const std::string program = program_of(crash.raw);
    made.classname = words_.line(classname_of(crash.test, program), kLongestName);
    made.name =
        crash.test.name.empty() ? "unknown test" : words_.line(crash.test.name, kLongestName);
    made.errors = {words_.error(crash)};
    return made;
  }

  // The log of this run's ctest; nullopt: there is none.
  std::optional<std::string> ctest_log(const CrashReport& crash) const {
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

  // What ctest had seen of the output of the crashed program.
  std::optional<std::string> printed_by(const CrashReport& crash) const {
    if (crash.test.runner != "ctest" || crash.test.runner_name.empty()) {
      return std::nullopt;
    }
    const std::optional<std::string> log = ctest_log(crash);
    return log ? output_in_ctest_log(*log, crash.test.runner_name) : std::nullopt;
  }

  // The file of a ctest that was ended before it could write it: what its log has, and the crashes of its tests.
  std::string written_for_ctest(const Target& file) const {
    NewSuite suite{"(empty)", {}};
    PrintedResults printed;
    if (const auto log = ctest_log(session_.crashes[*file.own.begin()])) {
      printed = read_ctest_log(*log);
    }
    for (const PrintedTest& test : printed.tests) {
      NewCase made = case_of(test);
      made.classname = made.name;
      suite.cases.push_back(std::move(made));
    }
    for (const size_t index : file.crashes) {
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
    for (NewCase& made : suite.cases) {
      if (!made.errors.empty() && printed.announced > suite.cases.size()) {
        made.errors.front().body +=
            fmt::format("\n{} of the {} tests of ctest have never begun.\n",
                        printed.announced - suite.cases.size(), printed.announced);
        break;
      }
    }
    return new_junit({suite});
  }

  std::vector<std::string> ctest_folders(const RawCrash& crash) const {
    std::vector<std::string> folders = folders_around(crash);
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

  NewCase case_of(const PrintedTest& printed) const {
    NewCase made;
    made.classname = words_.line(printed.suite, kLongestName);
    made.name = words_.line(printed.name, kLongestName);
    made.seconds = printed.seconds;
    made.state = printed.state;
    made.words = words_.text(printed.words);
    if (printed.state == TestState::skipped && made.words.empty()) {
      made.words = "skipped";
    }
    if (printed.state == TestState::unfinished) {
      made.state = TestState::skipped;
      made.words = "not known: the program died before this test had ended";
    }
    return made;
  }

  // The file that the dead process would have written, as far as it is known.
  std::string written_for_the_dead(const Target& file) const {
    if (file.writer == Writer::ctest) {
      return written_for_ctest(file);
    }
    std::vector<NewSuite> suites;
    const auto suite_named = [&](const std::string& name) -> NewSuite& {
      const auto found = std::ranges::find(suites, name, &NewSuite::name);
      return found != suites.end() ? *found : suites.emplace_back(NewSuite{name, {}});
    };
    for (const size_t index : file.own) {
      const CrashReport& crash = session_.crashes[index];
      NewCase crashed = case_of(crash);
      const bool has_suites = file.writer == Writer::googletest;
      PrintedResults printed;
      if (has_suites) {
        if (const std::optional<std::string> output = printed_by(crash)) {
          printed = read_googletest_output(*output);
        }
      }
      bool placed = false;
      for (const PrintedTest& test : printed.tests) {
        NewCase made = case_of(test);
        const bool is_it = made.name == crashed.name && made.classname == crashed.classname;
        NewSuite& suite = suite_named(made.classname);
        if (std::ranges::any_of(suite.cases,
                                [&](const NewCase& other) { return other.name == made.name; })) {
          placed = placed || is_it;
          continue;  // of another shard, or of a fork
        }
        if (is_it) {
          tell_never_run(crashed, printed);
          made = crashed;
          placed = true;
        }
        suite.cases.push_back(std::move(made));
      }
      if (!placed) {
        const std::string name = has_suites                      ? crashed.classname
                                 : file.writer == Writer::pytest ? "pytest"
                                                                 : program_of(crash.raw);
        suite_named(words_.line(name, kLongestName)).cases.push_back(std::move(crashed));
      }
    }
    return new_junit(suites);
  }

  static void tell_never_run(NewCase& crashed, const PrintedResults& printed) {
    if (printed.announced > printed.tests.size()) {
      crashed.errors.front().body +=
          fmt::format("\n{} of the {} tests of this program have never begun.\n",
                      printed.announced - printed.tests.size(), printed.announced);
    }
  }

  // --- what found no place -------------------------------------------------------------------------------------------

  void tell_homeless() {
    std::vector<std::string> homeless;
    for (const size_t index : real_) {
      const CrashReport& crash = session_.crashes[index];
      const bool known = !crash.test.name.empty() || !crash.test.runner_name.empty();
      const bool wanted = std::ranges::any_of(
          targets_, [&](const auto& entry) { return entry.second.crashes.contains(index); });
      if (known && wanted && !at_home_.contains(index)) {
        homeless.push_back(crash.id);
      }
    }
    if (!homeless.empty()) {
      problems_.push_back(fmt::format("{} of the crashes ({}{}) stand in no JUnit file but our own",
                                      homeless.size(), homeless.front(),
                                      homeless.size() > 1 ? ", ..." : ""));
    }
  }

  const Session& session_;
  const AugmentOptions& options_;
  const AugmentWords& words_;
  std::set<size_t> real_;  // crashes that are no deaths on purpose
  std::map<std::string, Target> targets_;
  std::set<size_t> at_home_;  // crashes that stand in a file now
  std::vector<std::string> problems_;
  size_t problem_count_ = 0;
};

}  // namespace

std::vector<std::string> augment_junit(const Session& session, const AugmentOptions& options,
                                       const AugmentWords& words) {
  return Augmenter(session, options, words).run();
}

}  // namespace crashcrawler
