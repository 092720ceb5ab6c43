// The part of the pipeline that runs a command many times.
#pragma once

#include "runner/base/result.h"
#include "runner/pipeline_collector.h"
#include "runner/pipeline_prepare.h"

namespace crashcrawler {

// From the first start of run.session.command to the exit status, as of run_pipeline(), for run.options.repeats. The collector is
// given the process that starts the attempts.
Result<int> run_many_times(Run& run, Collector& collector);

}  // namespace crashcrawler
