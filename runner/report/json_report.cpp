// report.json repeats every crash record, and a crash storm has thousands of them, each tens of
// kilobytes. They are turned into text one by one and the text is put together, so that the tree of
// at most one of them is in memory.
#include "runner/report/json_report.h"

#include <algorithm>
#include <functional>

#include "runner/report/attempts.h"
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

Json limit_json(const ResourceLimit& limit) {
  Json json = Json::object();
  if (limit.soft) {
    json["soft"] = *limit.soft;
  }
  if (limit.hard) {
    json["hard"] = *limit.hard;
  }
  return json;
}

void put_inherited(Json& json, const Inherited& inherited) {
  Json environment = Json::object(), limits = Json::object();
  for (const EnvironmentVariable& variable : inherited.environment) {
    environment[variable.name] = variable.value;
  }
  for (const ResourceLimit& limit : inherited.limits) {
    limits[limit.name] = limit_json(limit);
  }
  put(json, "environment", std::move(environment));
  put(json, "limits", std::move(limits));
  json["aslr"] = inherited.randomizes_addresses;
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
  if (session.inherited) {
    put_inherited(json, *session.inherited);
  }
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

// Attempts that are listed one by one: the first so many that did not pass.
constexpr size_t kListedAttempts = 1000;

Json share_json(size_t hits, size_t all) {
  const Interval interval = wilson(hits, all);
  return {{"count", hits},
          {"rate", all == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(all)},
          {"rate_low", interval.low},
          {"rate_high", interval.high}};
}

const char* ended_by_name(EndedBy ended_by) {
  switch (ended_by) {
    case EndedBy::crash:
      return "crash";
    case EndedBy::time:
      return "time";
    case EndedBy::interrupt:
      return "interrupt";
    case EndedBy::number:
      break;
  }
  return "number";
}

Json attempt_json(const Attempt& attempt, const Repetition& repetition) {
  Json json = Json::object();
  json["attempt"] = attempt.number;
  json["started"] = iso_time(attempt.started);
  const auto milliseconds = std::chrono::round<std::chrono::milliseconds>(attempt.duration);
  json["duration_s"] = static_cast<double>(milliseconds.count()) / 1000;
  json["exit"] =
      attempt.signal != 0 ? Json{{"signal", attempt.signal}} : Json{{"code", attempt.exit_code}};
  if (attempt.timed_out) {
    json["timed_out"] = true;
  }
  if (attempt.interrupted) {
    json["interrupted"] = true;
  }
  put(json, "chaos", chaos_json(repetition, attempt));
  return json;
}

Json attempts_json(const Session& session) {
  const Repetition& repetition = *session.repetition;
  const AttemptCounts counts = count_attempts(session);
  std::set<int> crashed;
  Json signatures = Json::array();
  for (const SignatureCount& count : counts.signatures) {
    crashed.insert(count.attempts.begin(), count.attempts.end());
    Json json = share_json(count.attempts.size(), counts.all);
    put(json, "hash", count.crash.first().signature.hash);
    put(json, "algorithm", count.crash.first().signature.algorithm);
    json["first"] = count.crash.first().id;
    json["crashes"] = count.times;
    json["records"] = count.crash.reports.size();
    json["attempts"] = count.attempts;
    signatures.push_back(std::move(json));
  }
  Json listed = Json::array();
  for (const Attempt& attempt : repetition.attempts) {
    const bool good = attempt.exit_code == 0 && attempt.signal == 0 && !attempt.timed_out &&
                      !attempt.interrupted && !crashed.contains(attempt.number);
    if (!good && listed.size() < kListedAttempts) {
      listed.push_back(attempt_json(attempt, repetition));
    }
  }
  Json json = Json::object();
  json["count"] = counts.all;
  json["jobs"] = repetition.jobs;
  json["ended_by"] = ended_by_name(repetition.ended_by);
  if (repetition.seed) {
    json["seed"] = *repetition.seed;
  }
  json["passed"] = share_json(counts.passed, counts.all);
  json["failed"] = share_json(counts.failed, counts.all);
  json["crashed"] = share_json(counts.crashed, counts.all);
  json["interrupted"] = counts.interrupted;
  json["crashes_without_record"] = counts.not_kept;
  json["crashes_without_attempt"] = counts.without_attempt;
  json["signatures"] = std::move(signatures);
  json["not_passed"] = std::move(listed);
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
  if (session.repetition) {
    json["attempts"] = attempts_json(session);
  }
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
