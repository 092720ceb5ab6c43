// junit.xml, for whatever CI server reads it.
#pragma once

#include <string>

#include "runner/model/junit_error.h"
#include "runner/model/session.h"

namespace crashcrawler {

// full: with file and line of each case. strict: nothing that the schema junit-10 does not know.
enum class JunitProfile { full, strict };

// One test case for each distinct crash, one for crashes that were lost, one that passes when there
// is neither, and a skipped one for processes that outlived the command. Deaths on purpose are none.
// `directory` is the output directory, for the attachment markers.
std::string junit_xml(const Session& session, const std::string& directory,
                      JunitProfile profile = JunitProfile::full);

// The same words for one crash, to be put into the files of others.
JunitError junit_error(const CrashReport& crash, const Session& session,
                       const std::string& directory);

}  // namespace crashcrawler
