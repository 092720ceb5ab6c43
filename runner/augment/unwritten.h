// What a program that died, or was ended, would have written into its JUnit file and did not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/augment/augment.h"
#include "runner/augment/junit_document.h"
#include "runner/augment/junit_edit.h"
#include "runner/augment/printed_results.h"
#include "runner/augment/targets.h"

namespace crashcrawler {

constexpr size_t kLongestName = 1000;  // characters of a test's name

class Unwritten {
 public:
  // All must outlive it. What could not be learned is put into `problems`, in words.
  Unwritten(const Session& session, const AugmentOptions& options, const AugmentWords& words,
            std::vector<std::string>& problems)
      : session_(session), options_(options), words_(words), problems_(problems) {}

  // The file of dead processes, whole. Target::own must not be empty.
  std::string file_of(const Target& target);

  // The case of a crash, and the other tests of its program that nobody has written: with the results that it had printed,
  // else skipped with the reason. Those that `document` has are left out, that of the crash with `crash_is_there`.
  std::vector<NewCase> missing_cases(const CrashReport& crash, const JunitDocument& document,
                                     bool crash_is_there);

  // The tests that ctest was to run and never began, of which `document`, its own file, has nothing.
  std::vector<NewCase> never_begun_by_ctest(const Target& target, const JunitDocument& document);

 private:
  struct Known {
    PrintedResults printed;
    std::vector<TestName> listed;
    size_t first = 0,
           last = 0;  // which of `listed` crashed: one of [first, last); empty: not known
  };

  NewCase crashed_case(const CrashReport& crash) const;
  NewCase case_of(const PrintedTest& printed, const CrashReport& program) const;
  NewCase case_without_result(const CrashReport& crash, const Known& known, size_t index) const;
  std::vector<NewCase> cases_of(const CrashReport& crash);
  Known known_of(const CrashReport& crash);
  std::optional<CrashReport> controller_of(const Target& target, size_t own) const;
  std::vector<TestName> listed_by(const CrashReport& crash);
  std::optional<std::string> ctest_log(const CrashReport& crash) const;
  std::vector<std::string> ctest_folders(const RawCrash& crash) const;
  PrintedResults printed_by(const CrashReport& crash) const;
  std::vector<std::string> names_of_ctest(const CrashReport& crash, size_t announced) const;
  std::string file_of_ctest(const Target& target) const;
  void problem(const std::string& words);

  const Session& session_;
  const AugmentOptions& options_;
  const AugmentWords& words_;
  std::vector<std::string>& problems_;
  size_t asked_ = 0;  // programs
};

}  // namespace crashcrawler
