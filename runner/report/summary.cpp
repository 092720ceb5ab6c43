// What a person reads at the end of the run. At most 25 lines, so that it fits a terminal under the
// command's own last words: first the essence, then one block for each distinct crash while there
// is room, last what else went wrong and where everything is. What must be said is laid out first,
// the crashes get what is left of the lines.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "runner/base/signal_names.h"
#include "runner/report/attempts.h"
#include "runner/report/distinct.h"
#include "runner/report/headline.h"
#include "runner/report/report.h"
#include "runner/report/stack.h"
#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

using TextLines = std::vector<std::string>;

constexpr size_t kLines = 25;
constexpr size_t kFrames = 3;
constexpr size_t kDegradations = 2, kSoftErrors = 2, kLeftovers = 5;
constexpr size_t kLongestCommand = 80, kLongestLine = 200;

int command_status(const RunOutcome& outcome) {
  return outcome.signal != 0 ? 128 + outcome.signal : outcome.exit_code;
}

// A hang is not said to be a crash.
struct Counts {
  size_t crashes = 0, hangs = 0;
};

bool is_hang(const CrashReport* report) {
  return report->kind == CrashKind::hang;
}

Counts count_all(const std::vector<DistinctCrash>& crashes) {
  Counts counts;
  for (const DistinctCrash& crash : crashes) {
    const auto hangs = static_cast<size_t>(std::ranges::count_if(crash.reports, is_hang));
    counts.hangs += hangs;
    counts.crashes += crash.reports.size() - hangs;
  }
  return counts;
}

Counts count_distinct(std::span<const DistinctCrash> crashes) {
  Counts counts;
  for (const DistinctCrash& crash : crashes) {
    counts.hangs += std::ranges::any_of(crash.reports, is_hang) ? 1 : 0;
    counts.crashes += std::ranges::all_of(crash.reports, is_hang) ? 0 : 1;
  }
  return counts;
}

// Both, or that of which there are any.
std::string joined(const Counts& counts, const std::string& crashes, const std::string& hangs) {
  if (counts.hangs == 0) {
    return crashes;
  }
  return counts.crashes == 0 ? hangs : crashes + " and " + hangs;
}

// "3 crashes (2 distinct) and 1 hang"
std::string in_words(const std::vector<DistinctCrash>& crashes) {
  const Counts all = count_all(crashes), distinct = count_distinct(crashes);
  const auto of_which = [](size_t number, size_t different) {
    return number == different ? "" : fmt::format(" ({} distinct)", different);
  };
  return joined(all,
                counted(all.crashes, "crash", "crashes") + of_which(all.crashes, distinct.crashes),
                counted(all.hangs, "hang", "hangs") + of_which(all.hangs, distinct.hangs));
}

std::string rest_in_words(std::span<const DistinctCrash> rest) {
  const Counts counts = count_distinct(rest);
  return joined(counts, counted(counts.crashes, "more distinct crash", "more distinct crashes"),
                counted(counts.hangs, "more distinct hang", "more distinct hangs"));
}

std::string essence(const Session& session, const std::vector<DistinctCrash>& crashes,
                    int exit_status) {
  const RunOutcome& outcome = session.outcome;
  const auto on_purpose =
      static_cast<size_t>(std::ranges::count_if(session.crashes, std::not_fn(is_unexpected)));
  std::string text = in_words(crashes);
  if (on_purpose > 0) {
    text += " and " + counted(on_purpose, "death on purpose", "deaths on purpose");
  }
  text += " in " + duration_in_words(outcome.duration) + "; ";
  if (outcome.timed_out) {
    text += "the time of " + duration_in_words(*outcome.timed_out) + " was over, ";
  }
  text += "the command ";
  text += outcome.signal != 0 ? "was killed by " + signal_name(outcome.signal)
                              : "exited with " + std::to_string(outcome.exit_code);
  if (outcome.interrupted) {
    text += " after an interrupt";
  }
  if (exit_status != command_status(outcome)) {
    text += fmt::format(", crashcrawler-run exits with {}", exit_status);
  }
  return text;
}

// The first entries on one line each, then how many more there are.
void append_list(TextLines& lines, const std::string& intro, const TextLines& entries,
                 size_t most) {
  for (size_t i = 0; i < entries.size() && i < most; ++i) {
    const bool cut = i + 1 == most && entries.size() > most;
    lines.push_back(
        intro + brief(entries[i], kLongestLine) +
        (cut ? fmt::format(" (and {} more, see report.json)", entries.size() - most) : ""));
  }
}

TextLines block(const DistinctCrash& distinct, size_t number, const Session& session,
                const std::string& output_directory) {
  const CrashReport& crash = distinct.first();
  const std::string& directory = session.command.working_directory;
  const std::string command = crash.raw.arguments.empty()
                                  ? program_name(crash.raw)
                                  : command_line(crash.raw.arguments, kLongestCommand);
  TextLines lines{fmt::format("{}. {}: {}", number, command, signal_in_words(crash))};
  if (session.repetition) {
    const AttemptCounts counts = count_attempts(session);
    lines.push_back("     in attempts: " +
                    share_in_words(counts.signatures[number - 1].attempts.size(), counts.all));
  } else if (distinct.reports.size() > 1) {
    lines.back() += fmt::format("  x {}", distinct.reports.size());
  }
  std::vector<StackLine> stack = own_lines(crash);
  if (const std::optional<StackLine> line = culprit(crash); stack.empty() && line) {
    stack.push_back(*line);
  }
  if (!crash.test.name.empty()) {
    lines.push_back("     in test " + test_in_words(crash.test));
  }
  const size_t most = lines.size() + kFrames;
  for (size_t i = 0; i < stack.size() && lines.size() < most; ++i) {
    const std::string place = place_text(stack[i], crash.backtrace, directory);
    const bool in_file = !stack[i].location().file.empty();
    std::string line = "     " + function_text(stack[i], crash.backtrace) +
                       (place.empty() ? "" : (in_file ? " at " : " in ") + place);
    if (line != lines.back()) {  // a recursion says nothing new
      lines.push_back(std::move(line));
    }
  }
  if (!output_directory.empty()) {
    lines.push_back(
        "     " +
        brief(output_path_from(output_directory + "/crashes/" + crash.id + ".txt", directory),
              4 * kLongestLine));
  }
  return lines;
}

