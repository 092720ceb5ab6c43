// Alpine's list of installed packages, one text file (apk-installed(5) of apk-tools).
#pragma once

#include "runner/attribute/owners.h"
#include "runner/attribute/root_files.h"

namespace crashcrawler {

// Which packages `paths` belong to, by lib/apk/db/installed (below usr/ where that is merged). A root
// without it owns nothing. What could not be read is told in `problems`.
PackageByPath find_in_apk(RootFiles& root, const std::vector<std::string>& paths,
                          std::vector<std::string>& problems);

}  // namespace crashcrawler
