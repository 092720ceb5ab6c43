// Which deaths are none of ours to tell, and in which attempt each happened.
#pragma once

#include "runner/capture/crash_source.h"
#include "runner/model/session.h"

namespace crashcrawler {

// The outcome that tells of the time in which `death` happened: that of its attempt, if there are several.
RunOutcome outcome_around(const RawCrash& death, const Session& session);

// Takes out the deaths that are no crashes whatever their stacks say. After a time-out: what was looked at alive is not
// told again by its death, what could not be looked at is a hang as it was when we killed it, and whoever has a hanging
// child comes after it.
// Of attempts each has a time-out of its own.
void drop_deaths_on_purpose(Captured& captured, const Session& session);

// Of a command that is run many times: moves the crashes that were one too many at their place to the session's repetition.
void take_out_further(Captured& captured, Session& session);

// And fills which attempt each crash belongs to: by the cgroup it died in, and where it had left that or had none, by its
// ancestors. Unknown where neither says it.
void find_attempts(Captured& captured, Session& session);

}  // namespace crashcrawler
