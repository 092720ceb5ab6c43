#include "runner/export/exported_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "runner/report/text.h"
#include "runner/report/words.h"
#include "runner/results/report_file.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestName = 120;
constexpr size_t kLongestPath = 300;
constexpr size_t kLongestCause = 300;
constexpr size_t kLongestWarning = 300;
constexpr size_t kLongestCommand = 200;
constexpr size_t kMostFrames = 64;  // of a stack; more are counted
constexpr size_t kMostWarnings = 20;
constexpr int kLargestLine = 10'000'000;

// Keys of a report under which nothing lies that is exported, and much else.
bool is_bulk(const Json& key) {
  static const std::initializer_list<const char*> kBulk = {
      "modules", "memory", "registers", "disassembly", "source", "system_info", "environment"};
  return std::ranges::any_of(kBulk, [&key](const char* name) { return key == name; });
}

bool is_needed(int, Json::parse_event_t event, Json& parsed) {
  if (event == Json::parse_event_t::key) {
    return !is_bulk(parsed);
  }
  const bool is_quiet_thread = event == Json::parse_event_t::object_end &&
                               parsed.contains("frames") && parsed.contains("crashed") &&
                               !flag_at(parsed, "crashed");
  return !is_quiet_thread;
}

std::string text_at(const Json& json, std::initializer_list<const char*> keys, size_t longest) {
  return brief(string_at(json, keys), longest);
}

int line_at(const Json& json) {
  const int64_t line = number_at(json, "line");
  return line > 0 && line <= kLargestLine ? static_cast<int>(line) : 0;
}

// `file` from the root of the sources that it lies below; "" when that is none. A relative path is what a build with mapped
// prefixes leaves: it counts when there is such a file.
std::string path_in_sources(const std::string& file, const std::vector<std::string>& roots) {
  if (file.empty() || file.size() > kLongestPath) {
    return "";
  }
  const fs::path path = fs::path(file).lexically_normal();
  for (const std::string& root : roots) {
    const fs::path inside =
        path.is_absolute() ? path.lexically_relative(fs::path(root).lexically_normal()) : path;
    if (inside.empty() || *inside.begin() == ".." || inside == ".") {
      continue;
    }
    std::error_code unreadable;
    if (path.is_absolute() || fs::is_regular_file(fs::path(root) / inside, unreadable)) {
      return inside.string();
    }
  }
  return "";
}

ExportedFrame frame_of(const Json& json, const Json& outer, const std::vector<std::string>& roots) {
  ExportedFrame frame;
  frame.function = text_at(json, {"function"}, kLongestName);
  const std::string module = text_at(outer, {"module"}, kLongestPath);
  if (frame.function.empty()) {
    frame.function =
        module.empty() ? text_at(outer, {"instruction_addr"}, kLongestName)
                       : base_name(module) + "+" + text_at(outer, {"module_offset"}, kLongestName);
  }
  const std::string file = string_at(json, {"file"});
  const std::string inside = path_in_sources(file, roots);
  frame.in_sources = !inside.empty();
  frame.file = brief(frame.in_sources ? inside : file, kLongestPath);
  frame.line = line_at(json);
  return frame;
}

void read_stack(const Json& threads, ExportedCrash& crash, const std::vector<std::string>& roots) {
  for (const Json& thread : threads) {
    if (!flag_at(thread, "crashed")) {
      continue;
    }
    const auto add = [&](const Json& frame, const Json& outer) {
      if (crash.frames.size() < kMostFrames) {
        crash.frames.push_back(frame_of(frame, outer, roots));
      } else {
        ++crash.elided_frames;
      }
    };
    for (const Json& frame : array_at(thread, "frames")) {
      for (const Json& inlined : array_at(frame, "inlines")) {
        add(inlined, frame);
      }
      add(frame, frame);
    }
    crash.elided_frames +=
        static_cast<size_t>(std::max<int64_t>(0, number_at(thread, "elided_frames")));
    return;
  }
}

std::string event_of(const Json& info) {
  for (const char* key : {"first_signal", "signal"}) {
    if (std::string name = text_at(info, {key, "name"}, kLongestName); !name.empty()) {
      return name;
    }
  }
  const std::string tool = text_at(info, {"sanitizer", "tool"}, kLongestName);
  return tool.empty() ? text_at(info, {"kind"}, kLongestName) : tool;
}

