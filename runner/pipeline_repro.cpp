#include "runner/pipeline_repro.h"

#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <string>

#include "runner/base/address_randomization.h"
#include "runner/base/file.h"
#include "runner/base/resource_limits.h"
#include "runner/capture/environment_names.h"
#include "runner/launch/only_test.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

// RLIM_INFINITY, and what is as good as that.
std::optional<uint64_t> finite(rlim_t limit) {
  const bool is_finite = limit <= static_cast<rlim_t>(std::numeric_limits<int64_t>::max());
  return is_finite ? std::optional<uint64_t>(limit) : std::nullopt;
}

// /proc/sys/kernel/randomize_va_space (proc(5)) is for all, the other for us and what we start.
bool addresses_are_randomized() {
  const Result<std::string> setting = read_file("/proc/sys/kernel/randomize_va_space", 16);
  return !(setting && setting->starts_with("0")) && !has_fixed_addresses();
}

// "tests/test_a.py::test_b[1] (call)" -> "tests/test_a.py::test_b[1]", when that file is there.
std::string pytest_node(const TestCase& test, const std::string& directory) {
  for (const TestCandidate& candidate : test.candidates) {
    if (candidate.source != "environment PYTEST_CURRENT_TEST") {
      continue;
    }
    const std::string node = candidate.name.substr(0, candidate.name.rfind(" ("));
    std::error_code ignored;
    const bool is_there =
        fs::exists(fs::path(directory) / node.substr(0, node.find("::")), ignored);
    return is_there && node.find("::") != std::string::npos ? node : "";
  }
  return "";
}

// The name that --only may have; whether the command takes it is seen by trying.
std::string name_for_only(const CrashReport& report, const Command& command) {
  const TestCase& test = report.test;
  if (fs::path(command.arguments.front()).filename() == "ctest") {
    return test.runner == "ctest" ? test.runner_name : "";
  }
  if (test.framework == "pytest") {
    return pytest_node(test, command.working_directory);
  }
  // Its own process, or one that it has forked: what a test program starts besides may be one itself.
  const bool is_own = report.raw.ancestors.empty() || report.raw.arguments == command.arguments;
  return test.framework == "googletest" && is_own ? full_name(test) : "";
}

}  // namespace

Inherited inherited_now() {
  Inherited inherited;
  for (const std::string_view name : kEnvironmentNames) {
    if (const char* value = std::getenv(std::string(name).c_str())) {
      inherited.environment.push_back({std::string(name), value});
    }
  }
  for (const LimitKind& kind : kLimitKinds) {
    rlimit limit{};
    if (::getrlimit(kind.resource, &limit) == 0) {
      inherited.limits.push_back(
          {std::string(kind.name), finite(limit.rlim_cur), finite(limit.rlim_max)});
    }
  }
  inherited.randomizes_addresses = addresses_are_randomized();
  return inherited;
}

void find_tests_alone(Session& session) {
  std::map<std::pair<std::string, std::string>, TestAlone> known;  // by program and test
  for (CrashReport& report : session.crashes) {
    const std::string name = name_for_only(report, session.command);
    if (name.empty()) {
      continue;
    }
    const auto [found, is_new] = known.try_emplace({report.raw.executable, name});
    if (is_new) {
      Command command = session.command;
      if (run_only(name, report.raw.executable, command)) {
        found->second = {name, std::move(command.arguments)};
      }
    }
    report.alone = found->second;
  }
}

}  // namespace crashcrawler
