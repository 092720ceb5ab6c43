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

// Removes those again, because the reports have no room: what can be read matters more. Says so in each crash. False: there
// was none.
bool give_up_cores(Session& session, const std::string& directory);

}  // namespace crashcrawler
