// Paths as dpkg may have recorded them -> owning packages -> their versions.
#pragma once

#include "runner/attribute/owners.h"
#include "runner/attribute/root_files.h"

namespace crashcrawler {

// Which packages `paths` belong to, by var/lib/dpkg: status and info/*.list, diversions, or, in
// images without them, status.d. A root without it owns nothing. Every file is read at most once.
// What could not be read is told in `problems`.
PackageByPath find_in_dpkg(RootFiles& root, const std::vector<std::string>& paths,
                           std::vector<std::string>& problems);

}  // namespace crashcrawler
