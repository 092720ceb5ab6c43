#include "runner/pipeline_steps.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
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
#include "runner/capture/tracer/serve_tracer.h"
#include "runner/classify/expect_rules.h"
#include "runner/classify/expected.h"
#include "runner/classify/verdict.h"
#include "runner/report/cores.h"
#include "runner/report/headline.h"
#include "runner/report/junit.h"
#include "runner/report/register_memory.h"
#include "runner/report/report.h"
#include "runner/report/text.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;
using Time = std::chrono::system_clock::time_point;

// Of a command that is run many times: crashes of one place that are kept whole, about 10 MB.
constexpr size_t kAlike = 100;

Result<ProbeProcess> find_and_start_probe() {
  const Result<std::string> path = find_probe();
  if (!path) {
    return path.error();
  }
  return start_probe(*path);
}

// The first sentence of the first two lines, for the first may say no more than that it did not work.
std::string in_one_line(const std::string& text) {
  std::string line = text;
  if (const size_t first = line.find('\n'); first != std::string::npos) {
    line.replace(first, 1, ": ");
  }
  line.resize(std::min(line.find('\n'), line.size()));
  line.resize(std::min(line.find(". "), line.size()));
  return line;
}

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
  std::string safe;
  for (const char letter : name.substr(0, kLongest)) {
    const bool allowed = std::isalnum(static_cast<unsigned char>(letter)) || letter == '.' ||
                         letter == '_' || letter == '-';
    safe += allowed ? letter : '_';
  }
  return safe;
}

bool is_killed_by(const Harness& harness, const RawCrash& death) {
  return death.cause == Cause::killed && death.sender && !death.sender->in_tree &&
         (death.sender->pid == harness.wrapper || death.sender->pid == harness.probe);
}

// Whether somebody's kill was the end of one of `alive`. Between the two a pid does not come back.
bool was_looked_at(const RawCrash& death, const std::vector<std::pair<pid_t, Time>>& alive) {
  return death.cause == Cause::killed && !death.oom_killed &&
         std::ranges::any_of(alive, [&](const auto& seen) {
           return seen.first == death.pid && seen.second <= death.time;
         });
}

void tell_as_hang(RawCrash& death) {
  death.cause = Cause::timeout;
  death.signal = {};
  death.sender.reset();
}

// A process that has children does nothing but wait for them, mostly: what hangs is below.
void put_parents_last(std::vector<RawCrash>& crashes) {
  std::set<pid_t> parents;
  for (const RawCrash& crash : crashes) {
    if (crash.cause == Cause::timeout && !crash.ancestors.empty()) {
      parents.insert(crash.ancestors.front().pid);
    }
  }
  std::stable_partition(crashes.begin(), crashes.end(), [&](const RawCrash& crash) {
    return crash.cause != Cause::timeout || !parents.contains(crash.pid);
  });
}

}  // namespace

Collector::Collector(CollectorChoice choice)
    : choice_(choice),
      process_(choice == CollectorChoice::ptrace ? Result<ProbeProcess>(Error{""})
                                                 : find_and_start_probe()) {}

Result<BpfSource> Collector::begin(pid_t held, const RunOptions& options,
                                   const Circumstances& circumstances, Recording& recording,
                                   const Outside& outside) {
  std::string why_not_bpf;
  if (choice_ == CollectorChoice::ptrace && outside.any()) {
    return Error{
        "ptrace(2) does not reach processes that the command has not started itself, like those of "
        "a "
        "container; it takes --collector=bpf"};
  }
  if (choice_ != CollectorChoice::ptrace) {
    Result<BpfSource> source = begin_with_current(held, options, circumstances, recording, outside);
    if (source || choice_ == CollectorChoice::bpf || outside.any()) {
      return source;
    }
    why_not_bpf = source.error().message;
    spdlog::warn("crashes are captured by ptrace(2), because BPF cannot be had: {}",
                 in_one_line(why_not_bpf));
  }
  backend_ = "ptrace";
  const std::string said =
      why_not_bpf.empty() ? "" : "BPF cannot be had (" + in_one_line(why_not_bpf) + ")";
  process_ = start_tracer([&](int socket) { serve_tracer(socket, said); });
  ended_ = false;
  Result<BpfSource> source = begin_with_current(held, options, circumstances, recording, outside);
  if (!source && !why_not_bpf.empty()) {
    return Error{why_not_bpf + "\n" + source.error().message};
  }
  return source;
}

Result<BpfSource> Collector::begin_with_current(pid_t held, const RunOptions& options,
                                                const Circumstances& circumstances,
                                                Recording& recording, const Outside& outside) {
  if (!process_) {
    return process_.error();
  }
  CaptureOptions capture;
  capture.crash_stack_bytes = options.crash_stack_bytes;
  capture.thread_stack_bytes = options.thread_stack_bytes;
  capture.ring_bytes = options.ring_bytes;
  capture.delegate = options.repeats;
  capture.alike = options.repeats ? kAlike : 0;
  capture.only_attached = outside.no_command;
  capture.watch_containers = outside.containers;
  capture.attached_cgroup = outside.cgroup;
  Result<BpfSource> source =
      BpfSource::begin(std::move(process_->socket), held, capture, circumstances, recording);
  if (source) {
    return source;
  }
  ended_ = true;
  const std::string words = wait_for_probe(*process_);
  return Error{source.error().message + (words.empty() ? "" : "\n" + words)};
}

