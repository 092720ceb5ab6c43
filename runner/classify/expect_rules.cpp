#include "runner/classify/expect_rules.h"

#include <algorithm>
#include <csignal>
#include <functional>
#include <map>
#include <optional>
#include <sstream>

#include "runner/base/signal_names.h"
#include "runner/classify/normalise.h"

namespace crashcrawler {
namespace {

constexpr const char* kForm = "write it as key=pattern with the keys exe, test, signal and frame";

// The next word of a rule, quotes taken off; nullopt: a quote is open.
std::optional<std::string> next_word(std::string_view text, size_t& at) {
  std::string word;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ' ' || c == '\t')) {
      break;
    } else {
      word += c;
    }
  }
  return quoted ? std::nullopt : std::optional(word);
}

bool is_signal(const std::string& pattern) {
  for (int number = 1; number < NSIG; ++number) {
    if (matches_pattern(pattern, signal_name(number))) {
      return true;
    }
  }
  return false;
}

std::string* field_of(const std::string& key, ExpectRule& rule) {
  if (key == "exe") {
    return &rule.executable;
  }
  if (key == "test") {
    return &rule.test;
  }
  if (key == "signal") {
    return &rule.signal;
  }
  return key == "frame" ? &rule.frame : nullptr;
}

// "" or what is wrong with the word.
std::string take_word(const std::string& word, ExpectRule& rule) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) {
    return std::string("has no =; ") + kForm;
  }
  std::string* const field = field_of(word.substr(0, equals), rule);
  if (field == nullptr) {
    return std::string("has an unknown key; ") + kForm;
  }
  if (!field->empty()) {
    return "gives this key for the second time; use a rule for each";
  }
  *field = word.substr(equals + 1);
  if (field->empty()) {
    return "has no pattern behind the =";
  }
  if (field == &rule.signal && !is_signal(*field)) {
    return "names no signal; they are written as SIGABRT";
  }
  return "";
}

bool any_name_matches(const std::string& pattern, const TestCase& test) {
  const auto is_it = [&](const std::string& name) {
    return !name.empty() && matches_pattern(pattern, name);
  };
  return is_it(full_name(test)) || is_it(test.name) || is_it(test.runner_name) ||
         std::ranges::any_of(test.candidates, is_it, &TestCandidate::name);
}

bool any_frame_matches(const std::string& pattern, const Backtrace& backtrace) {
  const auto is_it = [&](const std::string& function) {
    return !function.empty() && (matches_pattern(pattern, function) ||
                                 matches_pattern(pattern, normalise_function(function)));
  };
  return !backtrace.threads.empty() &&
         std::ranges::any_of(backtrace.threads.front().frames, [&](const Frame& frame) {
           return is_it(frame.function) || is_it(frame.raw_function) ||
                  std::ranges::any_of(frame.inlines, is_it, &InlinedFunction::function);
         });
}

}  // namespace

Result<ExpectRule> parse_expect_rule(const std::string& text, const std::string& origin) {
  ExpectRule rule;
  rule.text = origin + text;
  bool empty = true;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ' || text[at] == '\t') {
      ++at;
      continue;
    }
    const size_t column = at + 1;
    const std::optional<std::string> word = next_word(text, at);
    const std::string wrong = word ? take_word(*word, rule) : "has a quote that does not end";
    if (!wrong.empty()) {
      return Error{origin + "'" + text.substr(column - 1, at - column + 1) + "' at character " +
                   std::to_string(column) + " " + wrong};
    }
    empty = false;
  }
  if (empty) {
    return Error{origin + std::string("the rule is empty; ") + kForm};
  }
  return rule;
}

Result<std::vector<ExpectRule>> parse_expect_file(const std::string& text,
                                                  const std::string& name) {
  std::vector<ExpectRule> rules;
  std::istringstream lines(text);
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) {
      line.pop_back();
    }
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') {
      continue;
    }
    Result<ExpectRule> rule = parse_expect_rule(line, name + ":" + std::to_string(number) + ": ");
    if (!rule) {
      return rule.error();
    }
    rules.push_back(std::move(*rule));
  }
  return rules;
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool matches(const ExpectRule& rule, const CrashReport& report) {
  const int number = report.raw.signal.number;
  return (rule.executable.empty() || matches_pattern(rule.executable, report.raw.executable)) &&
         (rule.signal.empty() ||
          (number != 0 && matches_pattern(rule.signal, signal_name(number)))) &&
         (rule.test.empty() || any_name_matches(rule.test, report.test)) &&
         (rule.frame.empty() || any_frame_matches(rule.frame, report.backtrace));
}

}  // namespace crashcrawler