std::string signature_of(const Json& json) {
  const std::string hash = text_at(json, {"hash"}, kLongestName);
  return hash.empty() ? "" : text_at(json, {"algorithm"}, kLongestName) + ":" + hash;
}

ExportedCrash crash_of(const Json& json, const std::vector<std::string>& roots) {
  const Json& info = member(json, "crash_info");
  const Json& test = member(json, "test");
  ExportedCrash crash;
  crash.id = text_at(json, {"id"}, kLongestName);
  crash.event = event_of(info);
  crash.cause = text_at(info, {"cause"}, kLongestCause);
  crash.program = base_name(text_at(json, {"process", "executable", "path"}, kLongestPath));
  if (crash.program.empty()) {
    crash.program = text_at(json, {"process", "name"}, kLongestName);
  }
  const std::string suite = text_at(test, {"suite"}, kLongestName);
  const std::string name = text_at(test, {"name"}, kLongestName);
  crash.test = suite.empty() || name.empty() ? name : suite + "." + name;
  crash.test_file = brief(path_in_sources(string_at(test, {"file"}), roots), kLongestPath);
  crash.test_line = line_at(test);
  crash.signature = signature_of(member(json, "signature"));
  crash.expected = flag_at(info, "expected");
  crash.expected_reason = text_at(info, {"expected_reason"}, kLongestCause);
  read_stack(array_at(json, "threads"), crash, roots);
  return crash;
}

std::string command_of(const Json& arguments) {
  std::vector<std::string> words;
  for (const Json& argument : arguments) {
    words.push_back(argument.is_string() ? argument.get<std::string>() : "");
  }
  return command_line(words, kLongestCommand);
}

std::string ending_of(const Json& run) {
  if (flag_at(run, "timed_out")) {
    return "its time was over";
  }
  if (flag_at(run, "interrupted")) {
    return "it was interrupted";
  }
  const Json& exit = member(run, "exit");
  return exit.contains("signal") ? fmt::format("signal {}", number_at(exit, "signal"))
                                 : fmt::format("exit status {}", number_at(exit, "code"));
}

void read_warnings(const Json& json, ExportedRun& run) {
  const auto add_all = [&run](const Json& texts) {
    for (const Json& text : texts) {
      if (text.is_string()) {
        run.warnings.push_back(brief(text.get<std::string>(), kLongestWarning));
      }
    }
  };
  const Json& health = member(member(json, "collector"), "health");
  if (const int64_t lost = number_at(health, "lost"); lost > 0) {
    run.warnings.push_back(fmt::format("{} deaths were seen and not captured", lost));
  }
  add_all(array_at(health, "degraded"));
  add_all(array_at(json, "soft_errors"));
  if (const int64_t more = number_at(member(json, "attempts"), "crashes_without_attempt");
      more > 0) {
    run.warnings.push_back(fmt::format("of {} crashes the attempt is not known", more));
  }
  if (run.warnings.size() > kMostWarnings) {
    const size_t more = run.warnings.size() - kMostWarnings;
    run.warnings.resize(kMostWarnings);
    run.warnings.push_back(fmt::format("{} more, in report.json", more));
  }
}

size_t count_at(const Json& json, const char* key) {
  return static_cast<size_t>(std::max<int64_t>(0, number_at(json, key)));
}

void read_attempts(const Json& attempts, ExportedRun& run) {
  run.attempts = count_at(attempts, "count");
  run.passed_attempts = count_at(member(attempts, "passed"), "count");
  for (const Json& entry : array_at(attempts, "signatures")) {
    if (const std::string signature = signature_of(entry); !signature.empty()) {
      run.shares[signature] = {count_at(entry, "crashes"), count_at(entry, "count")};
    }
  }
}

const AttemptShare* share_of(const ExportedRun& run, const std::string& signature) {
  const auto found = run.shares.find(signature);
  return found == run.shares.end() ? nullptr : &found->second;
}

}  // namespace

