// Facts: ctest(1) --output-junit; GoogleTest's docs/advanced.md (--gtest_output, GTEST_OUTPUT) and gtest.cc
// (XML_OUTPUT_FILE, which Bazel sets); Catch2 docs/command-line.md (-r junit -o); doctest doc/markdown/commandline.md
// (-r=junit -o); Boost.Test's run-time parameters logger, log_format and log_sink; pytest --junitxml.
#include "runner/augment/report_files.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace crashcrawler {
namespace {

using Words = std::vector<std::string>;

// The value of the last `name=value` or `name value`.
std::optional<std::string> value_of(const Words& words,
                                    std::initializer_list<std::string_view> names, bool separate) {
  std::optional<std::string> value;
  for (size_t i = 1; i < words.size(); ++i) {
    for (const std::string_view name : names) {
      if (words[i].size() > name.size() && words[i].starts_with(name) &&
          words[i][name.size()] == '=') {
        value = words[i].substr(name.size() + 1);
      } else if (separate && words[i] == name && i + 1 < words.size()) {
        value = words[i + 1];
      }
    }
  }
  return value;
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

const std::string* variable(const std::vector<EnvironmentVariable>& environment,
                            std::string_view name) {
  const auto found = std::ranges::find(environment, name, &EnvironmentVariable::name);
  return found == environment.end() ? nullptr : &found->value;
}

void add(std::vector<ReportFile>& files, Writer writer, const std::optional<std::string>& path) {
  if (path && !path->empty() && *path != "-" && *path != "stdout" && *path != "stderr") {
    files.push_back({writer, *path, "", false});
  }
}

void add_googletest(std::vector<ReportFile>& files, const Words& words,
                    const std::vector<EnvironmentVariable>& environment) {
  std::optional<std::string> output = value_of(words, {"--gtest_output", "-gtest_output"}, false);
  if (const std::string* set = variable(environment, "GTEST_OUTPUT"); !output && set) {
    output = *set;
  }
  if (const std::string* set = variable(environment, "XML_OUTPUT_FILE"); !output && set) {
    output = "xml:" + *set;
  }
  if (output == "xml" || output == "xml:") {
    files.push_back({Writer::googletest, "test_detail.xml", "", false});
  } else if (output && output->starts_with("xml:")) {
    files.push_back({Writer::googletest, output->substr(4), "", output->ends_with('/')});
  }
}

void add_boost_test(std::vector<ReportFile>& files, const Words& words) {
  // logger=FORMAT,LEVEL,FILE, several of them separated by ':'
  if (const auto loggers = value_of(words, {"--logger"}, true)) {
    for (size_t at = 0; at <= loggers->size();) {
      const size_t end = std::min(loggers->find(':', at), loggers->size());
      const std::string logger = loggers->substr(at, end - at);
      const size_t comma = logger.find(',');
      const size_t second = comma == logger.npos ? comma : logger.find(',', comma + 1);
      if (logger.substr(0, comma) == "JUNIT" && second != logger.npos) {
        add(files, Writer::boost_test, logger.substr(second + 1));
      }
      at = end + 1;
    }
  }
  if (value_of(words, {"--log_format", "-f"}, true) == "JUNIT") {
    add(files, Writer::boost_test, value_of(words, {"--log_sink", "-k"}, true));
  }
}

}  // namespace

std::vector<ReportFile> report_files(const Words& arguments,
                                     const std::vector<EnvironmentVariable>& environment) {
  std::vector<ReportFile> files;
  if (arguments.empty()) {
    return files;
  }
  const std::string_view program = file_name(arguments.front());
  if (program == "ctest" || program == "ctest3") {
    if (const auto output = value_of(arguments, {"--output-junit"}, true)) {
      files.push_back(
          {Writer::ctest, *output, value_of(arguments, {"--test-dir"}, true).value_or(""), false});
    }
    return files;
  }
  const auto is_pytest = [](const std::string& word) {
    const std::string_view name = file_name(word);
    return name == "pytest" || name == "py.test" || name.starts_with("pytest-");
  };
  if (std::any_of(arguments.begin(),
                  arguments.begin() + std::min<long>(4, static_cast<long>(arguments.size())),
                  is_pytest)) {
    add(files, Writer::pytest, value_of(arguments, {"--junitxml", "--junit-xml"}, true));
    return files;
  }
  add_googletest(files, arguments, environment);
  if (value_of(arguments, {"-r", "--reporter"}, true) == "junit") {
    add(files, Writer::catch2, value_of(arguments, {"-o", "--out"}, true));
  }
  if (value_of(arguments,
               {"-r", "--reporters", "-dt-r", "--dt-reporters", "-reporters", "-dt-reporters"},
               false) == "junit") {
    add(files, Writer::doctest,
        value_of(arguments, {"-o", "--out", "-dt-o", "--dt-out", "-out", "-dt-out"}, false));
  }
  add_boost_test(files, arguments);
  return files;
}

}  // namespace crashcrawler
