// The output directory of a run, read again. Whoever can write into it may have put anything there:
// what is in it is checked, and never leads to a file outside of it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/results/report_file.h"

namespace crashcrawler {

// What report.json says of one crash, as far as it is needed to find the rest. Texts are as the file has
// them: not fit for a terminal.
struct ListedCrash {
  std::string id;  // only [A-Za-z0-9._-], not beginning with a dot
  std::string cause;
  std::string executable, build_id;  // empty: not known
  std::string core;                  // what artifacts[] gives as its path; empty: there is none
  std::vector<std::string> soft_errors;
};

// The crashes of `directory`/report.json, in its order. Errors: there is no report, it is cut or too large, it is none of
// ours, or an id in it cannot be the name of a file.
Result<std::vector<ListedCrash>> list_crashes(const std::string& directory,
                                              size_t largest = size_t{1} << 30);

// The one that `word` names: by its number in the report, its id, or the beginning of one id alone. Error:
// which there are.
Result<ListedCrash> find_crash(const std::vector<ListedCrash>& crashes, const std::string& word);

// crashes/<id>.json, without the stacks. Errors: there is none, or it is no record of ours.
Result<Json> record_of(const std::string& directory, const ListedCrash& crash);

// The bytes of crashes/<id>.txt.
Result<std::string> text_of(const std::string& directory, const ListedCrash& crash);

// The path of crashes/<id>.core. Errors: there is none, and why; the report names a file elsewhere.
Result<std::string> core_of(const std::string& directory, const ListedCrash& crash);

}  // namespace crashcrawler