ExportedRun read_run(const std::string& folder, const std::vector<std::string>& source_roots,
                     size_t largest) {
  ExportedRun run;
  run.folder = brief(folder, kLongestPath);
  const Result<Json> report = read_report(folder, is_needed, largest);
  if (!report) {
    run.problem = brief(report.error().message, kLongestWarning + kLongestPath);
    return run;
  }
  run.command = command_of(array_at(member(*report, "run"), "command_args"));
  run.ending = ending_of(member(*report, "run"));
  read_warnings(*report, run);
  read_attempts(member(*report, "attempts"), run);
  for (const Json& crash : array_at(*report, "crashes")) {
    run.crashes.push_back(crash_of(crash, source_roots));
  }
  return run;
}

std::vector<ExportedGroup> distinct_crashes(const std::vector<ExportedRun>& runs) {
  std::vector<ExportedGroup> groups;
  std::map<std::string, size_t> places;
  for (const ExportedRun& run : runs) {
    for (const ExportedCrash& crash : run.crashes) {
      if (crash.expected) {
        continue;
      }
      const auto [place, is_new] = crash.signature.empty()
                                       ? std::pair(places.end(), true)
                                       : places.try_emplace(crash.signature, groups.size());
      if (is_new) {
        groups.push_back({&crash, {}, 0});
      }
      ExportedGroup& group = is_new ? groups.back() : groups[place->second];
      const AttemptShare* share = share_of(run, crash.signature);
      const bool is_new_run = group.runs.empty() || group.runs.back() != &run;
      if (is_new_run) {
        group.runs.push_back(&run);
      }
      group.times += !share ? 1 : is_new_run ? share->crashes : 0;
    }
  }
  return groups;
}

ExportedCounts count_crashes(const std::vector<ExportedRun>& runs,
                             const std::vector<ExportedGroup>& groups) {
  ExportedCounts counts;
  counts.unique = groups.size();
  for (const ExportedGroup& group : groups) {
    counts.crashes += group.times;
  }
  for (const ExportedRun& run : runs) {
    counts.no_report += run.problem.empty() ? 0 : 1;
    counts.expected +=
        static_cast<size_t>(std::ranges::count(run.crashes, true, &ExportedCrash::expected));
  }
  return counts;
}

std::string counts_in_words(const ExportedCounts& counts) {
  std::string text =
      counts.crashes == 0 ? "no crashes" : counted(counts.crashes, "crash", "crashes");
  if (counts.unique != counts.crashes) {
    text += fmt::format(" ({} distinct)", counts.unique);
  }
  if (counts.expected > 0) {
    text += fmt::format(", {} more on purpose", counts.expected);
  }
  if (counts.no_report > 0) {
    text += ", " + counted(counts.no_report, "folder without a report", "folders without a report");
  }
  return text;
}

std::string title_of(const ExportedCrash& crash) {
  return crash.event + " in " + (crash.program.empty() ? "a process" : crash.program) +
         (crash.test.empty() ? "" : ", in test " + crash.test);
}

std::string frame_in_words(const ExportedFrame& frame, size_t number) {
  std::string text = fmt::format("#{} {}", number, frame.function);
  if (!frame.file.empty()) {
    text += " at " + frame.file + (frame.line > 0 ? ":" + std::to_string(frame.line) : "");
  }
  return text;
}

const ExportedFrame* place_of(const ExportedCrash& crash) {
  const auto found = std::ranges::find_if(
      crash.frames, [](const ExportedFrame& frame) { return frame.in_sources && frame.line > 0; });
  return found == crash.frames.end() ? nullptr : &*found;
}

std::string occurrence_in_words(const ExportedGroup& group, size_t runs) {
  constexpr size_t kNamed = 5;
  std::vector<std::string> parts;
  if (group.times > 1) {
    parts.push_back(fmt::format("{} times", group.times));
  }
  for (size_t i = 0; i < group.runs.size() && i < kNamed; ++i) {
    const ExportedRun& run = *group.runs[i];
    const AttemptShare* share = share_of(run, group.crash->signature);
    std::string part =
        share ? fmt::format("in {} of {} attempts", share->attempts, run.attempts) : "";
    if (runs > 1) {
      part += (share ? " of " : "in ") + run.folder;
    }
    if (!part.empty()) {
      parts.push_back(part);
    }
  }
  if (group.runs.size() > kNamed) {
    parts.push_back(fmt::format("in {} more", group.runs.size() - kNamed));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace crashcrawler
