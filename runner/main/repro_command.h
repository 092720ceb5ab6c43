// crashcrawler repro: runs the command of a report again and says whether the same crash has come back.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace crashcrawler {

struct ReproOptions {
  std::string id;
  std::string output_directory = "crashcrawler-out";  // with the report
  std::string new_output;             // for the new ones; empty: repro/<id> of the other
  std::optional<int> repeat;          // so many attempts, to the last
  std::optional<std::string> docker;  // in a container; of this image, if it is not empty
  bool force = false;                 // also when the program is not the one that crashed
};

void declare_repro(CLI::App& app, ReproOptions& options);

// Returns the exit status: 0 it came back, 1 it did not, 2 it could not be tried; says which on stdout, and why not on stderr.
int run_repro(const ReproOptions& options);

}  // namespace crashcrawler
