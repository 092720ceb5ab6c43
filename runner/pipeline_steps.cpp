#include "runner/pipeline_steps.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "runner/attribute/test_case/find_tests.h"
#include "runner/attribute/test_case/listed_tests.h"
#include "runner/augment/augment.h"
#include "runner/base/file.h"
#include "runner/capture/live_snapshot.h"
#include "runner/classify/expected.h"
#include "runner/classify/verdict.h"
#include "runner/pipeline_deaths.h"
#include "runner/report/cores.h"
#include "runner/report/headline.h"
#include "runner/report/junit.h"
#include "runner/report/register_memory.h"
#include "runner/report/report.h"
#include "runner/report/text.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

std::string pretty_os_name() {
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    const Result<std::string> text = read_file(path);
    std::istringstream lines(text ? *text : "");
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("PRETTY_NAME=")) {
        std::string name = line.substr(12);
        if (name.size() >= 2 && name.front() == '"') {
          name = name.substr(1, name.size() - 2);
        }
        return name;
      }
    }
  }
  return "";
}

// The checkout around `directory`, or `directory` itself when there is none.
std::string work_tree_of(const std::string& directory) {
  std::error_code ignored;
  for (fs::path here = directory; here.has_relative_path(); here = here.parent_path()) {
    if (fs::exists(here / ".git", ignored)) {
      return here;
    }
  }
  return directory;
}

std::string file_name_safe(const std::string& name) {
  constexpr size_t kLongest = 64;
  if (name.empty()) {
    return "unknown";
  }
  std::string safe;
  for (const char letter : name.substr(0, kLongest)) {
    const bool allowed = std::isalnum(static_cast<unsigned char>(letter)) || letter == '.' ||
                         letter == '_' || letter == '-';
    safe += allowed ? letter : '_';
  }
  return safe;
}

}  // namespace

Session describe_session(const Command& command) {
  Session session;
  session.command = command;
  session.backend = "bpf";
  utsname kernel{};
  ::uname(&kernel);
  session.system.os = kernel.sysname;
  session.system.kernel = kernel.release;
  session.system.cpu_arch = kernel.machine;
  session.system.os_release = pretty_os_name();
  session.system.cpu_count = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (const char* image = std::getenv("CRASHCRAWLER_IMAGE")) {
    session.system.container_image = image;
  }
  return session;
}

Supervision supervision_of(const RunOptions& options, Result<BpfSource>& source,
                           const Collector& collector) {
  Supervision supervision;
  supervision.linger = options.linger;
  supervision.leftovers = options.leftovers;
  supervision.timeout = options.timeout;
  supervision.grace = options.grace;
  if (source) {
    supervision.cgroup = source->cgroup();
    if (supervision.cgroup.empty()) {
      supervision.list_tree = [&source] { return source->list_tree(); };
    } else {
      supervision.kill_tree = [&source] { source->kill_tree(); };
    }
    const bool traced = collector.backend() == "ptrace";
    supervision.at_timeout = [&source, &options, traced](const std::vector<pid_t>& pids) {
      if (traced) {  // what has a tracer can have no other
        return source->look_at_tree();
      }
      return snapshot_tree({options.crash_stack_bytes, options.thread_stack_bytes, pids},
                           [&source](std::string_view record) { source->add(record); });
    };
  }
  return supervision;
}

UnwindLimits unwind_limits_of(const Command& command, const RunOptions& options) {
  UnwindLimits limits;
  limits.debug_directories = options.debug_directories;
  limits.debuginfod = options.debuginfod;
  limits.app_directories.push_back(work_tree_of(command.working_directory));
  return limits;
}

void make_reports(std::vector<RawCrash> crashes, std::vector<Backtrace> backtraces,
                  Session& session) {
  std::vector<CrashReport>& reports = session.crashes;
  std::vector<std::string> unclear;
  for (size_t i = 0; i < crashes.size(); ++i) {
    CrashReport report;
    report.raw = std::move(crashes[i]);
    report.backtrace = std::move(backtraces[i]);
    if (!judge(report)) {
      if (const std::string why = why_unclear(report.raw); !why.empty()) {
        unclear.push_back(why);
      }
      continue;
    }
    reports.push_back(std::move(report));
  }
  drop_relayed(reports);
  for (size_t i = 0; i < reports.size(); ++i) {
    CrashReport& report = reports[i];
    const std::string program = fs::path(report.raw.executable).filename();
    report.id = fmt::format("{:04}-{}-{}", i + 1,
                            file_name_safe(program.empty() ? report.raw.name : program),
                            file_name_safe(event_name(report)));
  }
  if (!unclear.empty()) {
    session.soft_errors.push_back(
        unclear.size() == 1
            ? unclear.front()
            : fmt::format("{} (and {} more like this)", unclear.front(), unclear.size() - 1));
  }
}