// What the collector could not do, and what is left behind.
TextLines troubles(const Session& session) {
  const Health& health = session.health;
  TextLines lines;
  if (const auto& leftovers = session.outcome.leftovers; !leftovers.empty()) {
    std::string text = counted(leftovers.size(), "process", "processes") + " outlived the command:";
    for (size_t i = 0; i < leftovers.size() && i < kLeftovers; ++i) {
      text += fmt::format("{} {} ({})", i == 0 ? "" : ",", brief(leftovers[i].name, 40),
                          leftovers[i].pid);
    }
    lines.push_back(text + (leftovers.size() > kLeftovers ? " ..." : ""));
  }
  if (health.lost_crashes > 0) {
    lines.push_back("INCOMPLETE: " + counted(health.lost_crashes, "death was", "deaths were") +
                    " seen but not captured");
  }
  if (health.truncated > 0) {
    uint64_t records = 0;  // health.lost_records counts those of deaths that were no crashes, too
    for (const CrashReport& report : session.crashes) {
      records += report.raw.lost_records;
    }
    const std::string lost =
        records == 0 ? "" : " (" + counted(records, "record", "records") + " lost)";
    lines.push_back(counted(health.truncated, "crash is", "crashes are") + " not complete" + lost);
  }
  if (session.crashes_without_core > 0) {
    lines.push_back(counted(session.crashes_without_core, "crash has", "crashes have") +
                    " no core; the report of each says why");
  }
  append_list(lines, "limited: ", health.degraded, kDegradations);
  append_list(lines, "problem: ", session.soft_errors, kSoftErrors);
  return lines;
}

const char* why_ended(EndedBy ended_by) {
  switch (ended_by) {
    case EndedBy::crash:
      return ", the last one crashed";
    case EndedBy::time:
      return ", then the time was over";
    case EndedBy::interrupt:
      return ", then we were interrupted";
    case EndedBy::number:
      break;
  }
  return "";
}

// How often it went well, and how often it did not.
TextLines attempt_lines(const Session& session) {
  const Repetition& repetition = *session.repetition;
  const AttemptCounts counts = count_attempts(session);
  TextLines lines{counted(counts.all, "attempt", "attempts") + " in " +
                  duration_in_words(session.outcome.duration) + why_ended(repetition.ended_by) +
                  (repetition.seed ? fmt::format("; --chaos={}", *repetition.seed) : "")};
  lines.push_back("passed: " + share_in_words(counts.passed, counts.all));
  if (counts.failed > 0) {
    lines.push_back("failed without a crash: " + share_in_words(counts.failed, counts.all));
  }
  if (counts.crashed > 0) {
    lines.push_back("crashed: " + share_in_words(counts.crashed, counts.all));
  }
  if (counts.not_kept > 0) {
    lines.push_back("of " + counted(counts.not_kept, "crash", "crashes") +
                    " nothing was kept but the count, because as many of their kind were kept");
  }
  if (counts.without_attempt > 0) {
    lines.push_back("of " + counted(counts.without_attempt, "crash", "crashes") +
                    " the attempt is not known");
  }
  return lines;
}

}  // namespace

std::string summary(const Session& session, const std::string& directory, int exit_status) {
  const std::vector<DistinctCrash> crashes = distinct_crashes(session);
  TextLines trouble = troubles(session);
  if (session.crashes.empty() && trouble.empty() && !session.outcome.timed_out &&
      !session.repetition) {
    return "";
  }
  if (session.repetition) {
    const TextLines attempts = attempt_lines(session);
    trouble.insert(trouble.begin(), attempts.begin(), attempts.end());
  }
  const std::string report =
      directory.empty()
          ? ""
          : output_path_from(directory + "/report.json", session.command.working_directory);
  TextLines lines{essence(session, crashes, exit_status)};
  size_t room = kLines - trouble.size() - 2;  // the essence and the last line
  for (size_t i = 0; i < crashes.size(); ++i) {
    const TextLines next = block(crashes[i], i + 1, session, directory);
    const size_t reserved = i + 1 < crashes.size() ? 1 : 0;  // for "and N more"
    if (next.size() + reserved > room) {
      lines.push_back(fmt::format("and {}{}{}", rest_in_words(std::span(crashes).subspan(i)),
                                  report.empty() ? "" : ", see ", report));
      break;
    }
    lines.insert(lines.end(), next.begin(), next.end());
    room -= next.size();
  }
  lines.insert(lines.end(), trouble.begin(), trouble.end());
  lines.push_back(report.empty() ? "there is no report" : "report: " + report);

  std::string text;
  for (const std::string& line : lines) {
    text += "crashcrawler: " + shortened(printable(line, Lines::one), 4 * kLongestLine) + "\n";
  }
  return text;
}

}  // namespace crashcrawler
