// The table is Markdown, because Buildkite shows no table in HTML; in it every character that could mean something is a
// numeric character reference, which is never structure (CommonMark 0.31, 2.5). Stacks are in <pre>, which begins an HTML
// block that only a tag could end (4.6, start condition 1).
#include <fmt/format.h>

#include "runner/export/formats.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr size_t kRows = 100;  // of a table

// Rows of a table or list, as long as they are few and fit into `room` bytes; what is left out is counted.
class Rows {
 public:
  Rows(std::string head, size_t room) : text_(std::move(head)), room_(room) {}

  void add(const std::string& row) {
    const bool fits = left_out_ == 0 && rows_ < kRows && text_.size() + row.size() <= room_;
    text_ += fits ? row : "";
    ++(fits ? rows_ : left_out_);
  }

  bool empty() const { return rows_ + left_out_ == 0; }

  std::string text() const {
    return left_out_ == 0 ? text_ : text_ + fmt::format("\n{} more in report.json\n", left_out_);
  }

 private:
  std::string text_;
  size_t room_, rows_ = 0, left_out_ = 0;
};

std::string referenced(std::string_view text, std::string_view special) {
  std::string result;
  for (const char letter : text) {
    result += special.find(letter) != std::string_view::npos
                  ? fmt::format("&#{};", static_cast<int>(letter))
                  : std::string(1, letter);
  }
  return result;
}

// Between two pipes, or in a paragraph. "www." alone would be a link (GitHub Flavored Markdown 0.29, 6.9).
std::string cell(std::string_view text) {
  std::string result = referenced(text, "\\`*_{}[]<>()#+!|&~$@\"'^=:");
  for (size_t at = result.find("www."); at != std::string::npos; at = result.find("www.", at)) {
    result.replace(at, 4, "www&#46;");
  }
  return result;
}

std::string code(std::string_view text) {
  return text.empty() ? "" : "<code>" + cell(text) + "</code>";
}

std::string html(std::string_view text) {
  return referenced(text, "&<>\"'");
}

std::string place_in_words(const ExportedCrash& crash) {
  const ExportedFrame* place = place_of(crash);
  return place ? place->file + ":" + std::to_string(place->line) : "";
}

std::string crash_table(const Export& all, size_t room) {
  Rows rows("| | crash | program | test | where | how often |\n|--:|---|---|---|---|---|\n", room);
  for (size_t i = 0; i < all.groups.size(); ++i) {
    const ExportedCrash& crash = *all.groups[i].crash;
    const std::string occurrence = occurrence_in_words(all.groups[i], all.runs.size());
    rows.add(fmt::format("| {} | {} {} | {} | {} | {} | {} |\n", i + 1, code(crash.event),
                         cell(crash.cause), code(crash.program), code(crash.test),
                         code(place_in_words(crash)),
                         occurrence.empty() ? "once" : cell(occurrence)));
  }
  return rows.text();
}

std::string run_in_words(const ExportedRun& run) {
  std::string text = code(run.command) + ": " + cell(run.ending);
  if (run.attempts > 0) {
    text += fmt::format(", {} of {} passed", run.passed_attempts,
                        counted(run.attempts, "attempt", "attempts"));
  }
  return text;
}

std::string run_table(const Export& all, size_t room) {
  Rows rows("| folder | command | crashes |\n|---|---|--:|\n", room);
  for (const ExportedRun& run : all.runs) {
    rows.add(run.problem.empty()
                 ? fmt::format("| {} | {} | {} |\n", code(run.folder), run_in_words(run),
                               run.crashes.size())
                 : fmt::format("| {} | **{}** | ? |\n", code(run.folder), cell(run.problem)));
  }
  return rows.text();
}

std::string warnings(const Export& all, size_t room) {
  Rows rows("\nNot complete:\n\n", room);
  for (const ExportedRun& run : all.runs) {
    for (const std::string& warning : run.warnings) {
      rows.add("* " + (all.runs.size() > 1 ? code(run.folder) + ": " : "") + cell(warning) + "\n");
    }
  }
  return rows.empty() ? "" : rows.text();
}

std::string stack(const ExportedCrash& crash, size_t number) {
  std::string text = fmt::format("<details><summary>{}. {}</summary>\n\n<pre>\n{}\n", number,
                                 cell(title_of(crash)), html(crash.cause));
  for (size_t i = 0; i < crash.frames.size(); ++i) {
    text += html(frame_in_words(crash.frames[i], i)) + "\n";
  }
  if (crash.elided_frames > 0) {
    text += fmt::format("{} more frames\n", crash.elided_frames);
  }
  return text + fmt::format("</pre>\n\ncrashes/{}.txt\n\n</details>\n", cell(crash.id));
}

}  // namespace

std::string export_markdown(const Export& all, size_t most) {
  std::string text = "### CrashCrawler: " + counts_in_words(all.counts) + "\n\n";
  if (!all.groups.empty()) {
    text += crash_table(all, most / 3) + "\n";
  }
  text += all.runs.size() == 1 && all.runs[0].problem.empty() ? run_in_words(all.runs[0]) + "\n"
                                                              : run_table(all, most / 4);
  text += warnings(all, most / 8) + "\n";
  constexpr size_t kLastLine = 100;
  for (size_t i = 0; i < all.groups.size(); ++i) {
    const std::string next = stack(*all.groups[i].crash, i + 1);
    if (text.size() + next.size() + kLastLine > most) {
      return text +
             fmt::format("\nThe stacks of {} more are in report.json.\n", all.groups.size() - i);
    }
    text += next;
  }
  return text;
}

}  // namespace crashcrawler
