// The database of rpm, asked through rpm itself: its formats (sqlite, ndb, Berkeley DB) are its own.
#pragma once

#include "runner/attribute/owners.h"
#include "runner/attribute/root_files.h"

namespace crashcrawler {

// Which packages `paths` belong to, by the rpm database of the root. A root without one owns nothing. That there is one
// and rpm(8) is not installed here, or does not take it, is told in `problems`.
//
// rpm gets a copy: `rpm --root` needs a privilege that we do not have, and even a query may write to the database.
PackageByPath find_in_rpm(RootFiles& root, const std::vector<std::string>& paths,
                          std::vector<std::string>& problems);

}  // namespace crashcrawler
