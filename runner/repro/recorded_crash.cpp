// A report may come from anywhere: nothing here trusts that a member is there or of its type.
#include "runner/repro/recorded_crash.h"

#include <algorithm>
#include <cmath>

namespace crashcrawler {
namespace {

constexpr const char* kReplacement =
    "\xef\xbf\xbd";  // what stands in JSON for bytes that are no UTF-8

std::vector<std::string> strings_at(const Json& json, const char* key) {
  std::vector<std::string> strings;
  for (const Json& string : array_at(json, key)) {
    strings.push_back(string.is_string() ? string.get<std::string>() : "");
  }
  return strings;
}

// 0 when it is missing or negative.
uint64_t unsigned_at(const Json& json, const char* key) {
  const Json& found = member(json, key);
  return found.is_number_unsigned() ? found.get<uint64_t>() : 0;
}

std::optional<uint64_t> limit_at(const Json& json, const char* key) {
  return member(json, key).is_number_unsigned() ? std::optional(unsigned_at(json, key))
                                                : std::nullopt;
}

Inherited inherited_of(const Json& run) {
  Inherited inherited;
  const Json& environment = member(run, "environment");
  for (auto variable = environment.begin(); variable != environment.end(); ++variable) {
    if (environment.is_object() && variable->is_string()) {
      inherited.environment.push_back({variable.key(), variable->get<std::string>()});
    }
  }
  const Json& limits = member(run, "limits");
  for (auto limit = limits.begin(); limit != limits.end(); ++limit) {
    if (limits.is_object()) {
      inherited.limits.push_back({limit.key(), limit_at(*limit, "soft"), limit_at(*limit, "hard")});
    }
  }
  inherited.randomizes_addresses = !member(run, "aslr").is_boolean() || flag_at(run, "aslr");
  return inherited;
}

std::vector<RecordedModule> modules_of(const Json& crash) {
  std::vector<RecordedModule> modules;
  for (const Json& module : array_at(crash, "modules")) {
    const std::string path = string_at(module, {"filename"});
    if (path.starts_with('/')) {
      modules.push_back(
          {path, string_at(module, {"build_id"}), !string_at(module, {"package", "name"}).empty()});
    }
  }
  return modules;
}

std::optional<RecordedChaos> chaos_of(const Json& crash) {
  const Json& chaos = member(crash, "chaos");
  if (!chaos.is_object()) {
    return std::nullopt;
  }
  const Json& settings = member(chaos, "settings");
  constexpr int64_t kMost = 1'000'000;
  return RecordedChaos{unsigned_at(chaos, "seed"),
                       static_cast<int>(std::clamp<int64_t>(number_at(chaos, "attempt"), 1, kMost)),
                       !member(settings, "aslr").is_boolean() || flag_at(settings, "aslr")};
}

// How many attempts it takes to the first crash says less of its rate than so many attempts that were fixed before: of crashes of this
// rate one in forty comes within so few (geometric distribution).
double least_rate_of_first(int64_t attempts) {
  constexpr double kOneInForty = 0.025;
  return 1 - std::pow(1 - kOneInForty, 1.0 / static_cast<double>(std::max<int64_t>(attempts, 1)));
}

std::optional<double> least_rate_of(const Json& report, const Fingerprint& fingerprint) {
  const Json& attempts = member(report, "attempts");
  if (!attempts.is_object()) {
    return std::nullopt;
  }
  for (const Json& signature : array_at(attempts, "signatures")) {
    const Json& low = member(signature, "rate_low");
    if (string_at(signature, {"hash"}) == fingerprint.hash && low.is_number()) {
      return string_at(attempts, {"ended_by"}) == "crash"
                 ? std::min(low.get<double>(), least_rate_of_first(number_at(attempts, "count")))
                 : low.get<double>();
    }
  }
  return 0;
}

bool has_lost_bytes(const std::string& text) {
  return text.find(kReplacement) != std::string::npos;
}

}  // namespace

Fingerprint fingerprint_of(const Json& crash) {
  return {string_at(crash, {"signature", "algorithm"}), string_at(crash, {"signature", "hash"})};
}

Result<RecordedCrash> recorded_crash(const Json& report, const Json& crash) {
  const Json& run = member(report, "run");
  RecordedCrash recorded;
  recorded.id = string_at(crash, {"id"});
  recorded.fingerprint = fingerprint_of(crash);
  recorded.command = strings_at(run, "command_args");
  recorded.working_directory = string_at(run, {"working_directory"});
  recorded.inherited = inherited_of(run);
  recorded.only = string_at(crash, {"only"});
  const Json& timeout = member(run, "timeout_s");
  if (timeout.is_number() && timeout.get<double>() > 0) {
    recorded.timeout = std::chrono::milliseconds(
        static_cast<int64_t>(std::min(timeout.get<double>(), 604'800.0) * 1000));  // a week
  }
  recorded.program = string_at(crash, {"process", "executable", "path"});
  recorded.build_id = string_at(crash, {"process", "executable", "build_id"});
  recorded.process_directory = string_at(crash, {"process", "working_directory"});
  recorded.modules = modules_of(crash);
  recorded.chaos = chaos_of(crash);
  recorded.least_rate = least_rate_of(report, recorded.fingerprint);
  recorded.container_image = string_at(report, {"system_info", "container_image"});

  if (recorded.fingerprint.hash.empty()) {
    return Error{"the crash has no fingerprint, so nobody could say whether it has come back"};
  }
  if (recorded.command.empty() || recorded.command.front().empty()) {
    return Error{"the report does not say which command was run"};
  }
  if (!recorded.working_directory.starts_with('/')) {
    return Error{"the report does not say in which folder the command was run"};
  }
  if (std::ranges::any_of(recorded.command, has_lost_bytes) ||
      has_lost_bytes(recorded.working_directory)) {
    return Error{
        "the command has bytes that are no UTF-8, which a report does not hold; run crashes/" +
        recorded.id + ".repro.sh, which has them"};
  }
  return recorded;
}

}  // namespace crashcrawler
