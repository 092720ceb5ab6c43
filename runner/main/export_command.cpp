#include "runner/main/export_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <system_error>

#include "runner/base/file.h"
#include "runner/export/formats.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

std::string unguessable() {
  std::random_device random;  // getrandom(2), or the processor's own
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

using Writer = std::function<std::string(const Export&)>;

const std::map<std::string, Writer>& writers() {
  static const std::map<std::string, Writer> kWriters = {
      {"counts", export_counts},
      {"github-annotations",
       [](const Export& all) { return export_github_annotations(all, unguessable()); }},
      {"gitlab-codequality", export_gitlab_codequality},
      {"markdown", [](const Export& all) { return export_markdown(all); }},
      {"sarif", [](const Export& all) { return export_sarif(all, CRASHCRAWLER_VERSION); }}};
  return kWriters;
}

Result<std::vector<std::string>> absolute_roots(const std::vector<std::string>& given) {
  std::vector<std::string> roots;
  for (const std::string& root : given.empty() ? std::vector<std::string>{"."} : given) {
    std::error_code failed;
    const fs::path path = fs::absolute(root, failed);
    if (failed) {
      return Error{"the source root " + root + ": " + failed.message()};
    }
    roots.push_back((path / "").lexically_normal().string());
  }
  return roots;
}

Result<void> write_out(const std::string& text, const std::string& file) {
  if (!file.empty()) {
    return write_file_atomically(file, text);
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return errno_error("cannot write to standard output");
  }
  return {};
}

}  // namespace

void declare_export(CLI::App& app, ExportOptions& options) {
  std::string formats;
  for (const auto& [name, writer] : writers()) {
    formats += (formats.empty() ? "" : "|") + name;
  }
  CLI::App* command =
      app.add_subcommand("export", "Write the crashes of one or more reports in another format");
  command
      ->add_option(
          "--format", options.format,
          "Which one: numbers for a shell, commands for the log of GitHub Actions, GitLab's code "
          "quality report, a summary, SARIF 2.1.0")
      ->type_name(formats)
      ->required()
      ->check([](const std::string& word) {
        return writers().contains(word) ? std::string() : "'" + word + "' is no format";
      });
  command->add_option("--output", options.output_file, "Write to FILE, not to standard output")
      ->type_name("FILE");
  command
      ->add_option(
          "--source-root", options.source_roots,
          "Where the sources were when they were compiled, to name files from there; may be "
          "given more than once (default: the current folder)")
      ->type_name("DIR")
      ->allow_extra_args(false);
  command
      ->add_option("DIR", options.folders,
                   "Folders of --output-dir of crashcrawler-run (default: crashcrawler-out)")
      ->type_name("");
  command->footer("Exit status: 1 when one of the folders has no report; see crashcrawler --help");
}

Result<void> run_export(const ExportOptions& options) {
  const Result<std::vector<std::string>> roots = absolute_roots(options.source_roots);
  if (!roots) {
    return roots.error();
  }
  std::vector<ExportedRun> runs;
  for (const std::string& folder :
       options.folders.empty() ? std::vector<std::string>{"crashcrawler-out"} : options.folders) {
    runs.push_back(read_run(folder, *roots));
  }
  const Export all(std::move(runs));
  if (Result<void> written = write_out(writers().at(options.format)(all), options.output_file);
      !written) {
    return written;
  }
  std::string problems;
  for (const ExportedRun& run : all.runs) {
    problems += (problems.empty() || run.problem.empty() ? "" : "\n  ") + run.problem;
  }
  return problems.empty() ? Result<void>() : Error{problems};
}

}  // namespace crashcrawler