void Collector::end() {
  if (process_ && !std::exchange(ended_, true)) {
    process_->socket.reset();
    wait_for_probe(*process_);
  }
}

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

Result<Recording> start_recording(const RunOptions& options, const Session& session,
                                  const Circumstances& circumstances) {
  if (options.record_file.empty()) {
    return Recording();
  }
  return Recording::create(options.record_file, session, circumstances);
}

UnwindLimits unwind_limits_of(const Command& command, const RunOptions& options) {
  UnwindLimits limits;
  limits.debug_directories = options.debug_directories;
  limits.debuginfod = options.debuginfod;
  limits.app_directories.push_back(work_tree_of(command.working_directory));
  return limits;
}

// The outcome that tells of the time in which `death` happened.
RunOutcome outcome_around(const RawCrash& death, const Session& session) {
  if (!session.repetition) {
    return session.outcome;
  }
  const Attempt* attempt = find_attempt(*session.repetition, death.attempt);
  return attempt ? outcome_of(*attempt) : RunOutcome();
}

void drop_deaths_on_purpose(Captured& captured, const Session& session) {
  const Harness harness{captured.wrapper_pid, captured.probe_pid};
  std::vector<std::pair<pid_t, Time>> alive;
  for (const RawCrash& crash : captured.crashes) {
    if (crash.alive) {
      alive.emplace_back(crash.pid, crash.time);
    }
  }
  std::erase_if(captured.crashes,
                [&](const RawCrash& death) { return was_looked_at(death, alive); });
  bool any_timed_out = false;
  for (RawCrash& death : captured.crashes) {
    const RunOutcome outcome = outcome_around(death, session);
    if (!outcome.timed_out) {
      continue;
    }
    any_timed_out = true;
    const Time over = outcome.started + *outcome.timed_out;
    if (is_killed_by(harness, death) && death.started <= over && over <= death.time) {
      tell_as_hang(death);
    }
  }
  if (any_timed_out) {
    put_parents_last(captured.crashes);
  }
  std::erase_if(captured.crashes,
                [&](const RawCrash& death) { return !may_be_crash(death, harness); });
}

// "/a/crashcrawler-12-0123abcd/attempt-7/x" -> 7; 0: nothing of the kind.
int attempt_in_cgroup(const std::string& cgroup) {
  constexpr std::string_view kOurs = "/crashcrawler-", kAttempt = "/attempt-";
  const size_t ours = cgroup.find(kOurs);
  const size_t at = ours == std::string::npos ? ours : cgroup.find(kAttempt, ours);
  int number = 0;
  if (at != std::string::npos) {
    std::from_chars(cgroup.data() + at + kAttempt.size(), cgroup.data() + cgroup.size(), number);
  }
  return number;
}

int attempt_by_ancestors(const RawCrash& crash, const std::vector<Attempt>& attempts) {
  const pid_t root = crash.ancestors.empty() ? crash.pid : crash.ancestors.back().pid;
  int number = 0;
  for (const Attempt& attempt : attempts) {  // the newest that was there: pids come back
    if (attempt.pid == root && attempt.started <= crash.time) {
      number = attempt.number;
    }
  }
  return number;
}

void find_attempts(Captured& captured, Session& session) {
  size_t unknown = 0;
  for (RawCrash& crash : captured.crashes) {
    crash.attempt = attempt_in_cgroup(crash.cgroup);
    if (crash.attempt == 0) {
      crash.attempt = attempt_by_ancestors(crash, session.repetition->attempts);
    }
    unknown += crash.attempt == 0 ? 1 : 0;
  }
  if (unknown > 0) {
    session.soft_errors.push_back(
        fmt::format("of {} deaths it is not known in which attempt they happened", unknown));
  }
}

void take_out_further(Captured& captured, Session& session) {
  std::vector<RawCrash>& all = captured.crashes;
  const auto abridged = std::stable_partition(
      all.begin(), all.end(), [](const RawCrash& crash) { return !crash.abridged; });
  Captured further;
  further.crashes.assign(std::make_move_iterator(abridged), std::make_move_iterator(all.end()));
  all.erase(abridged, all.end());
  find_attempts(further, session);
  for (RawCrash& crash : further.crashes) {
    session.repetition->further.push_back({std::move(crash.place), crash.attempt});
  }
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

Result<std::vector<ExpectRule>> expect_rules_of(const RunOptions& options) {
  constexpr size_t kLargestFile = 1 << 20;
  std::vector<ExpectRule> rules = options.expect_rules;
  for (const std::string& file : options.expect_files) {
    const Result<std::string> text = read_file(file, kLargestFile);
    if (!text) {
      return text.error().in("--expect-file");
    }
    Result<std::vector<ExpectRule>> more = parse_expect_file(*text, file);
    if (!more) {
      return more.error().in("--expect-file");
    }
    rules.insert(rules.end(), more->begin(), more->end());
  }
  return rules;
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

Result<void> prepare_reports(RunOptions& options) {
  const Result<void> prepared = prepare_output_directory(options.output_directory);
  if (prepared || !options.best_effort) {
    return prepared;
  }
  spdlog::warn("there will be no report: {}", prepared.error().message);
  options.output_directory.clear();
  return {};
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
