// Stage 4, packages: which package and version brought a file.
#pragma once

#include <vector>

#include "runner/base/result.h"
#include "runner/model/module.h"

namespace crashcrawler {

// Fills Module::package of every module that a package owns, from the dpkg database below `root`
// ("/" for this machine). Paths are matched as dpkg recorded them, including /lib against /usr/lib
// on merged-/usr systems. A machine without dpkg is not an error: nothing is filled. An unreadable
// or malformed database is.
Result<void> find_packages(std::vector<std::vector<Module>*> modules_of_crashes,
                           const std::string& root);

}  // namespace crashcrawler
