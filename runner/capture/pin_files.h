// What must be looked at the moment a death is known, because it may be gone a moment later.
#pragma once

#include <cstdint>
#include <set>

#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Opens every file of which `crash` had executed code mapped, unless `files` has it already, and the root directory in
// which it has its name; notes the time of its last change in the mappings. A file that is another one now, has other
// bytes than those that were mapped, or cannot be opened, is kept with the reason. Of what lies on another mount than
// `mounts_before` a copy is kept in memory, as far as there is room: an open file would keep the run from unmounting it.
// `roots`: root directories of other mount namespaces, by inode number, that somebody has opened for us.
void pin_files(RawCrash& crash, PinnedFiles& files, const std::set<uint64_t>& mounts_before,
               const std::map<uint32_t, UniqueFd>& roots = {});

// The mounts of this process's namespace, by their ids.
std::set<uint64_t> mounts_now();

// To be called before the bytes of `files` are looked at: those that were written to since they were opened are closed
// and marked as changed.
void let_go_of_changed_files(PinnedFiles& files);

}  // namespace crashcrawler
