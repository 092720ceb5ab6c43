// Stage 7: a session becomes files and a summary.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/model/session.h"
#include "runner/report/junit.h"

namespace crashcrawler {

// Creates the directory when it is missing and proves that a file can be made in it; to be called
// before the command starts. Removes what an earlier run left there of our own files (report.json,
// junit.xml, crashes/*).
Result<void> prepare_output_directory(const std::string& directory);

// Writes report.json, junit.xml, crashes/<id>.json and crashes/<id>.txt below `directory`.
Result<void> write_reports(const Session& session, const std::string& directory,
                           JunitProfile profile = JunitProfile::full);

// What a person reads at the end of the run, on stderr: at most 25 lines, each with its newline.
// Empty when there is nothing to say (no crash, healthy collector, no leftovers, no time-out).
// `directory` empty: no reports could be written.
std::string summary(const Session& session, const std::string& directory, int exit_status);

}  // namespace crashcrawler
