// The package that a file says it belongs to: .note.package
// (https://systemd.io/PACKAGE_METADATA_FOR_EXECUTABLE_FILES).
#pragma once

#include <optional>
#include <string>

#include "runner/base/result.h"
#include "runner/model/module.h"

namespace crashcrawler {

// `json` comes from the file as it is. Error: it is not what the specification asks for.
Result<Package> parse_package_note(const std::string& json);

}  // namespace crashcrawler
