// The part of the pipeline that keeps what it takes to run a crash again.
#pragma once

#include "runner/model/inherited.h"
#include "runner/model/session.h"

namespace crashcrawler {

// What a command that we start now would get from us. `keep_core` is no part of it: RLIMIT_CORE is not among the limits.
Inherited inherited_now();

// Fills CrashReport::alone of the crashes whose test the command can be told to run alone: as run_only() does it.
void find_tests_alone(Session& session);

}  // namespace crashcrawler
