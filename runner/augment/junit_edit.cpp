#include "runner/augment/junit_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace crashcrawler {
namespace {

constexpr size_t kMostErrors = 10;  // of one case
constexpr size_t kMostAttachmentBytes = 65536;

std::string escaped(std::string_view text, bool attribute) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += attribute ? "&quot;" : "\"";
        break;
      case '\n':
        result += attribute ? "&#10;" : "\n";
        break;
      case '\t':
        result += attribute ? "&#9;" : "\t";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string first_line(const std::string& words) {
  return words.substr(0, words.find('\n'));
}

// Each on a line of its own that begins with `indent`; an empty indent means the file has no lines.
std::string error_elements(const std::vector<JunitError>& errors, const std::string& indent) {
  std::string text;
  for (size_t i = 0; i < std::min(errors.size(), kMostErrors); ++i) {
    const bool last = i + 1 == kMostErrors && errors.size() > kMostErrors;
    text += fmt::format(
        R"({}<error type="{}" message="{}">{}</error>)", indent, escaped(errors[i].type, true),
        escaped(errors[i].message, true),
        escaped(errors[i].body, false) +
            (last ? fmt::format("\n{} more crashes of this test\n", errors.size() - kMostErrors)
                  : ""));
  }
  return text;
}

std::string attachments_of(const std::vector<JunitError>& errors) {
  std::string text;
  for (const JunitError& error : errors) {
    if (text.size() + error.attachments.size() <= kMostAttachmentBytes) {
      text += error.attachments;
    }
  }
  return text;
}

std::string case_text(const NewCase& test, const std::string& indent) {
  const std::string inner = indent.empty() ? "" : indent + (indent.ends_with('\t') ? "\t" : "  ");
  std::string text = fmt::format(R"({}<testcase classname="{}" name="{}")", indent,
                                 escaped(test.classname, true), escaped(test.name, true));
  if (test.seconds) {
    text += fmt::format(R"( time="{:.3f}")", *test.seconds);
  }
  std::string children;
  if (!test.errors.empty()) {
    children = error_elements(test.errors, inner);
    const std::string attachments = attachments_of(test.errors);
    if (!attachments.empty()) {
      children += inner + "<system-out>" + escaped(attachments, false) + "</system-out>";
    }
  } else if (test.state == TestState::failed) {
    children = fmt::format(R"({}<failure message="{}" type="">{}</failure>)", inner,
                           escaped(first_line(test.words), true), escaped(test.words, false));
  } else if (test.state == TestState::skipped) {
    children =
        fmt::format(R"({}<skipped message="{}"/>)", inner, escaped(first_line(test.words), true));
  }
  return text + (children.empty() ? "/>" : ">" + children + indent + "</testcase>");
}

bool has(const JunitCase& test, std::string_view name) {
  return std::ranges::any_of(test.children,
                             [&](const Element& child) { return child.name == name; });
}

}  // namespace

std::string escaped_text(std::string_view text) {
  return escaped(text, false);
}

JunitEditor::JunitEditor(std::string_view bytes, const JunitDocument& document)
    : bytes_(bytes),
      document_(document),
      changes_(document.suites.size()),
      added_cases_(document.suites.size()) {}

// The line break and the white space before what stands at `at`; empty when it is not the first of its line.
std::string JunitEditor::indent_of(size_t at) const {
  size_t begin = at;
  while (begin > 0 && (bytes_[begin - 1] == ' ' || bytes_[begin - 1] == '\t')) {
    --begin;
  }
  if (begin == 0 || bytes_[begin - 1] != '\n') {
    return "";
  }
  const bool dos = begin > 1 && bytes_[begin - 2] == '\r';
  return (dos ? "\r\n" : "\n") + std::string(bytes_.substr(begin, at - begin));
}

