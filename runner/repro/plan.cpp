#include "runner/repro/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runner/report/text.h"

namespace crashcrawler {
namespace {

constexpr int kMostAttempts = 1000;
constexpr size_t kLongestPath = 300;  // characters of a line

std::string in_words(const std::string& build_id) {
  return build_id.empty() ? "none" : brief(build_id, kLongestPath);
}

int attempts_for(double rate) {
  constexpr double kMayFail = 0.05;
  if (rate >= 1) {
    return 1;
  }
  const double needed =
      rate > 0 ? std::ceil(std::log(kMayFail) / std::log1p(-rate)) : kMostAttempts;
  return static_cast<int>(std::clamp(needed, 1.0, static_cast<double>(kMostAttempts)));
}

}  // namespace

AttemptsToMake attempts_to_make(const RecordedCrash& crash, std::optional<int> asked) {
  if (asked) {
    return {*asked, false};
  }
  const double rate = crash.least_rate.value_or(crash.chaos ? 0 : 1);
  return {attempts_for(rate), true};
}

std::vector<std::string> wrapper_arguments(const RecordedCrash& crash,
                                           const AttemptsToMake& attempts,
                                           const std::string& output) {
  std::vector<std::string> words = {"--output-dir", output, "--no-augment-junit"};
  const auto add = [&](std::initializer_list<std::string> more) {
    words.insert(words.end(), more);
  };
  if (attempts.number > 1 || crash.chaos) {
    add({"--repeat", std::to_string(attempts.number)});
    if (attempts.until_same) {
      add({"--until-fingerprint", crash.fingerprint.hash});
    }
  }
  if (crash.chaos) {
    add({fmt::format("--chaos={}:{}", crash.chaos->seed, crash.chaos->number)});
  }
  if (crash.timeout) {
    add({"--timeout", fmt::format("{}ms", crash.timeout->count())});
  }
  if (!crash.only.empty()) {
    add({"--only", crash.only});
  }
  add({"--"});
  words.insert(words.end(), crash.command.begin(), crash.command.end());
  return words;
}

FilesNow compare_files(const RecordedCrash& crash, const BuildIdOf& build_id_of) {
  FilesNow files;
  const std::string program = brief(crash.program, kLongestPath);
  const std::optional<std::string> now =
      crash.program.empty() ? std::optional<std::string>("") : build_id_of(crash.program);
  files.program_is_missing = !now;
  if (!now) {
    files.program_problem = "the program that crashed is not here: " + program;
  } else if (*now != crash.build_id && !crash.build_id.empty()) {
    files.program_problem =
        fmt::format("the program has changed since the crash: {} had the build-id {}, now it is {}",
                    program, in_words(crash.build_id), in_words(*now));
  }
  for (const RecordedModule& module : crash.modules) {
    if (module.path == crash.program || module.build_id.empty()) {
      continue;
    }
    const std::optional<std::string> build_id = build_id_of(module.path);
    if (!build_id || *build_id != module.build_id) {
      files.others.push_back(
          fmt::format("not as it was: {} had the build-id {}, now {}",
                      brief(module.path, kLongestPath), in_words(module.build_id),
                      build_id ? "it is " + in_words(*build_id) : "there is no such file"));
    }
  }
  return files;
}

}  // namespace crashcrawler
