// The whole tool: one run of a command, from its start to the files on disk.
#pragma once

#include <vector>

#include "runner/base/result.h"
#include "runner/capture/crash_source.h"
#include "runner/main/options.h"
#include "runner/model/expect_rule.h"
#include "runner/model/session.h"

namespace crashcrawler {

// Runs options.command and writes its reports. Returns the exit status of crashcrawler-run; Error:
// the harness could not do its job (Error::exit_status says which status that is). Writes to stderr
// only: the summary, and with --verbose what it does. block_supervised_signals() has been called
// before.
Result<int> run_pipeline(RunOptions options);

// The same reports and exit status from the recording options.replay_file; nothing is run and no
// privilege is needed.
Result<int> replay_pipeline(const RunOptions& options);

// Everything after capture: from here on a recorded run is like any other. `session`: what is known of the run without its
// crashes.
Result<int> report_on(Session session, Captured captured, const std::vector<ExpectRule>& rules,
                      const RunOptions& options);

}  // namespace crashcrawler
