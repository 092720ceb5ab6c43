// Which crashes get a core file, and where it goes.
#pragma once

#include <cstdint>
#include <string>

#include "runner/model/pinned_files.h"
#include "runner/model/session.h"

namespace crashcrawler {

// Writes crashes/<id>.core below `directory`, readable for its owner only, for as many crashes as
// fit into `limit` bytes: of the same crash the newest few, the newest of all first. Fills
// CrashReport::artifacts, or says in its soft_errors why there is none. `limit` 0: none are wanted,
// nothing is said. The crashes still have their stack bytes.
void write_cores(Session& session, const PinnedFiles& files, uint64_t limit,
                 const std::string& directory);

}  // namespace crashcrawler
