#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "runner/export/findings.h"

namespace crashcrawler {
namespace {

using Json = nlohmann::ordered_json;

// A relative reference of RFC 3986: no character of a path may end it, and no colon make a scheme of its beginning.
std::string uri_of(std::string_view path) {
  std::string uri;
  for (const unsigned char letter : path) {
    const bool plain =
        std::isalnum(letter) != 0 ||
        std::string_view("-._~/+@").find(static_cast<char>(letter)) != std::string_view::npos;
    uri += plain ? std::string(1, static_cast<char>(letter)) : fmt::format("%{:02X}", letter);
  }
  return uri;
}

Json physical_location(const std::string& path, int line) {
  return {{"artifactLocation", {{"uri", uri_of(path)}}}, {"region", {{"startLine", line}}}};
}

Json location_of(const ExportedFrame& frame, size_t number) {
  Json location = Json::object();
  if (frame.in_sources && frame.line > 0) {
    location["physicalLocation"] = physical_location(frame.file, frame.line);
  }
  location["logicalLocations"] =
      Json::array({{{"fullyQualifiedName", frame.function}, {"kind", "function"}}});
  location["message"] = {{"text", frame_in_words(frame, number)}};
  return location;
}

// GitHub shows no stacks; of these it shows what has a place in the sources.
void put_stack(const ExportedCrash& crash, Json& result) {
  Json frames = Json::array(), related = Json::array(), flow = Json::array();
  for (size_t i = 0; i < crash.frames.size(); ++i) {
    Json location = location_of(crash.frames[i], i);
    frames.push_back({{"location", location}});
    if (location.contains("physicalLocation")) {
      flow.insert(flow.begin(), Json{{"location", location}});
      location["id"] = related.size() + 1;
      related.push_back(std::move(location));
    }
  }
  if (!frames.empty()) {
    result["stacks"] = Json::array(
        {{{"message", {{"text", "the thread that crashed"}}}, {"frames", std::move(frames)}}});
  }
  if (!related.empty()) {
    result["relatedLocations"] = std::move(related);
    result["codeFlows"] =
        Json::array({{{"threadFlows", Json::array({{{"locations", std::move(flow)}}})}}});
  }
}

Json result_of(const ExportedGroup& group, const Export& all) {
  const ExportedCrash& crash = *group.crash;
  const std::string occurrence = occurrence_in_words(group, all.runs.size());
  const FindingPlace place = finding_place(crash);
  Json result = Json::object();
  result["ruleId"] = "crash/" + crash.event;
  result["level"] = "error";
  result["message"] = {{"text", title_of(crash) + ": " + crash.cause +
                                    (occurrence.empty() ? "" : " (" + occurrence + ")")}};
  result["locations"] =
      Json::array({{{"physicalLocation", physical_location(place.path, place.line)}}});
  put_stack(crash, result);
  result["partialFingerprints"] = {{"primaryLocationLineHash", fingerprint(group)}};
  result["occurrenceCount"] = std::max<size_t>(1, group.times);
  return result;
}

// GitHub's code scanning takes no rule without a full description and help
// (docs.github.com, SARIF support for code scanning, reportingDescriptor object).
Json rules_of(const Export& all) {
  std::map<std::string, bool> events;
  Json rules = Json::array();
  for (const ExportedGroup& group : all.groups) {
    const std::string& event = group.crash->event;
    if (events.emplace(event, true).second) {
      rules.push_back(
          {{"id", "crash/" + event},
           {"name", event},
           {"shortDescription", {{"text", "A process of the tests ended by " + event}}},
           {"fullDescription",
            {{"text", "A process that the tests started ended by " + event +
                          ". Each result is one distinct crash: its message is the cause, its code "
                          "flow the stack of the thread that crashed."}}},
           {"help",
            {{"text",
              "The stacks of all threads, the registers and the versions of all libraries "
              "are in the report of the run: `crashcrawler show` prints them, `crashcrawler "
              "gdb` opens the core. `crashcrawler repro` runs the command again and says "
              "whether the same crash came back."}}}});
    }
  }
  return rules;
}

Json invocation_of(const Export& all) {
  Json notifications = Json::array();
  const auto add = [&notifications](const char* level, const std::string& text) {
    notifications.push_back({{"level", level}, {"message", {{"text", text}}}});
  };
  for (const ExportedRun& run : all.runs) {
    if (!run.problem.empty()) {
      add("error", run.problem);
    }
    for (const std::string& warning : run.warnings) {
      add("warning", run.folder + ": " + warning);
    }
  }
  Json invocation = {{"executionSuccessful", all.counts.no_report == 0}};
  if (!notifications.empty()) {
    invocation["toolExecutionNotifications"] = std::move(notifications);
  }
  return invocation;
}

}  // namespace

std::string export_sarif(const Export& all, const std::string& version) {
  Json results = Json::array();
  for (const ExportedGroup& group : all.groups) {
    results.push_back(result_of(group, all));
  }
  const Json driver = {{"name", "CrashCrawler"}, {"version", version}, {"rules", rules_of(all)}};
  const Json run = {{"tool", {{"driver", driver}}},
                    {"invocations", Json::array({invocation_of(all)})},
                    {"results", std::move(results)}};
  return json_text({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                    {"version", "2.1.0"},
                    {"runs", Json::array({run})}});
}

}  // namespace crashcrawler
