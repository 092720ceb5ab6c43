// Which JUnit files of others the crashes of a run belong into.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runner/augment/augment.h"
#include "runner/augment/report_files.h"

namespace crashcrawler {

constexpr size_t kLongestPath = 500;  // characters of a path in a sentence

// What may have to go into a JUnit file.
struct Target {
  bool named = false;            // by the user
  std::optional<Writer> writer;  // by a command line
  std::set<size_t> crashes;      // indices into Session::crashes
  std::set<size_t> own;          // those of processes that would have written it
};

using Targets = std::map<std::string, Target>;  // by absolute path

// Of the crashes `real`, indices into Session::crashes. What a glob names in vain is put into `problems`.
Targets find_targets(const Session& session, const std::set<size_t>& real,
                     const AugmentOptions& options, const AugmentWords& words,
                     std::vector<std::string>& problems);

// The folders in which a ctest may have been started that has started this process, likeliest first.
std::vector<std::string> folders_around(const Session& session, const RawCrash& crash);

// A path as a process in `directory` means it.
std::string absolute(const std::string& path, const std::string& directory);

// The name of the file that the process ran.
std::string program_of(const RawCrash& crash);

}  // namespace crashcrawler
