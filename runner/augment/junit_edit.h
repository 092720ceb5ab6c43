// Changes to a JUnit file of somebody else, made at offsets, with the counters of its suites kept right.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/augment/junit_document.h"
#include "runner/augment/printed_results.h"
#include "runner/model/junit_error.h"

namespace crashcrawler {

// A case that its framework did not write. Texts are printable, not escaped.
struct NewCase {
  std::string classname, name;
  std::optional<double> seconds;
  TestState state = TestState::passed;
  std::string words;               // failed: what was printed; skipped: why
  std::vector<JunitError> errors;  // crashed: what of
};

struct NewSuite {
  std::string name;
  std::vector<NewCase> cases;
};

class JunitEditor {
 public:
  // Both must outlive the editor; `document` is what read_junit() has found in `bytes`.
  JunitEditor(std::string_view bytes, const JunitDocument& document);

  // The crashes of a case, all at once: they take the place of a failure without words, else they stand before what
  // is there.
  void put_errors(size_t case_index, const std::vector<JunitError>& errors);

  // Behind the last case of a suite.
  void add_case(size_t suite, NewCase added);

  // Behind the last suite. Needs a <testsuites>.
  void add_suite(NewSuite added);

  std::string result() const;

 private:
  struct Edit {
    size_t at = 0, remove = 0;
    std::string insert;
  };
  struct Change {
    int tests = 0, failures = 0, errors = 0, skipped = 0;
  };

  std::string indent_of(size_t at) const;
  void put_attachments(const JunitCase& test, const std::string& attachments, std::string& inserted,
                       const std::string& indent);
  void count(const Element& element, const Change& change, std::vector<Edit>& edits) const;
  Edit cases_edit(size_t suite) const;
  Edit suites_edit() const;
  static Change change_by(const NewCase& added);
  static void sum(Change& total, const Change& change);
  void add(size_t suite, const Change& change);

  std::string_view bytes_;
  const JunitDocument& document_;
  std::vector<Edit> edits_;
  std::vector<Change> changes_;  // of each suite
  Change root_change_;
  std::vector<std::vector<NewCase>> added_cases_;  // of each suite
  std::vector<NewSuite> added_suites_;
};

// As the text of an element.
std::string escaped_text(std::string_view text);

// A whole file, where there was none.
std::string new_junit(const std::vector<NewSuite>& suites);

}  // namespace crashcrawler
