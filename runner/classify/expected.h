// Deaths on purpose.
#pragma once

#include <string>
#include <vector>

#include "runner/model/crash_report.h"
#include "runner/model/expect_rule.h"
#include "runner/model/run.h"

namespace crashcrawler {

// Fills CrashReport::expected_reason of all that died on purpose, and a soft error of those that died in a death test and
// are no less a crash for it. Of all reports of a run, their tests known. Returns a sentence for each rule that matched none.
std::vector<std::string> mark_expected(std::vector<CrashReport>& reports,
                                       const std::vector<ExpectRule>& rules,
                                       const RunOutcome& outcome);

}  // namespace crashcrawler
