// What must be looked at the moment a death is known, because it may be gone a moment later.
#pragma once

#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Opens every file of which `crash` had executed code mapped, unless `files` has it already. A file
// that is another one now, or cannot be opened, is kept with the reason.
void pin_files(const RawCrash& crash, PinnedFiles& files);

}  // namespace crashcrawler
