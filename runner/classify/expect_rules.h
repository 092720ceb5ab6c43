// Rules of --expect: what they look like, and what they match.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/crash_report.h"
#include "runner/model/expect_rule.h"

namespace crashcrawler {

// `exe=*/victim test="score is saved" signal=SIGABRT frame=*check_failed*`: words key=pattern, each key once, values with
// blanks in double quotes. `origin` is put before the rule's text. Error: what is wrong with it, and in which word.
Result<ExpectRule> parse_expect_rule(const std::string& text, const std::string& origin);

// A rule per line; empty lines and those that begin with # are none. `name` of the file, for errors.
Result<std::vector<ExpectRule>> parse_expect_file(const std::string& text, const std::string& name);

// * is any text, ? any character; nothing else is special, because names of functions have brackets in them.
bool matches_pattern(std::string_view pattern, std::string_view text);

// Whether everything that the rule asks for is so. report.test must be known by now.
bool matches(const ExpectRule& rule, const CrashReport& report);

}  // namespace crashcrawler
