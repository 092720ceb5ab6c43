// The forms in which CI systems take crashes. Whatever a crashed program could choose is data in them: it starts no
// command of a log, no element of a page.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner/export/exported_run.h"

namespace crashcrawler {

struct Export {
  std::vector<ExportedRun> runs;
  std::vector<ExportedGroup> groups;  // point into `runs`
  ExportedCounts counts;

  explicit Export(std::vector<ExportedRun> all)
      : runs(std::move(all)), groups(distinct_crashes(runs)), counts(count_crashes(runs, groups)) {}
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;
};

// "crash-count=3" and so on: lines for $GITHUB_OUTPUT, or for a shell.
std::string export_counts(const Export& all);

// Workflow commands of GitHub Actions: at most ten errors, of which the last one says how many more there are, and one
// warning. Before them all crashes for a person who reads the log, in a group, between ::stop-commands::`token` and its
// end; nobody may be able to guess the token.
// Limits: https://docs.github.com/en/rest/checks/runs and the runner's ExecutionContext.cs.
std::string export_github_annotations(const Export& all, const std::string& token);

// Markdown with HTML in it, for $GITHUB_STEP_SUMMARY and Buildkite's annotations: a table, then the stacks as far as
// `most` bytes reach. GitHub takes no summary of more than 1 MiB.
std::string export_markdown(const Export& all, size_t most = size_t{900} << 10);

// SARIF 2.1.0 (OASIS). GitHub shows results with a location alone, so every one has one.
std::string export_sarif(const Export& all, const std::string& version);

// https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
std::string export_gitlab_codequality(const Export& all);

}  // namespace crashcrawler
