// What other programs are told of a run: the part of report.json that they can show. Everything here is text of a
// program that crashed, made printable and short; what it means to the reader (Markdown, a command of GitHub) is up to him
// who writes it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

struct ExportedFrame {
  std::string function;  // or where in which module, when the name is not known
  std::string file;  // inside of the sources: from their root; else as the debug information has it
  int line = 0;      // 0: not known
  bool in_sources = false;
};

struct ExportedCrash {
  std::string id;
  std::string event;      // "SIGSEGV", "AddressSanitizer", "hang"
  std::string cause;      // one sentence
  std::string program;    // the name of its file
  std::string test;       // "Suite.Name"; empty: not known
  std::string test_file;  // from the root of the sources; empty: not known or elsewhere
  int test_line = 0;
  std::string signature;  // the same for the same crash; empty: there is none
  std::string expected_reason;
  bool expected = false;
  std::vector<ExportedFrame>
      frames;                // of the thread that crashed, top first, inlined functions too
  size_t elided_frames = 0;  // not in `frames`
};

// Of one signature, as counted by a run of many attempts, which keeps not every crash.
struct AttemptShare {
  size_t crashes = 0, attempts = 0;
};

struct ExportedRun {
  std::string folder;   // as it was named
  std::string problem;  // why it has no report; all else is empty then
  std::string command, ending;
  std::vector<std::string> warnings;           // what is not complete
  size_t attempts = 0, passed_attempts = 0;    // 0: the command was run once
  std::map<std::string, AttemptShare> shares;  // by signature
  std::vector<ExportedCrash> crashes;
};

// The same crash, in one run or in several.
struct ExportedGroup {
  const ExportedCrash* crash = nullptr;  // the first
  std::vector<const ExportedRun*> runs;  // in which it is
  size_t times = 0;
};

// The report of `folder`. `source_roots`: absolute paths; a file below one of them is of the sources. Never fails: see
// ExportedRun::problem.
ExportedRun read_run(const std::string& folder, const std::vector<std::string>& source_roots,
                     size_t largest = size_t{1} << 30);

// Crashes that were not on purpose, the same one once, in the order of the runs.
std::vector<ExportedGroup> distinct_crashes(const std::vector<ExportedRun>& runs);

struct ExportedCounts {
  size_t crashes = 0, unique = 0, expected = 0;  // the first two: not on purpose
  size_t no_report = 0;                          // folders
};
ExportedCounts count_crashes(const std::vector<ExportedRun>& runs,
                             const std::vector<ExportedGroup>& groups);

// "3 crashes (2 distinct)", "no crashes"
std::string counts_in_words(const ExportedCounts& counts);

// "SIGSEGV in parser_test, in test Suite.Name"
std::string title_of(const ExportedCrash& crash);

// "#2 Parser::expect at src/parser.cpp:112"
std::string frame_in_words(const ExportedFrame& frame, size_t number);

// The first frame that lies in the sources; null: none does.
const ExportedFrame* place_of(const ExportedCrash& crash);

// "3 times, in 2 of 20 attempts of out/1, in out/2"; "" when once in the only run.
std::string occurrence_in_words(const ExportedGroup& group, size_t runs);

}  // namespace crashcrawler
