// The report that a person opens first is the test runner's own, and it is where a crash shows least: ctest writes an
// empty <failure>, GoogleTest, Catch2 and pytest write nothing at all, because they write at the end. So the runner's
// file is mended: the crash is put into its case, and what the dead program did not write is written for it.
//
// Whose file is it? What --augment-junit names may hold any crash of the run; what a command line names belongs to that
// process, and only the process's own file is made when it is missing (targets.h, unwritten.h).
//
// A file of somebody else is changed only when everything about it is understood (junit_document.h), by edits at byte
// offsets (junit_edit.h), and only when the result is read back as well-formed. All else is left, and said.
#include "runner/augment/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "runner/augment/junit_document.h"
#include "runner/augment/junit_edit.h"
#include "runner/augment/matching_case.h"
#include "runner/augment/replace_file.h"
#include "runner/augment/targets.h"
#include "runner/augment/unwritten.h"

namespace crashcrawler {
namespace {

constexpr size_t kMostProblems = 20;  // that are told one by one

class Augmenter {
 public:
  Augmenter(const Session& session, const AugmentOptions& options, const AugmentWords& words)
      : session_(session),
        options_(options),
        words_(words),
        unwritten_(session, options, words, problems_) {}

  std::vector<std::string> run() {
    for (size_t i = 0; i < session_.crashes.size(); ++i) {
      if (session_.crashes[i].expected_reason.empty()) {
        real_.insert(i);
      }
    }
    if (real_.empty()) {
      return {};
    }
    targets_ = find_targets(session_, real_, options_, words_, problems_);
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

  Result<void> augment(const std::string& path, const Target& file) {
    Result<std::optional<OriginalFile>> read = read_original(path);
    if (!read) {
      return read.error();
    }
    if (!*read) {
      if (file.own.empty()) {
        return {};  // who would write it lives, or is ctest, which says that itself
      }
      const Result<void> created = create_file(path, unwritten_.file_of(file));
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
      const Result<void> done = replace_file(path, original, unwritten_.file_of(file));
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
    bool changed = false;
    for (const auto& [test, crashes] : crashes_of_case) {
      placed.insert(crashes.begin(), crashes.end());
      const std::vector<JunitError> errors =
          new_errors(original.bytes, document->cases[test], crashes);
      if (!errors.empty()) {
        editor.put_errors(test, errors);
        changed = true;
      }
    }
    const std::vector<NewSuite> missing = missing_cases(file, *document, without_case);
    add_missing_cases(editor, *document, missing);
    changed = changed || !missing.empty();
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

  // By the suite that they belong into; without a name: the file's last one.
  std::vector<NewSuite> missing_cases(const Target& file, const JunitDocument& document,
                                      const std::vector<size_t>& without_case) {
    std::vector<NewSuite> missing;
    const auto add = [&](NewCase made, const std::string& name) {
      auto suite = std::ranges::find(missing, name, &NewSuite::name);
      if (suite == missing.end()) {
        suite = missing.insert(suite, NewSuite{name, {}});
      }
      suite->cases.push_back(std::move(made));
    };
    for (const size_t index : file.own) {
      const CrashReport& crash = session_.crashes[index];
      const bool is_there = std::ranges::find(without_case, index) == without_case.end();
      const bool has_suites = crash.test.framework == "googletest";
      if (is_there && (file.writer == Writer::googletest || file.writer == Writer::pytest)) {
        continue;  // written at the end, so the program has come there: a child of it died
      }
      const std::string one = document.suites.empty() ? program_of(crash.raw) : "";
      if (file.writer != Writer::ctest) {
        for (NewCase& made : unwritten_.missing_cases(crash, document, is_there)) {
          const std::string name = has_suites ? made.classname : one;
          add(std::move(made), name);
        }
      }
    }
    if (file.writer == Writer::ctest && !document.suites.empty()) {
      for (NewCase& made : unwritten_.never_begun_by_ctest(file, document)) {
        add(std::move(made), "");
      }
    }
    return missing;
  }

  static void add_missing_cases(JunitEditor& editor, const JunitDocument& document,
                                const std::vector<NewSuite>& missing) {
    for (const NewSuite& suite : missing) {
      const auto found = std::ranges::find(document.suites, suite.name, &JunitSuite::name);
      if (found == document.suites.end() && document.has_root && !suite.name.empty()) {
        editor.add_suite(suite);
        continue;
      }
      const size_t place = found == document.suites.end()
                               ? document.suites.size() - 1
                               : static_cast<size_t>(found - document.suites.begin());
      for (const NewCase& made : suite.cases) {
        editor.add_case(place, made);
      }
    }
  }

  void tell_at_home(const Target& file) {
    const std::set<size_t>& written =
        file.writer == Writer::ctest || file.writer == Writer::pytest ? file.crashes : file.own;
    at_home_.insert(written.begin(), written.end());
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
  Targets targets_;
  std::set<size_t> at_home_;  // crashes that stand in a file now
  std::vector<std::string> problems_;
  size_t problem_count_ = 0;
  Unwritten unwritten_;
};

}  // namespace

std::vector<std::string> augment_junit(const Session& session, const AugmentOptions& options,
                                       const AugmentWords& words) {
  return Augmenter(session, options, words).run();
}

}  // namespace crashcrawler
