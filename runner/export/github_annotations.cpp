#include <fmt/format.h>

#include "runner/export/formats.h"
#include "runner/report/text.h"

namespace crashcrawler {
namespace {

constexpr size_t kMostErrors = 9;         // of the ten that a step may have
constexpr size_t kLongestMessage = 4000;  // bytes, before escaping; GitHub cuts at 4096 characters
constexpr size_t kLongestTitle = 200;     // characters; GitHub's limit is 255
constexpr size_t kFramesOfAnnotation = 20;
constexpr size_t kListed = 100;  // crashes in the log

// The runner takes these back: toolkit, packages/core/src/command.ts, escapeData() and escapeProperty().
std::string escaped(std::string_view text, bool is_property) {
  std::string result;
  for (const char letter : text) {
    const bool special = letter == '%' || letter == '\r' || letter == '\n' ||
                         (is_property && (letter == ':' || letter == ','));
    result += special ? fmt::format("%{:02X}", static_cast<unsigned char>(letter))
                      : std::string(1, letter);
  }
  return result;
}

std::string stack_text(const ExportedCrash& crash, size_t most) {
  std::string text;
  for (size_t i = 0; i < crash.frames.size() && i < most; ++i) {
    text += "  " + frame_in_words(crash.frames[i], i) + "\n";
  }
  const size_t more =
      crash.elided_frames + crash.frames.size() - std::min(most, crash.frames.size());
  return more == 0 ? text : text + fmt::format("  {} more frames\n", more);
}

std::string sentence(const ExportedGroup& group, const Export& all) {
  const std::string occurrence = occurrence_in_words(group, all.runs.size());
  return group.crash->cause + (occurrence.empty() ? "" : " (" + occurrence + ")");
}

std::string command(const char* level, const std::string& title, const std::string& message,
                    const std::string& file = "", int line = 0) {
  std::string text = fmt::format("::{} ", level);
  if (!file.empty() && line > 0) {
    text += fmt::format("file={},line={},", escaped(file, true), line);
  }
  return text + fmt::format("title={}::{}\n", escaped(shortened(title, kLongestTitle), true),
                            escaped(clipped(message, kLongestMessage), false));
}

std::string annotation(const ExportedGroup& group, const Export& all) {
  const ExportedCrash& crash = *group.crash;
  const std::string message = sentence(group, all) + "\n" + stack_text(crash, kFramesOfAnnotation);
  if (const ExportedFrame* place = place_of(crash)) {
    return command("error", title_of(crash), message, place->file, place->line);
  }
  return command("error", title_of(crash), message, crash.test_file, crash.test_line);
}

// For a person who reads the log.
std::string listing(const Export& all) {
  std::string text;
  for (size_t i = 0; i < all.groups.size() && i < kListed; ++i) {
    const ExportedGroup& group = all.groups[i];
    text += fmt::format("{}. {}: {}\n{}", i + 1, title_of(*group.crash), sentence(group, all),
                        stack_text(*group.crash, group.crash->frames.size()));
  }
  if (all.groups.size() > kListed) {
    text += fmt::format("{} more, in report.json\n", all.groups.size() - kListed);
  }
  return text;
}

std::string warning(const Export& all) {
  std::string text;
  for (const ExportedRun& run : all.runs) {
    const std::string where = all.runs.size() > 1 ? run.folder + ": " : "";
    if (!run.problem.empty()) {
      text += run.problem + "\n";
    }
    for (const std::string& message : run.warnings) {
      text += where + message + "\n";
    }
  }
  return text.empty() ? "" : command("warning", "CrashCrawler: not complete", text);
}

}  // namespace

std::string export_github_annotations(const Export& all, const std::string& token) {
  std::string text = warning(all);
  if (all.groups.empty()) {
    return text;
  }
  text += fmt::format("::group::CrashCrawler: {}\n::stop-commands::{}\n{}::{}::\n::endgroup::\n",
                      counts_in_words(all.counts), token, listing(all), token);
  for (size_t i = 0; i < all.groups.size() && i < kMostErrors; ++i) {
    text += annotation(all.groups[i], all);
  }
  if (all.groups.size() > kMostErrors) {
    text += command("error", "CrashCrawler",
                    fmt::format("{} more distinct crashes, in the summary and the report",
                                all.groups.size() - kMostErrors));
  }
  return text;
}

}  // namespace crashcrawler
