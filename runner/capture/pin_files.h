// What must be looked at the moment a death is known, because it may be gone a moment later.
#pragma once

#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Opens every file of which `crash` had executed code mapped, unless `files` has it already. A file
// that is another one now, or cannot be opened, is kept with the reason.
void pin_files(const RawCrash& crash, PinnedFiles& files);

// Command lines of the ancestors that still live, up to `wrapper`; it and what is above it do not belong to the run
// and are left out (their command lines may hold what is nobody's business). A process whose chain does not lead to
// the wrapper was adopted by somebody outside: of such ancestors only the names are kept.
void read_ancestors(RawCrash& crash, pid_t wrapper);

}  // namespace crashcrawler
