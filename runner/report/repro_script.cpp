// Arguments, folders and values of variables come from programs that have lost control of themselves, and a script is
// executed. So each of them is one word in single quotes, in which POSIX shells give no byte a meaning but the quote itself
// (Shell Command Language, 2.2.2); what stands in comments went through printable(), which leaves no newline. Names of variables
// and limits are ours.
#include "runner/report/repro_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "runner/base/file.h"
#include "runner/base/resource_limits.h"
#include "runner/report/artifact.h"
#include "runner/report/headline.h"
#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr mode_t kExecutable = 0755;
constexpr size_t kLongestComment = 200;  // characters

std::string words_of(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) {
    text += ' ' + shell_quoted(argument);
  }
  return text;
}

// PWD is for cd to set.
std::string exports_of(const std::vector<EnvironmentVariable>& environment) {
  std::string text;
  for (const EnvironmentVariable& variable : environment) {
    if (variable.name != "PWD") {
      text += "    export " + variable.name + "=" + shell_quoted(variable.value) + "\n";
    }
  }
  return text;
}

std::string case_of(const std::string& pattern, const std::string& directory,
                    const std::vector<EnvironmentVariable>& environment,
                    const std::vector<std::string>& arguments, const std::string& first = "") {
  std::string text = "  " + pattern + ")\n" + first;
  if (!directory.empty()) {
    text += "    cd -- " + shell_quoted(directory) + " || exit 2\n";
  }
  return text + exports_of(environment) + "    set --" + words_of(arguments) + "\n    ;;\n";
}

std::string case_of_process(const RawCrash& raw) {
  if (!raw.executable.starts_with('/')) {
    return "  --process)\n    echo \"the program that crashed is not known\" >&2\n    exit 2\n    "
           ";;\n";
  }
  std::vector<std::string> arguments = raw.arguments;
  if (arguments.empty()) {
    arguments.emplace_back();
  }
  arguments.front() = raw.executable;
  // pending_crash.cpp notes where some are missing
  const bool is_cut = std::ranges::any_of(raw.soft_errors, [](const std::string& error) {
    return error.find("argument") != std::string::npos;
  });
  return case_of("--process", raw.working_directory, raw.environment, arguments,
                 is_cut ? "    echo \"not all of its arguments are known\" >&2\n" : "");
}

std::string limits_of(const std::vector<ResourceLimit>& limits) {
  std::string text;
  for (const ResourceLimit& limit : limits) {
    const auto kind = std::ranges::find(kLimitKinds, limit.name, &LimitKind::name);
    if (kind == kLimitKinds.end() || limit.soft == kind->usual) {
      continue;
    }
    const std::string amount =
        limit.soft ? std::to_string(*limit.soft / kind->unit) : std::string("unlimited");
    text += fmt::format("  ulimit -S -{} {} || echo \"the limit is not as it was: {}\" >&2\n",
                        kind->letter, amount, kind->name);
  }
  return text.empty()
             ? ""
             : "# shellcheck disable=SC3045  # POSIX has them since 2024, shells for long\n{\n" +
                   text + "}\n";
}

const ChaosSettings* chaos_of(const CrashReport& report, const Session& session) {
  const Attempt* attempt =
      session.repetition ? find_attempt(*session.repetition, report.raw.attempt) : nullptr;
  return attempt && attempt->chaos && session.repetition->seed ? &*attempt->chaos : nullptr;
}

std::string head(const CrashReport& report, const Session& session, const ChaosSettings* chaos) {
  const std::string name = "./" + report.id + ".repro.sh";
  std::string text = kReproScriptMark + std::string("runs again what has crashed\n#\n");
  const auto line = [&](const std::string& words) { text += "#   " + words + "\n"; };
  line(brief(cause_in_words(report), kLongestComment));
  line(fmt::format("at {}{}", iso_time(report.raw.time),
                   report.signature.hash.empty() ? "" : ", fingerprint " + report.signature.hash));
  text += "#\n";
  if (report.alone.name.empty()) {
    line(name + "             the command of the run");
  } else {
    line(name + "             of the command of the run the test " +
         brief(report.alone.name, kLongestComment));
    line(name + " --all       all of it");
  }
  line(name + " --process   the process that has crashed, by itself");
  text += "#\n# With CrashCrawler, which says whether the same crash has come back:\n";
  line("crashcrawler repro " + report.id);
  if (chaos) {
    text += fmt::format("#\n# It crashed in attempt {} of --chaos={}. Disturbed in the same way:\n",
                        report.raw.attempt, *session.repetition->seed);
    line(fmt::format("crashcrawler-run --until-crash --chaos={}:{} -- {}",
                     *session.repetition->seed, chaos->number, name));
  }
  return text;
}

Result<Artifact> write_script(const CrashReport& report, const Session& session,
                              const std::string& directory) {
  const std::string path = "crashes/" + report.id + ".repro.sh";
  const std::string text = repro_script(report, session);
  const Result<void> written = write_file_atomically(directory + "/" + path, text, kExecutable);
  if (!written) {
    return written.error();
  }
  return artifact_of("repro_script", path, text);
}

}  // namespace

std::string shell_quoted(const std::string& word) {
  std::string text = "'";
  for (const char letter : word) {
    text += letter == '\'' ? "'\\''" : std::string(1, letter);
  }
  return text + "'";
}

std::string repro_script(const CrashReport& report, const Session& session) {
  const ChaosSettings* chaos = chaos_of(report, session);
  const Inherited inherited = session.inherited.value_or(Inherited());
  const std::string& directory = session.command.working_directory;
  const std::vector<std::string>& whole = session.command.arguments;

  std::string text = head(report, session, chaos) + "\ncase ${1-} in\n";
  if (report.alone.name.empty()) {
    text += case_of("'' | --all", directory, inherited.environment, whole);
  } else {
    text += case_of("''", directory, inherited.environment, report.alone.arguments);
    text += case_of("--all", directory, inherited.environment, whole);
  }
  text += case_of_process(report.raw);
  text += "  *)\n    echo \"usage: $0 [--all | --process]\" >&2\n    exit 2\n    ;;\nesac\n";

  text += limits_of(inherited.limits);
  if (chaos && chaos->malloc_perturb > 0) {
    text += fmt::format("export MALLOC_PERTURB_={}\n", chaos->malloc_perturb);
  }
  if (!inherited.randomizes_addresses || (chaos && !chaos->randomize_addresses)) {
    text += "set -- setarch \"$(uname -m)\" -R -- \"$@\"  # addresses were not randomized\n";
  }
  return text + "exec \"$@\"\n";
}

void write_repro_scripts(Session& session, const std::string& directory) {
  if (!session.crashes.empty()) {
    std::error_code shown_by_writing;
    std::filesystem::create_directories(directory + "/crashes", shown_by_writing);
  }
  for (CrashReport& report : session.crashes) {
    Result<Artifact> script = write_script(report, session, directory);
    if (script) {
      report.artifacts.push_back(std::move(*script));
    } else {
      report.soft_errors.push_back("there is no repro.sh: " + script.error().message);
    }
  }
}

}  // namespace crashcrawler
