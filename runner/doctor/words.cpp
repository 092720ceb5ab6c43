#include "runner/doctor/words.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "runner/doctor/mending.h"

namespace crashcrawler {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSchemaVersion = "1.0";

// Words of the kernel and of sudo may hold anything.
std::string one_line(std::string text) {
  for (char& letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) {
      letter = ' ';
    }
  }
  return text;
}

std::string painted(State state, bool coloured) {
  const std::string word = fmt::format("{:<8}", name_of(state));
  if (!coloured) {
    return word;
  }
  const int colour = state == State::ok ? 32 : state == State::limited ? 33 : 31;
  return fmt::format("\x1b[{}m{}\x1b[0m", colour, word);
}

Json lines_of_all_places(const std::set<Need>& needs, const World& world) {
  Json places = Json::object();
  for (const Place place : kPlaces) {
    places[name_of(place)] = lines_for(place, needs, world);
  }
  return places;
}

Json json_of(const Finding& finding, const World& world) {
  Json json{{"check", finding.check}, {"state", name_of(finding.state)}, {"found", finding.found}};
  if (finding.state != State::ok) {
    json["cost"] = finding.cost;
  }
  if (!finding.advice.empty()) {
    json["advice"] = finding.advice;
  }
  if (!finding.needs.empty()) {
    json["lines"] =
        lines_of_all_places(std::set(finding.needs.begin(), finding.needs.end()), world);
  }
  return json;
}

Json json_of(const char* collector, const Trial& trial) {
  Json json{{"collector", collector}, {"tried", trial.tried}, {"captured", trial.captured}};
  if (!trial.cgroup.empty()) {
    json["cgroup"] = trial.cgroup;
  }
  json["degraded"] = trial.degraded;
  if (!trial.error.empty()) {
    json["error"] = trial.error;
  }
  return json;
}

}  // namespace

std::string text_of(const Diagnosis& diagnosis, const std::string& system, bool coloured) {
  std::string text = fmt::format("This is {}: {}\n", words_for(diagnosis.place), one_line(system));
  for (const Finding& finding : diagnosis.findings) {
    text += fmt::format("{} {:<15} {}{}\n", painted(finding.state, coloured), finding.check,
                        one_line(finding.found),
                        finding.cost.empty() ? "" : " -- " + one_line(finding.cost));
  }
  text += diagnosis.verdict + "\n";
  if (!diagnosis.lines.empty()) {
    text += "What mends it:\n";
  }
  for (const std::string& line : diagnosis.lines) {
    text += "  " + one_line(line) + "\n";
  }
  for (const std::string& advice : diagnosis.advice) {
    text += one_line(advice) + "\n";
  }
  return text;
}

std::string json_of(const Diagnosis& diagnosis, const Trials& trials, const World& world,
                    const std::string& system, const std::string& version) {
  Json checks = Json::array();
  for (const Finding& finding : diagnosis.findings) {
    checks.push_back(json_of(finding, world));
  }
  const std::set<Need> needs(diagnosis.needs.begin(), diagnosis.needs.end());
  const Json json{
      {"schema_version", kSchemaVersion},
      {"crashcrawler_version", version},
      {"place", name_of(diagnosis.place)},
      {"system", system},
      {"user", world.user},
      {"checks", checks},
      {"trials", {json_of("bpf", trials.bpf), json_of("ptrace", trials.ptrace)}},
      {"capture", name_of(diagnosis.capture)},
      {"exit_status", diagnosis.exit_status},
      {"verdict", diagnosis.verdict},
      {"lines", lines_of_all_places(needs, world)},
      {"advice", diagnosis.advice},
  };
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace crashcrawler
