// CLI11 knows the options; what is ours is where they end. In its prefix mode it hands back what it
// does not know, in order: the command when that is a word, a mistake when it begins with a dash.
#include "runner/main/options.h"

#include <CLI/CLI.hpp>
#include <bit>
#include <charconv>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <system_error>

#include "runner/classify/expect_rules.h"
#include "runner/launch/engine_command.h"

namespace crashcrawler {
namespace {

constexpr int kUsageError = 125;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kMostAttempts = 1'000'000;

struct Number {
  uint64_t value = 0;
  std::string unit;
};

std::optional<Number> number_with_unit(const std::string& text) {
  Number number;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  if (error != std::errc()) {
    return std::nullopt;
  }
  number.unit.assign(rest, text.data() + text.size());
  return number;
}

// A whole number and its unit: "500ms", "2s".
std::chrono::milliseconds parse_duration(const std::string& text) {
  constexpr uint64_t kLongest = 7 * 24 * 3600;  // a week, in seconds
  const std::optional<Number> number = number_with_unit(text);
  if (number && number->unit == "ms" && number->value <= kLongest * 1000) {
    return std::chrono::milliseconds(number->value);
  }
  if (number && number->unit == "s" && number->value <= kLongest) {
    return std::chrono::seconds(number->value);
  }
  throw CLI::ValidationError("'" + text +
                             "' is no duration; write it as 500ms or 2s, at most a week");
}

std::chrono::milliseconds parse_timeout(const std::string& text) {
  const std::chrono::milliseconds timeout = parse_duration(text);
  if (timeout.count() == 0) {
    throw CLI::ValidationError("'" + text + "' leaves the command no time");
  }
  return timeout;
}

// "65536", "64K", "16M"; in powers of 1024.
uint64_t parse_size(const std::string& text, uint64_t least, uint64_t most) {
  static const std::map<std::string, int> kShifts = {{"", 0}, {"K", 10}, {"M", 20}, {"G", 30}};
  const std::optional<Number> number = number_with_unit(text);
  const auto shift = number ? kShifts.find(number->unit) : kShifts.end();
  if (shift == kShifts.end() || number->value > (most >> shift->second) ||
      (number->value << shift->second) < least) {
    throw CLI::ValidationError("'" + text + "' is no size between " + std::to_string(least) +
                               " and " + std::to_string(most) +
                               " bytes; write it as 65536, 64K or 16M");
  }
  return number->value << shift->second;
}

uint32_t parse_stack_size(const std::string& text) {
  const uint64_t bytes = parse_size(text, kPage, 8 << 20);
  return static_cast<uint32_t>((bytes + kPage - 1) / kPage * kPage);
}

uint32_t parse_ring_size(const std::string& text) {
  return static_cast<uint32_t>(std::bit_ceil(parse_size(text, 256 << 10, 1 << 30)));
}

// An empty one, from a variable that was not set, would read as if the option had not been given.
const std::string& file_name(const std::string& word) {
  if (word.empty()) {
    throw CLI::ValidationError("the name of a file is missing");
  }
  return word;
}

// An option whose word `take` turns into a value; a CLI::ValidationError of it is told with the
// option's name.
void declare(CLI::App& app, const std::string& name, const char* type, const char* help,
             const std::function<void(const std::string&)>& take) {
  const auto named = [name, take](const std::string& word) {
    try {
      take(word);
    } catch (const CLI::ValidationError& error) {
      throw CLI::ValidationError(name, error.what());
    }
  };
  app.add_option_function<std::string>(name, named, help)->type_name(type);
}

template <typename T>
T one_of(const std::map<std::string, T>& values, const std::string& word) {
  const auto found = values.find(word);
  if (found == values.end()) {
    std::string known;
    for (const auto& [name, value] : values) {
      known += (known.empty() ? "" : ", ") + name;
    }
    throw CLI::ValidationError("'" + word + "' is none of " + known);
  }
  return found->second;
}

int parse_number(const std::string& text, uint64_t most) {
  const std::optional<Number> number = number_with_unit(text);
  if (!number || !number->unit.empty() || number->value == 0 || number->value > most) {
    throw CLI::ValidationError("'" + text + "' is no number from 1 to " + std::to_string(most));
  }
  return static_cast<int>(number->value);
}

// "SEED" or "SEED:NUMBER".
void parse_chaos(const std::string& text, AttemptPlan& plan) {
  if (text.empty()) {
    plan.chaos_seed = std::random_device()();
    return;
  }
  const std::optional<Number> seed = number_with_unit(text);
  if (!seed || (!seed->unit.empty() && seed->unit.front() != ':')) {
    throw CLI::ValidationError("'" + text +
                               "' is no seed; it is the number that a run has printed");
  }
  plan.chaos_seed = seed->value;
  if (!seed->unit.empty()) {
    plan.chaos_first = parse_number(seed->unit.substr(1), kMostAttempts);
  }
}

void declare_attempt_options(CLI::App& app, RunOptions& options) {
  constexpr uint64_t kMostJobs = 256;
  AttemptPlan& plan = options.attempts;
  declare(app, "--repeat", "N", "Run the command N times, or at most N times with the next two",
          [&](const std::string& word) { plan.most = parse_number(word, kMostAttempts); });
  app.add_flag("--until-crash", plan.until_crash,
               "Run the command until something in it crashes that was not meant to");
  declare(app, "--until-fingerprint", "HASH",
          "The same, but until the crash comes whose signature begins so",
          [&](const std::string& word) {
            constexpr size_t kLeastDigits = 4;
            if (word.size() < kLeastDigits ||
                word.find_first_not_of("0123456789abcdef") != std::string::npos) {
              throw CLI::ValidationError("'" + word +
                                         "' is no fingerprint: four or more lower-case "
                                         "hexadecimal digits, as a report has them");
            }
            plan.until_crash = true;
            plan.until_fingerprint = word;
          });
  declare(app, "--for", "DURATION", "Run the command again and again, until this time is over",
          [&](const std::string& word) { plan.duration = parse_timeout(word); });
  declare(app, "--jobs", "N", "With these, so many runs at a time (default: 1)",
          [&](const std::string& word) { plan.jobs = parse_number(word, kMostJobs); });
  app.add_option("--only", options.only,
                 "Of the command, ctest, pytest or a GoogleTest program, run this test alone")
      ->type_name("TEST");
  app.add_option_function<std::string>(
         "--chaos",
         [&](const std::string& word) {
           try {
             parse_chaos(word, plan);
           } catch (const CLI::ValidationError& error) {
             throw CLI::ValidationError("--chaos", error.what());
           }
         },
         "Disturb each run in another way, by priorities, processors, stops of threads and more, "
         "so that races "
         "show; --chaos=SEED does what the run did that has printed SEED, --chaos=SEED:N from its "
         "attempt N on")
      ->type_name("[=SEED[:N]]")
      ->expected(0, 1)
      ->default_str("");
}

void declare_options(CLI::App& app, RunOptions& options) {
  declare_attempt_options(app, options);
  static const std::map<std::string, LeftoverPolicy> kPolicies = {{"leave", LeftoverPolicy::leave},
                                                                  {"wait", LeftoverPolicy::wait},
                                                                  {"kill", LeftoverPolicy::kill}};
  static const std::map<std::string, FailOn> kFailOn = {{"crash", FailOn::crash},
                                                        {"never", FailOn::never}};

  app.add_option("--output-dir", options.output_directory,
                 "Where the reports go (default: crashcrawler-out)")
      ->type_name("DIR");
  declare(app, "--linger", "DURATION",
          "How long to wait for processes that outlive the command (default: 2s)",
          [&options](const std::string& word) { options.linger = parse_duration(word); });
  declare(app, "--leftovers", "leave|wait|kill",
          "What to do with them after that: leave them, wait for all of them, or kill them "
          "(default: leave)",
          [&options](const std::string& word) { options.leftovers = one_of(kPolicies, word); });
  declare(app, "--timeout", "DURATION",
          "When the command has not ended by then, report every process of it as a hang, with its "
          "stacks, end them all and exit with 124 (default: no limit)",
          [&options](const std::string& word) { options.timeout = parse_timeout(word); });
  declare(app, "--grace", "DURATION",
          "How long they may take to end after SIGTERM before they are killed (default: 5s)",
          [&options](const std::string& word) { options.grace = parse_duration(word); });
  app.add_flag("--keep-core", options.keep_core,
               "Leave RLIMIT_CORE alone: the system's core dumps take place as well");
  app.add_option(
         "--user", options.user,
         "Run the command as this user when started by root (default: the user behind sudo)")
      ->type_name("NAME");
  declare(app, "--fail-on", "crash|never",
          "When a command that succeeded makes us end with 70 (default: crash)",
          [&options](const std::string& word) { options.fail_on = one_of(kFailOn, word); });
  app.add_flag("--best-effort", options.best_effort,
               "Run the command even where crashes cannot be captured, or no reports be written");
  static const std::map<std::string, CollectorChoice> kCollectors = {
      {"auto", CollectorChoice::automatic},
      {"bpf", CollectorChoice::bpf},
      {"ptrace", CollectorChoice::ptrace}};
  declare(app, "--collector", "auto|bpf|ptrace",
          "What crashes are captured with: BPF, which needs privilege, or ptrace(2), which needs "
          "none, costs more and sees a little less; auto: BPF where it can be had (default: auto)",
          [&options](const std::string& word) { options.collector = one_of(kCollectors, word); });
  static const std::map<std::string, Sanitizers> kSanitizers = {{"leave", Sanitizers::leave},
                                                                {"abort", Sanitizers::abort}};
  declare(app, "--sanitizers", "leave|abort",
          "abort: append to ASAN_OPTIONS and its like what makes sanitizers stop at their first "
          "finding (default: leave)",
          [&options](const std::string& word) { options.sanitizers = one_of(kSanitizers, word); });
  declare(
      app, "--stack-size", "BYTES", "Stack kept of the thread that crashed (default: 64K)",
      [&options](const std::string& word) { options.crash_stack_bytes = parse_stack_size(word); });
  declare(
      app, "--thread-stack-size", "BYTES", "Stack kept of each other thread (default: 16K)",
      [&options](const std::string& word) { options.thread_stack_bytes = parse_stack_size(word); });
  declare(
      app, "--core-limit", "BYTES",
      "What the small cores of all crashes may take together; 0: none is written (default: 64M)",
      [&options](const std::string& word) {
        options.core_limit = parse_size(word, 0, uint64_t{1} << 40);
      });
  declare(app, "--ring-size", "BYTES",
          "Buffer between the kernel and us, rounded up to a power of two (default: 16M)",
          [&options](const std::string& word) { options.ring_bytes = parse_ring_size(word); });
  app.add_option("--debug-dir", options.debug_directories,
                 "Look for separate debug files below DIR too, before /usr/lib/debug; may be given "
                 "more than once")
      ->type_name("DIR")
      ->allow_extra_args(false)
      ->check([](const std::string& word) {
        return std::string(word.empty() ? "the name of a folder is missing" : "");
      });
  app.add_option(
         "--augment-junit", options.augment_junit,
         "Put the crashes into the JUnit files of the test runner that GLOB names, too; may be "
         "given more than once")
      ->type_name("GLOB")
      ->allow_extra_args(false)
      ->check([](const std::string& word) {
        return std::string(word.empty() ? "the name of a file is missing" : "");
      });
  app.add_flag_callback(
      "--no-augment-junit", [&options] { options.augment_by_itself = false; },
      "Leave alone the JUnit files that command lines of the run name (ctest --output-junit, "
      "--gtest_output and others)");
  app.add_flag_callback(
      "--no-list-tests", [&options] { options.list_tests = false; },
      "Do not start a dead test program once more, with its option that lists its tests, "
      "for the names of those "
      "that it never began");
  static const std::map<std::string, JunitProfile> kProfiles = {{"full", JunitProfile::full},
                                                                {"strict", JunitProfile::strict}};
  declare(
      app, "--junit-profile", "full|strict",
      "strict: our junit.xml has nothing that the schema junit-10 does not know (default: full)",
      [&options](const std::string& word) { options.junit_profile = one_of(kProfiles, word); });
  app.add_flag("--debuginfod", options.debuginfod,
               "Ask the servers of DEBUGINFOD_URLS for debug files that are not here, for a minute "
               "at most");
  declare(app, "--attach-cgroup", "PATH",
          "Also watch all processes in this cgroup2, whoever has started them; without a command "
          "until it is "
          "empty",
          [&options](const std::string& word) { options.attach_cgroup = file_name(word); });
  declare(app, "--attach-container", "ID",
          "The same for the cgroup of a running container, by its id, the beginning of that, or "
          "its name",
          [&options](const std::string& word) {
            if (word.empty() || word.starts_with("-")) {
              throw CLI::ValidationError("the id or name of a container is missing");
            }
            options.attach_container = word;
          });
  declare(app, "--record", "FILE", "Also store what was captured in FILE, for --replay",
          [&options](const std::string& word) { options.record_file = file_name(word); });
  declare(app, "--replay", "FILE",
          "Run no command: write the reports of the run that --record stored in FILE",
          [&options](const std::string& word) { options.replay_file = file_name(word); });
  app.add_option_function<std::vector<std::string>>(
         "--expect",
         [&options](const std::vector<std::string>& words) {
           for (const std::string& word : words) {
             Result<ExpectRule> rule = parse_expect_rule(word, "--expect ");
             if (!rule) {
               throw CLI::ValidationError(rule.error().message);
             }
             options.expect_rules.push_back(std::move(*rule));
           }
         },
         "Deaths that are on purpose, as 'exe=GLOB test=GLOB signal=NAME frame=GLOB', of which one "
         "is enough and all "
         "that are given must match; may be given more than once")
      ->type_name("RULE")
      ->allow_extra_args(false);
  app.add_option("--expect-file", options.expect_files,
                 "The same rules from a file, one on each line, # before comments")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_flag("-v,--verbose", options.verbose, "Say on stderr what is being done");
  app.set_version_flag("--version", "crashcrawler-run " CRASHCRAWLER_VERSION);
}

// CLI11 has no word for "then the command".
constexpr const char* kUsage =
    "Usage: crashcrawler-run [options] -- command [arguments...]\n"
    "       crashcrawler-run [options] --attach-container ID|--attach-cgroup PATH\n"
    "       crashcrawler-run [options] --replay FILE\n";

class UsageFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override { return kUsage; }
};

// Not the whole help, under which nobody would find it.
TextToPrint usage_error(const std::string& what) {
  return {
      "crashcrawler-run: " + what + "\n" + kUsage + "crashcrawler-run --help lists the options.\n",
      kUsageError};
}

}  // namespace

