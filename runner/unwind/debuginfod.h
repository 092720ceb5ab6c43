// Debug files from the servers of DEBUGINFOD_URLS (debuginfod(8)).
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace crashcrawler {

struct FetchedFiles {
  std::map<std::string, std::string> paths;  // in the user's cache of debuginfod, by build-id
  std::vector<std::string> problems;         // in words; that a server has no such file is none
};

// Asks for the debug file of each build-id, in a child that is killed when a file takes longer than `per_file`; then, and
// when `in_all` would not be enough for another one, no more are asked for. libdebuginfod.so.1 is loaded at run time.
FetchedFiles fetch_debug_files(const std::vector<std::string>& build_ids,
                               std::chrono::seconds per_file, std::chrono::seconds in_all);

}  // namespace crashcrawler
