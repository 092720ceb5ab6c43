// File names as debug information and memory maps give them.
#pragma once

#include <string>

namespace crashcrawler {

// `file` seen from `directory`, with "." , ".." and doubled slashes resolved by the text alone: the
// sources may be on another machine, so no link can be followed.
std::string absolute_source_path(const std::string& directory, const std::string& file);

// True when `path` is `directory` or lies below it; both absolute and normal. False when
// `directory` is empty.
bool lies_below(const std::string& path, const std::string& directory);

}  // namespace crashcrawler
