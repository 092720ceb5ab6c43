// junit.xml, for whatever CI server reads it.
#pragma once

#include <string>

#include "runner/model/session.h"

namespace crashcrawler {

// One test case for each distinct crash, one for crashes that were lost, one that passes when there
// is neither. `directory` is the output directory, for the attachment markers.
std::string junit_xml(const Session& session, const std::string& directory);

}  // namespace crashcrawler