void JunitEditor::put_attachments(const JunitCase& test, const std::string& attachments,
                                  std::string& inserted, const std::string& indent) {
  const auto output = std::ranges::find(test.children, "system-out", &Element::name);
  if (output == test.children.end()) {
    inserted += indent + "<system-out>" + escaped(attachments, false) + "</system-out>";
  } else if (output->closed) {
    edits_.push_back({output->all.begin, output->all.end - output->all.begin,
                      "<system-out>" + escaped(attachments, false) + "</system-out>"});
  } else if (output->begins_cdata && attachments.find("]]>") == attachments.npos) {
    // inside of the section: some readers take either it or the text around it
    edits_.push_back(
        {output->content.begin + std::string_view("<![CDATA[").size(), 0, attachments});
  } else {
    edits_.push_back({output->content.begin, 0, escaped(attachments, false)});
  }
}

void JunitEditor::put_errors(size_t case_index, const std::vector<JunitError>& errors) {
  const JunitCase& test = document_.cases[case_index];
  const auto is_replaced = [](const Element& child) {
    return child.name == "failure" && child.empty;
  };
  const auto replaced = std::ranges::find_if(test.children, is_replaced);
  const auto failures = std::ranges::count(test.children, "failure", &Element::name);

  Change change;
  change.errors = has(test, "error") ? 0 : 1;
  change.failures = failures == 1 && replaced != test.children.end() ? -1 : 0;
  add(test.suite, change);

  const std::string own = indent_of(test.element.all.begin);
  const std::string indent = own.empty() ? "" : own + (own.ends_with('\t') ? "\t" : "  ");
  const std::string attachments = attachments_of(errors);
  std::string outside;  // what does not stand in the place of something
  if (replaced != test.children.end()) {
    std::string text = error_elements(errors, indent_of(replaced->all.begin));
    text.erase(0, indent_of(replaced->all.begin).size());
    put_attachments(test, attachments, text, indent);
    edits_.push_back({replaced->all.begin, replaced->all.end - replaced->all.begin, text});
    return;
  }
  outside = error_elements(errors, indent);
  put_attachments(test, attachments, outside, indent);
  if (!test.element.closed) {
    edits_.push_back({test.element.content.begin, 0, outside});
    return;
  }
  const size_t slash = test.element.all.end - 2;
  const size_t space = bytes_[slash - 1] == ' ' ? 1 : 0;
  edits_.push_back({slash - space, 2 + space, ">" + outside + own + "</testcase>"});
}

JunitEditor::Change JunitEditor::change_by(const NewCase& added) {
  const bool crashed = !added.errors.empty();
  return {1, !crashed && added.state == TestState::failed ? 1 : 0, crashed ? 1 : 0,
          !crashed && added.state == TestState::skipped ? 1 : 0};
}

void JunitEditor::sum(Change& total, const Change& change) {
  total.tests += change.tests;
  total.failures += change.failures;
  total.errors += change.errors;
  total.skipped += change.skipped;
}

void JunitEditor::add(size_t suite, const Change& change) {
  sum(changes_[suite], change);
  sum(root_change_, change);
}

void JunitEditor::add_case(size_t suite, NewCase added) {
  add(suite, change_by(added));
  added_cases_[suite].push_back(std::move(added));
}

JunitEditor::Edit JunitEditor::cases_edit(size_t suite) const {
  const JunitSuite& place = document_.suites[suite];
  const auto sample = std::ranges::find(document_.cases, suite, &JunitCase::suite);
  const std::string own = indent_of(place.element.all.begin);
  const std::string indent = sample != document_.cases.end() ? indent_of(sample->element.all.begin)
                             : own.empty()                   ? ""
                                                             : own + "  ";
  std::string text;
  for (const NewCase& added : added_cases_[suite]) {
    text += case_text(added, indent);
  }
  if (place.element.closed) {
    return {place.element.all.end - 2, 2, ">" + text + own + "</testsuite>"};
  }
  return {place.cases_end != 0 ? place.cases_end : place.element.content.begin, 0, text};
}

namespace {

std::string suite_text(const NewSuite& suite, const std::string& indent) {
  size_t failures = 0, errors = 0, skipped = 0;
  double seconds = 0;
  std::string cases;
  for (const NewCase& test : suite.cases) {
    errors += test.errors.empty() ? 0 : 1;
    failures += test.errors.empty() && test.state == TestState::failed ? 1 : 0;
    skipped += test.errors.empty() && test.state == TestState::skipped ? 1 : 0;
    seconds += test.seconds.value_or(0);
    cases += case_text(test, indent.empty() ? "" : indent + "  ");
  }
  return fmt::format(
      R"({}<testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3f}">{}{}</testsuite>)",
      indent, escaped(suite.name, true), suite.cases.size(), failures, errors, skipped, seconds,
      cases, indent);
}

}  // namespace

