// JSON is UTF-8, and arguments are any bytes. Each byte becomes the character of that number, so
// that all of them come back and ASCII stays readable.
#include "runner/capture/recorded_run.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "bpf/crash_event.h"

namespace crashcrawler {
namespace {

using Json = nlohmann::json;
using std::chrono::nanoseconds;
using Time = std::chrono::system_clock::time_point;

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLongestMs = kMost / 1'000'000;  // still a number of nanoseconds

std::string characters_of(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | byte >> 6);
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

std::string bytes_of(const Json& json) {
  const auto& text = json.get_ref<const std::string&>();
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool pair = byte >= 0x80 && i + 1 < text.size();
    bytes += pair ? static_cast<char>(byte << 6 | (text[++i] & 0x3f)) : text[i];
  }
  return bytes;
}

Json to_json(const std::vector<std::string>& strings) {
  Json json = Json::array();
  for (const std::string& string : strings) {
    json.push_back(characters_of(string));
  }
  return json;
}

std::vector<std::string> strings_of(const Json& json) {
  std::vector<std::string> strings;
  for (const Json& string : json.get_ref<const Json::array_t&>()) {
    strings.push_back(bytes_of(string));
  }
  return strings;
}

Json to_json(const SystemInfo& system) {
  return {{"os", characters_of(system.os)},
          {"kernel", characters_of(system.kernel)},
          {"cpu_arch", characters_of(system.cpu_arch)},
          {"os_release", characters_of(system.os_release)},
          {"cpu_count", system.cpu_count},
          {"container_image", characters_of(system.container_image)}};
}

Json to_json(const std::optional<uint64_t>& limit) {
  return limit ? Json(*limit) : Json();
}

Json to_json(const Inherited& inherited) {
  Json environment = Json::array(), limits = Json::array();
  for (const EnvironmentVariable& variable : inherited.environment) {
    environment.push_back({characters_of(variable.name), characters_of(variable.value)});
  }
  for (const ResourceLimit& limit : inherited.limits) {
    limits.push_back({limit.name, to_json(limit.soft), to_json(limit.hard)});
  }
  return {{"environment", std::move(environment)},
          {"limits", std::move(limits)},
          {"randomizes_addresses", inherited.randomizes_addresses}};
}

Json to_json(const std::vector<LeftoverProcess>& processes) {
  Json json = Json::array();
  for (const LeftoverProcess& process : processes) {
    json.push_back({{"pid", process.pid},
                    {"name", characters_of(process.name)},
                    {"arguments", to_json(process.arguments)}});
  }
  return json;
}

int64_t nanoseconds_of(Time time) {
  return std::chrono::duration_cast<nanoseconds>(time.time_since_epoch()).count();
}

// A whole number between `least` and `most`. The file may hold anything.
int64_t number_of(const Json& json, int64_t least, int64_t most) {
  const bool whole = json.is_number_integer() &&
                     !(json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{kMost});
  const int64_t number = whole ? json.get<int64_t>() : 0;
  if (!whole || number < least || number > most) {
    throw std::out_of_range("no such number");
  }
  return number;
}

int int_of(const Json& json, int most = std::numeric_limits<int>::max()) {
  return static_cast<int>(number_of(json, 0, most));
}

Time time_of(const Json& json) {
  return Time(nanoseconds(number_of(json, 0, kMost)));
}

SystemInfo system_of(const Json& json) {
  SystemInfo system;
  system.os = bytes_of(json.at("os"));
  system.kernel = bytes_of(json.at("kernel"));
  system.cpu_arch = bytes_of(json.at("cpu_arch"));
  system.os_release = bytes_of(json.at("os_release"));
  system.cpu_count = int_of(json.at("cpu_count"));
  if (json.contains("container_image")) {
    system.container_image = bytes_of(json.at("container_image"));
  }
  return system;
}

std::optional<uint64_t> limit_of(const Json& json) {
  return json.is_null() ? std::nullopt
                        : std::optional(static_cast<uint64_t>(number_of(json, 0, kMost)));
}

Inherited inherited_of(const Json& json) {
  Inherited inherited;
  for (const Json& variable : json.at("environment").get_ref<const Json::array_t&>()) {
    inherited.environment.push_back({bytes_of(variable.at(0)), bytes_of(variable.at(1))});
  }
  for (const Json& limit : json.at("limits").get_ref<const Json::array_t&>()) {
    inherited.limits.push_back(
        {limit.at(0).get<std::string>(), limit_of(limit.at(1)), limit_of(limit.at(2))});
  }
  inherited.randomizes_addresses = json.at("randomizes_addresses").get<bool>();
  return inherited;
}

std::vector<LeftoverProcess> leftovers_of(const Json& json) {
  std::vector<LeftoverProcess> processes;
  for (const Json& process : json.get_ref<const Json::array_t&>()) {
    processes.push_back({int_of(process.at("pid")), bytes_of(process.at("name")),
                         strings_of(process.at("arguments"))});
  }
  return processes;
}

RunOutcome outcome_of(const Json& json) {
  RunOutcome outcome;
  outcome.started = time_of(json.at("started_ns"));
  outcome.duration = nanoseconds(number_of(json.at("duration_ns"), 0, kMost));
  outcome.exit_code = int_of(json.at("exit_code"), 255);
  outcome.signal = int_of(json.at("signal"), 64);
  outcome.leftovers = leftovers_of(json.at("leftovers"));
  outcome.interrupted = json.at("interrupted").get<bool>();
  if (json.contains("timed_out_ms")) {
    outcome.timed_out =
        std::chrono::milliseconds(number_of(json.at("timed_out_ms"), 0, kLongestMs));
  }
  return outcome;
}

}  // namespace