void name_tests(Session& session, const std::vector<ExpectRule>& rules, const RunOptions& options) {
  const auto tell = [&](std::vector<std::string> problems) {
    session.soft_errors.insert(session.soft_errors.end(), problems.begin(), problems.end());
  };
  tell(find_tests(session, options.replay_file.empty()));
  if (!session.repetition) {
    tell(mark_expected(session.crashes, rules, session.outcome));
    return;
  }
  // One attempt is evidence for itself only.
  std::map<int, std::vector<size_t>> places;
  for (size_t i = 0; i < session.crashes.size(); ++i) {
    places[session.crashes[i].raw.attempt].push_back(i);
  }
  std::optional<std::set<std::string>> unused;  // by all
  for (const auto& [attempt, indexes] : places) {
    std::vector<CrashReport> own;
    for (const size_t i : indexes) {
      own.push_back(std::move(session.crashes[i]));
    }
    const RunOutcome outcome = outcome_around(own.front().raw, session);
    const std::vector<std::string> told = mark_expected(own, rules, outcome);
    std::set<std::string> here(told.begin(), told.end());
    if (unused) {
      std::erase_if(*unused, [&](const std::string& rule) { return !here.contains(rule); });
    } else {
      unused = std::move(here);
    }
    for (size_t i = 0; i < indexes.size(); ++i) {
      session.crashes[indexes[i]] = std::move(own[i]);
    }
  }
  if (!unused) {
    std::vector<CrashReport> none;
    tell(mark_expected(none, rules, session.outcome));
  } else {
    tell({unused->begin(), unused->end()});
  }
}

void let_stacks_go(std::vector<CrashReport>& crashes) {
  for (CrashReport& crash : crashes) {
    keep_memory_of_registers(crash);
    for (RawThread& thread : crash.raw.threads) {
      thread.stack = {};
    }
  }
}

uint64_t count_truncated(const std::vector<CrashReport>& crashes) {
  return static_cast<uint64_t>(std::ranges::count_if(
      crashes, [](const CrashReport& crash) { return !crash.raw.soft_errors.empty(); }));
}

void augment_reports_of_others(Session& session, const RunOptions& options) {
  if (session.repetition) {
    return;  // they are those of the last attempt, or of several at a time in one
  }
  if (!options.replay_file.empty()) {
    return;  // they are those of another time, and perhaps of another machine
  }
  const AugmentWords words = {
      [&](const CrashReport& crash) {
        return junit_error(crash, session, options.output_directory);
      },
      [](std::string_view bytes) { return printable(bytes, Lines::many); },
      brief,
  };
  AugmentOptions what{options.augment_junit, options.augment_by_itself, {}};
  if (options.list_tests) {
    what.list_tests = [](const CrashReport& crash) { return list_tests(crash); };
  }
  for (std::string& problem : augment_junit(session, what, words)) {
    session.soft_errors.push_back(std::move(problem));
  }
}

Result<void> write_reports_of(Session& session, const RunOptions& options) {
  if (options.output_directory.empty()) {
    return {};
  }
  Result<void> written = write_reports(session, options.output_directory, options.junit_profile);
  if (!written && give_up_cores(session, options.output_directory)) {
    written = write_reports(session, options.output_directory, options.junit_profile);
  }
  if (!written) {
    return Error{
        written.error().message + "; what is in " + options.output_directory + " is not complete",
        written.error().exit_status};
  }
  return {};
}

int exit_status_of(const Session& session, const RunOptions& options, const Result<void>& written) {
  if (!written && !options.best_effort) {
    return written.error().exit_status;
  }
  constexpr int kCrashBehindSuccess = 70, kTimedOut = 124, kHarnessFailed = 125;
  const RunOutcome& outcome = session.outcome;
  if (!session.health.complete && !options.best_effort) {
    return kHarnessFailed;
  }
  if (outcome.timed_out) {
    return kTimedOut;
  }
  if (outcome.signal != 0) {
    return 128 + outcome.signal;
  }
  const bool crashed =
      std::ranges::any_of(session.crashes, is_unexpected) || session.health.lost_crashes > 0;
  if (outcome.exit_code == 0 && crashed && options.fail_on == FailOn::crash) {
    return kCrashBehindSuccess;
  }
  return outcome.exit_code;
}

}  // namespace crashcrawler