void JunitEditor::add_suite(NewSuite added) {
  for (const NewCase& test : added.cases) {
    sum(root_change_, change_by(test));
  }
  added_suites_.push_back(std::move(added));
}

JunitEditor::Edit JunitEditor::suites_edit() const {
  const Element& root = document_.root;
  const bool none = document_.suites.empty();
  const std::string indent = none ? "\n  " : indent_of(document_.suites.back().element.all.begin);
  std::string text;
  for (const NewSuite& added : added_suites_) {
    text += suite_text(added, indent);
  }
  if (root.closed) {
    return {root.all.end - 2, 2, ">" + text + "\n</testsuites>"};
  }
  return {none ? root.content.begin : document_.suites.back().element.all.end, 0, text};
}

// Only where there are counters at all; one that is missing beside others is added when it would not be 0.
void JunitEditor::count(const Element& element, const Change& change,
                        std::vector<Edit>& edits) const {
  const std::vector<Attribute> attributes = attributes_of(bytes_, element);
  const auto find = [&](const char* name) {
    return std::ranges::find(attributes, name, &Attribute::name);
  };
  const auto tests = find("tests");
  const std::array<std::pair<const char*, int>, 4> counters = {{{"tests", change.tests},
                                                                {"failures", change.failures},
                                                                {"errors", change.errors},
                                                                {"skipped", change.skipped}}};
  for (const auto& [name, difference] : counters) {
    const auto found = find(name);
    if (difference == 0) {
      continue;
    }
    if (found == attributes.end()) {
      if (tests != attributes.end() && difference > 0) {
        // as the others stand: on a line of its own where `tests` does
        const size_t start = tests->span.begin - std::string_view("tests=\"").size();
        const std::string indent = indent_of(start);
        edits.push_back(
            {tests->span.end + 1, 0,
             fmt::format(R"({}{}="{}")", indent.empty() ? " " : indent, name, difference)});
      }
      continue;
    }
    int value = 0;
    const char* end = found->value.data() + found->value.size();
    const auto [rest, error] = std::from_chars(found->value.data(), end, value);
    if (error == std::errc() && rest == end) {
      edits.push_back({found->span.begin, found->value.size(),
                       std::to_string(std::max(0, value + difference))});
    }
  }
}

std::string JunitEditor::result() const {
  std::vector<Edit> edits = edits_;
  for (size_t i = 0; i < changes_.size(); ++i) {
    count(document_.suites[i].element, changes_[i], edits);
    if (!added_cases_[i].empty()) {
      edits.push_back(cases_edit(i));
    }
  }
  if (!added_suites_.empty()) {
    edits.push_back(suites_edit());
  }
  if (document_.has_root) {
    count(document_.root, root_change_, edits);
  }
  // what is inserted at a place stands before what takes the place of something there
  std::ranges::stable_sort(edits, {},
                           [](const Edit& edit) { return std::pair(edit.at, edit.remove != 0); });
  std::string result;
  size_t done = 0;
  for (const Edit& edit : edits) {
    result += bytes_.substr(done, edit.at - done);
    result += edit.insert;
    done = edit.at + edit.remove;
  }
  result += bytes_.substr(done);
  return result;
}

std::string new_junit(const std::vector<NewSuite>& suites) {
  size_t tests = 0, failures = 0, errors = 0, skipped = 0;
  std::string text;
  for (const NewSuite& suite : suites) {
    text += suite_text(suite, "\n  ");
    tests += suite.cases.size();
    for (const NewCase& test : suite.cases) {
      errors += test.errors.empty() ? 0 : 1;
      failures += test.errors.empty() && test.state == TestState::failed ? 1 : 0;
      skipped += test.errors.empty() && test.state == TestState::skipped ? 1 : 0;
    }
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      R"(<testsuites tests="{}" failures="{}" errors="{}" skipped="{}">{})"
      "\n</testsuites>\n",
      tests, failures, errors, skipped, text);
}

}  // namespace crashcrawler