std::string run_to_text(const Session& session, const Circumstances& circumstances) {
  Json json = {{"record_version", CC_RECORD_VERSION},
               {"arguments", to_json(session.command.arguments)},
               {"working_directory", characters_of(session.command.working_directory)},
               {"system", to_json(session.system)},
               {"backend", characters_of(session.backend)},
               {"wrapper_pid", circumstances.wrapper_pid},
               {"boot_to_wall_ns", circumstances.boot_to_wall.count()},
               {"begun_ns", nanoseconds_of(std::chrono::system_clock::now())}};
  if (session.inherited) {
    json["inherited"] = to_json(*session.inherited);
  }
  return json.dump();
}

Result<RecordedRun> run_from_text(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    const int64_t version = number_of(json.at("record_version"), kLeast, kMost);
    if (version != CC_RECORD_VERSION) {
      return Error{"its records have layout " + std::to_string(version) +
                   ", this crashcrawler-run reads layout " + std::to_string(CC_RECORD_VERSION) +
                   "; replay it with the version that recorded it"};
    }
    RecordedRun run;
    run.session.command = {strings_of(json.at("arguments")),
                           bytes_of(json.at("working_directory"))};
    run.session.system = system_of(json.at("system"));
    run.session.backend = bytes_of(json.at("backend"));
    if (json.contains("inherited")) {
      run.session.inherited = inherited_of(json.at("inherited"));
    }
    run.session.outcome.started = time_of(json.at("begun_ns"));
    run.circumstances.wrapper_pid = int_of(json.at("wrapper_pid"));
    run.circumstances.boot_to_wall =
        nanoseconds(number_of(json.at("boot_to_wall_ns"), kLeast, kMost));
    return run;
  } catch (const std::exception&) {
    return Error{"it does not say what was run"};
  }
}

std::string outcome_to_text(const Session& session, const std::string& not_captured) {
  const RunOutcome& outcome = session.outcome;
  Json json = {{"started_ns", nanoseconds_of(outcome.started)},
               {"duration_ns", outcome.duration.count()},
               {"exit_code", outcome.exit_code},
               {"signal", outcome.signal},
               {"leftovers", to_json(outcome.leftovers)},
               {"interrupted", outcome.interrupted},
               {"soft_errors", to_json(session.soft_errors)},
               {"backend", characters_of(session.backend)},
               {"not_captured", characters_of(not_captured)}};
  if (outcome.timed_out) {
    json["timed_out_ms"] = outcome.timed_out->count();
  }
  return json.dump();
}

Result<void> add_outcome(const std::string& text, RecordedRun& run) {
  try {
    const Json json = Json::parse(text);
    RunOutcome outcome = outcome_of(json);
    std::vector<std::string> soft_errors = strings_of(json.at("soft_errors"));
    run.not_captured = bytes_of(json.at("not_captured"));
    if (json.contains("backend")) {  // what was begun with may not be what it came to
      run.session.backend = bytes_of(json.at("backend"));
    }
    run.session.outcome = std::move(outcome);
    run.session.soft_errors = std::move(soft_errors);
    return {};
  } catch (const std::exception&) {
    return Error{"it does not say how the run ended"};
  }
}

}  // namespace crashcrawler
