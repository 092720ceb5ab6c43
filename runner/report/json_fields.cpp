// Small and shared; see json_record.cpp and json_report.cpp for the shape of the documents.
#include "runner/report/json_fields.h"

#include <utility>

namespace crashcrawler {

void put(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) {
    object[key] = value;
  }
}

void put(Json& object, const char* key, const std::vector<std::string>& values) {
  if (!values.empty()) {
    object[key] = values;
  }
}

void put(Json& object, const char* key, Json value) {
  if (!value.empty()) {
    object[key] = std::move(value);
  }
}

void put_positive(Json& object, const char* key, int64_t value) {
  if (value > 0) {
    object[key] = value;
  }
}

// error_handler_t::replace: names in a dead process need not be UTF-8, and the default handler
// throws.
// What was as it would have been without is not written.
Json chaos_json(const Repetition& repetition, const Attempt& attempt) {
  Json json = Json::object();
  if (!repetition.seed || !attempt.chaos) {
    return json;
  }
  const ChaosSettings& chaos = *attempt.chaos;
  Json settings = Json::object();
  settings["aslr"] = chaos.randomize_addresses;
  settings["priority"] = chaos.priority == Priority::idle    ? "idle"
                         : chaos.priority == Priority::batch ? "batch"
                                                             : "normal";
  put_positive(settings, "nice", chaos.nice);
  put_positive(settings, "cpus", chaos.cpus);
  put_positive(settings, "go_us", chaos.go_us);
  put_positive(settings, "stop_us", chaos.stop_us);
  if (chaos.stop_one_cpu) {
    settings["stop_one_cpu"] = true;
  }
  if (chaos.stop_threads) {
    settings["stop_threads"] = true;
  }
  put_positive(settings, "timer_slack_us", chaos.timer_slack_us);
  put_positive(settings, "malloc_perturb", chaos.malloc_perturb);
  put_positive(settings, "memory_high", static_cast<int64_t>(chaos.memory_high));
  put_positive(settings, "io_bytes_per_second", static_cast<int64_t>(chaos.io_bytes_per_second));
  json["seed"] = *repetition.seed;
  json["attempt"] = chaos.number;
  json["settings"] = std::move(settings);
  return json;
}

std::string text_of(const Json& json) {
  return json.dump(static_cast<int>(kJsonIndent), ' ', false, Json::error_handler_t::replace);
}

Json system_info_json(const SystemInfo& system) {
  Json json = Json::object();
  put(json, "os", system.os);
  put(json, "kernel", system.kernel);
  put(json, "cpu_arch", system.cpu_arch);
  put_positive(json, "cpu_count", system.cpu_count);
  put(json, "os_release", system.os_release);
  put(json, "container_image", system.container_image);
  return json;
}

Json collector_json(const Session& session) {
  Json json = Json::object();
  json["name"] = "crashcrawler";
  json["version"] = CRASHCRAWLER_VERSION;
  put(json, "backend", session.backend);
  return json;
}

}  // namespace crashcrawler
