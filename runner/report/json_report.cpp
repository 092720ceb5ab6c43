// report.json repeats every crash record, and a crash storm has thousands of them, each tens of
// kilobytes. They are turned into text one by one and the text is put together, so that the tree of
// at most one of them is in memory.
#include "runner/report/json_report.h"

#include <algorithm>
#include <functional>

#include "runner/report/distinct.h"
#include "runner/report/json_fields.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

Json health_json(const Health& health) {
  return {{"lost", health.lost_crashes},
          {"lost_records", health.lost_records},
          {"truncated", health.truncated},
          {"degraded", health.degraded},
          {"complete", health.complete}};
}

Json run_json(const Session& session) {
  const RunOutcome& outcome = session.outcome;
  Json leftovers = Json::array();
  for (const LeftoverProcess& process : outcome.leftovers) {
    Json json = Json::object();
    json["pid"] = process.pid;
    put(json, "name", process.name);
    put(json, "command_args", process.arguments);
    leftovers.push_back(std::move(json));
  }
  Json json = Json::object();
  json["command_args"] = session.command.arguments;
  put(json, "working_directory", session.command.working_directory);
  json["started"] = iso_time(outcome.started);
  const auto milliseconds = std::chrono::round<std::chrono::milliseconds>(outcome.duration);
  json["duration_s"] = static_cast<double>(milliseconds.count()) / 1000;
  json["exit"] =
      outcome.signal != 0 ? Json{{"signal", outcome.signal}} : Json{{"code", outcome.exit_code}};
  if (outcome.interrupted) {
    json["interrupted"] = true;
  }
  if (outcome.timed_out) {
    json["timed_out"] = true;
    json["timeout_s"] = static_cast<double>(outcome.timed_out->count()) / 1000;
  }
  json["leftover_processes"] = std::move(leftovers);
  return json;
}

// `text` one level deeper. JSON strings hold no raw newline, so every one is ours.
void append_indented(std::string& to, const std::string& text) {
  const std::string margin(2 * kJsonIndent, ' ');
  to += margin;
  for (const char c : text) {
    to += c;
    if (c == '\n') {
      to += margin;
    }
  }
}

}  // namespace

std::string report_json(const Session& session, const std::vector<std::string>& crashes) {
  Json json = Json::object();
  json["schema_version"] = kSchemaVersion;
  json["collector"] = collector_json(session);
  json["collector"]["health"] = health_json(session.health);
  json["run"] = run_json(session);
  put(json, "system_info", system_info_json(session.system));
  json["counts"] = {
      {"crashes", session.crashes.size()},
      {"unexpected", std::ranges::count_if(session.crashes, is_unexpected)},
      {"expected", std::ranges::count_if(session.crashes, std::not_fn(is_unexpected))},
      {"unique", distinct_crashes(session).size()},
      {"hangs", std::ranges::count(session.crashes, CrashKind::hang, &CrashReport::kind)},
      {"lost", session.health.lost_crashes}};
  json["soft_errors"] = session.soft_errors;

  std::string text = text_of(json);
  text.resize(text.rfind('\n'));  // the closing brace makes room for the crashes
  text += ",\n" + std::string(kJsonIndent, ' ') + "\"crashes\": [";
  for (const std::string& crash : crashes) {
    text += text.back() == '[' ? "\n" : ",\n";
    append_indented(text, crash);
  }
  text += crashes.empty() ? "]\n}\n" : "\n" + std::string(kJsonIndent, ' ') + "]\n}\n";
  return text;
}

}  // namespace crashcrawler
