// crashcrawler export: reports for CI systems.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

struct ExportOptions {
  std::string format;
  std::string output_file;  // empty: standard output
  std::vector<std::string> source_roots;
  std::vector<std::string> folders;
};

void declare_export(CLI::App& app, ExportOptions& options);

// Writes what was asked for, of all folders that have a report. Error: one has none, or the result cannot be written.
Result<void> run_export(const ExportOptions& options);

}  // namespace crashcrawler
