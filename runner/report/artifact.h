// What the report says of a file that belongs to a crash.
#pragma once

#include <string>
#include <string_view>

#include "runner/model/crash_report.h"

namespace crashcrawler {

// `path`: below the output directory.
Artifact artifact_of(const std::string& type, const std::string& path, std::string_view bytes);

}  // namespace crashcrawler