std::variant<RunOptions, TextToPrint> parse_options(const std::vector<std::string>& arguments) {
  RunOptions options;
  CLI::App app("Runs a test command and reports every crash of every process it starts.",
               "crashcrawler-run");
  app.formatter(std::make_shared<UsageFormatter>());
  app.footer(
      "Exit status: that of the command (128+N when signal N ended it); 70 when it succeeded "
      "although something in it\n"
      "crashed; 124 when --timeout was over; 125 when crashcrawler could not do its work; 126 or "
      "127 when the command could not "
      "be run.");
  app.prefix_command();
  declare_options(app, options);

  try {
    app.parse(std::vector<std::string>(arguments.rbegin(),
                                       arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    return TextToPrint{app.help(), 0};
  } catch (const CLI::CallForVersion& version) {
    return TextToPrint{std::string(version.what()) + "\n", 0};
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }

  std::vector<std::string> rest = app.remaining();
  if (!rest.empty() && rest.front() == "--") {
    rest.erase(rest.begin());
  } else if (!rest.empty() && rest.front().starts_with("-")) {
    return usage_error("unknown option " + rest.front() +
                       " (did you forget `--` before the command?)");
  }
  if (!options.replay_file.empty() && !options.record_file.empty()) {
    return usage_error("--replay has nothing to --record");
  }
  if (!options.replay_file.empty() && !rest.empty()) {
    return usage_error("--replay runs no command, but there is one: " + rest.front());
  }
  const bool attaches = !options.attach_cgroup.empty() || !options.attach_container.empty();
  if (!options.attach_cgroup.empty() && !options.attach_container.empty()) {
    return usage_error("--attach-cgroup and --attach-container: only one of them at a time");
  }
  if (!options.replay_file.empty() && attaches) {
    return usage_error("--replay watches nothing, so there is nothing to attach to");
  }
  if (options.replay_file.empty() && rest.empty() && !attaches) {
    return usage_error("no command to run");
  }
  AttemptPlan& plan = options.attempts;
  options.repeats = plan.most || plan.until_crash || plan.duration;
  if (!options.repeats && plan.jobs > 1) {
    return usage_error("--jobs is for --repeat, --until-crash and --for");
  }
  if (!options.repeats && plan.chaos_seed) {
    options.repeats = true;  // one disturbed run is an attempt like others
    plan.most = 1;
  }
  if (options.repeats && !options.record_file.empty()) {
    return usage_error("--record stores one run, not many");
  }
  if (options.repeats && !options.replay_file.empty()) {
    return usage_error("--replay runs no command, so there is nothing to repeat");
  }
  if (options.repeats && attaches) {
    return usage_error("--attach-cgroup and --attach-container are for one run, not for many");
  }
  if (options.repeats && engine_run_in(rest)) {
    return usage_error(
        "a command that starts a container cannot be run many times; start the "
        "container once, and in it crashcrawler-run");
  }
  options.command.arguments = std::move(rest);
  std::error_code removed;
  options.command.working_directory = std::filesystem::current_path(removed);
  return options;
}

}  // namespace crashcrawler
