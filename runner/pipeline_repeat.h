// The part of the pipeline that runs a command many times.
#pragma once

#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/main/options.h"
#include "runner/model/expect_rule.h"
#include "runner/pipeline_steps.h"

namespace crashcrawler {

// From the command's start to the exit status, for options.repeats. `session`: what is known before. The collector is given
// the process that starts the attempts.
Result<int> repeat_pipeline(const RunOptions& options, Session session,
                            const std::string& executable, const std::vector<ExpectRule>& rules,
                            const Circumstances& circumstances, Collector& collector);

// Everything after capture: from here on a recorded run is like any other. `session`: what is known
// of the run without its crashes. (pipeline.cpp)
Result<int> report_on(Session session, Captured captured, const std::vector<ExpectRule>& rules,
                      const RunOptions& options);

}  // namespace crashcrawler
