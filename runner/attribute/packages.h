// Stage 4: which package and which version each mapped file is.
#pragma once

#include <string>
#include <vector>

#include "runner/model/crash_report.h"
#include "runner/model/pinned_files.h"

namespace crashcrawler {

// Fills Module::package and Module::versions of every module of `crashes`: by what the file itself says (.note.package),
// else by the package databases in the root that its process had (dpkg, rpm, apk, pacman), else by what lies around it.
// Every database is read once, and every file looked up once, whatever the number of crashes; none is read when no
// module could be in it. Returned: what could not be read, in words. No database at all is no problem.
std::vector<std::string> attribute_modules(std::vector<CrashReport>& crashes,
                                           const PinnedFiles& files);

}  // namespace crashcrawler
