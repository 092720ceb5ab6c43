// The local database of pacman: a folder for each package, with the text files desc and files in it (libalpm,
// lib/libalpm/be_local.c).
#pragma once

#include "runner/attribute/owners.h"
#include "runner/attribute/root_files.h"

namespace crashcrawler {

// Which packages `paths` belong to, by var/lib/pacman/local. A root without it owns nothing. What could not be read is
// told in `problems`.
PackageByPath find_in_pacman(RootFiles& root, const std::vector<std::string>& paths,
                             std::vector<std::string>& problems);

}  // namespace crashcrawler
