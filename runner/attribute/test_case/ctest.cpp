// ctest puts no name of a test into the environment, so the command line is what there is to go by.
//
// Asked in the build folder itself, `ctest --show-only` would replace Testing/Temporary/LastTest.log, which belongs to the
// run that is over. So it is asked in an empty folder whose CTestTestfile.cmake leads to the other one by subdirs().
// Presets would lead it back, so those are not handed on; then the folder is the one that the dead process stood in.
//
// Command lines of processes above the dead one are known for their first 512 bytes (CC_COMMAND_SIZE of
// bpf/crash_event.h). The first word may differ: an interpreter that is a script, found through PATH.
#include "runner/attribute/test_case/ctest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>

#include "runner/attribute/bounded_command.h"
#include "runner/attribute/private_folder.h"
#include "runner/base/file.h"

namespace crashcrawler {
namespace {

using Json = nlohmann::json;
constexpr size_t kMostTests = 100000;
constexpr size_t kLargestLog = size_t{256} << 20, kLargestAnswer = size_t{64} << 20;
constexpr std::chrono::milliseconds kLongestAnswer{20000};
constexpr size_t kKeptOfCommand = 400;  // of the 512 bytes kept: from here on it may have been cut

std::string base_name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : "";
}

const Json& member(const Json& object, const char* key) {
  static const Json kNone;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : kNone;
}

size_t index_at(const Json& object, const char* key) {
  const Json& number = member(object, key);
  return number.is_number_unsigned() ? number.get<size_t>() : SIZE_MAX;
}

// The outermost place of a backtrace: the line in a CMakeLists.txt that its author knows.
void place_of(const Json& graph, size_t node, CtestTest& test) {
  const Json& nodes = member(graph, "nodes");
  const Json& files = member(graph, "files");
  for (size_t steps = 0; nodes.is_array() && node < nodes.size() && steps < 100; ++steps) {
    const Json& here = nodes[node];
    const size_t file = index_at(here, "file"), line = index_at(here, "line");
    if (files.is_array() && file < files.size() && files[file].is_string() && line < 1000000) {
      test.file = files[file].get<std::string>();
      test.line = static_cast<int>(line);
    }
    node = index_at(here, "parent");
  }
}

void take_property(const Json& property, CtestTest& test) {
  const std::string name = text_at(property, "name");
  const Json& value = member(property, "value");
  if (name == "WORKING_DIRECTORY" && value.is_string()) {
    test.working_directory = value.get<std::string>();
  } else if (name == "WILL_FAIL") {
    test.will_fail = value.is_boolean() && value.get<bool>();
  }
}

std::vector<std::string> our_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("PATH=")) {
      variables.emplace_back(*variable);
    }
  }
  return variables;
}

// The log, when it is of this run; else nothing.
std::string log_since(const std::string& build_folder,
                      std::chrono::system_clock::time_point since) {
  const std::string path = build_folder + "/Testing/Temporary/LastTest.log";
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_mtim.tv_sec < std::chrono::system_clock::to_time_t(since)) {
    return "";
  }
  Result<std::string> log = read_file(path, kLargestLog);
  return log ? *log : "";
}

// "[ RUN      ] Suite.Name" is the line; "[       OK ] Suite.Name (0 ms)" ends it, as FAILED and SKIPPED do.
void follow_output(const std::string& line, std::string& running) {
  constexpr std::string_view kRun = "[ RUN      ] ";
  if (line.starts_with(kRun)) {
    running = line.substr(kRun.size());
  } else if (line.starts_with("[       OK ] ") || line.starts_with("[  FAILED  ] ") ||
             line.starts_with("[  SKIPPED ] ")) {
    running.clear();
  }
}

size_t length_of(const std::vector<std::string>& arguments) {
  size_t length = arguments.size();
  for (const std::string& argument : arguments) {
    length += argument.size();
  }
  return length;
}

// How well a command line is that of a test: 2 word by word, 1 but for the first word, 0 not at all.
int likeness(const std::vector<std::string>& seen, const std::vector<std::string>& command) {
  const bool cut = length_of(seen) >= kKeptOfCommand && length_of(seen) < length_of(command);
  if (seen.empty() || command.empty() || (!cut && seen.size() != command.size()) ||
      seen.size() > command.size()) {
    return 0;
  }
  for (size_t i = 1; i < seen.size(); ++i) {
    const bool last = cut && i + 1 == seen.size();
    if (last ? !command[i].starts_with(seen[i]) : command[i] != seen[i]) {
      return 0;
    }
  }
  if (seen[0] == command[0]) {
    return 2;
  }
  return base_name_of(seen[0]) == base_name_of(command[0]) ? 1 : 0;
}

// `interpreter script args...` for `script args...`: by the kernel, for a script that begins with #!
std::vector<std::string> without_interpreter(const std::vector<std::string>& arguments) {
  return arguments.size() < 2 ? std::vector<std::string>()
                              : std::vector<std::string>(arguments.begin() + 1, arguments.end());
}

// Programs that become what they start, so that nothing of them is left to see.
bool becomes_another(const std::string& program) {
  constexpr std::string_view kNames[] = {"env",  "nice",   "nohup",   "stdbuf", "setarch",
                                         "chrt", "ionice", "taskset", "prlimit"};
  return std::ranges::find(kNames, base_name_of(program)) != std::end(kNames);
}

// A shell that becomes the last command of its words; dash does not.
bool is_such_a_shell(const std::string& program) {
  std::error_code unknown;
  const std::string real = std::filesystem::canonical(program, unknown).filename();
  return real == "bash" || real == "zsh" || real.starts_with("ksh");
}

// Whether the command of a test ends in this one: `env NAME=value program`, `bash -c program`.
bool becomes(const std::vector<std::string>& command, const std::vector<std::string>& seen) {
  if (seen.empty() || command.size() <= 1) {
    return false;
  }
  if (command.size() == 3 && command[1] == "-c" && is_such_a_shell(command[0])) {
    std::string words;
    for (const std::string& word : seen) {
      words += (words.empty() ? "" : " ") + word;
    }
    return command[2] == words || command[2] == "exec " + words;
  }
  return command.size() > seen.size() && becomes_another(command[0]) &&
         likeness(seen, {command.end() - static_cast<ptrdiff_t>(seen.size()), command.end()}) > 0;
}

std::vector<const CtestTest*> like(const std::vector<std::string>& seen,
                                   const std::vector<CtestTest>& tests) {
  std::vector<const CtestTest*> found;
  int best = 0;
  for (const CtestTest& test : tests) {
    const int now = std::max(likeness(seen, test.command),
                             likeness(without_interpreter(seen), test.command) > 0 ? 1 : 0);
    if (now > best) {
      found.clear();
      best = now;
    }
    if (now > 0 && now == best) {
      found.push_back(&test);
    }
  }
  std::ranges::for_each(tests, [&](const CtestTest& test) {
    if (becomes(test.command, seen)) {
      found.push_back(&test);
    }
  });
  return found;
}

}  // namespace

bool is_ctest(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    return false;
  }
  const std::string name = base_name_of(arguments[0]);
  // dashboards and --build-and-test configure and build; what they do cannot be asked for
  const auto starts_other = [](const std::string& word) {
    return word == "-S" || word == "--script" || word == "-SP" || word == "-D" || word == "-T" ||
           word == "-M" || word == "--dashboard" || word == "--build-and-test";
  };
  return (name == "ctest" || name == "ctest3") &&
         std::none_of(arguments.begin() + 1, arguments.end(), starts_other);
}

std::vector<std::string> selecting_arguments(const std::vector<std::string>& arguments) {
  constexpr std::array<std::string_view, 12> kSelecting = {
      "-R",  "--tests-regex",   "-E", "--exclude-regex", "-L", "--label-regex",
      "-LE", "--label-exclude", "-C", "--build-config",  "-U", "--union"};
  std::vector<std::string> kept;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const std::string name = word.substr(0, word.find('='));
    if (std::ranges::find(kSelecting, name) == kSelecting.end()) {
      continue;
    }
    kept.push_back(word);
    const bool alone = name == "-U" || name == "--union" || word.size() > name.size();
    if (!alone && i + 1 < arguments.size()) {
      kept.push_back(arguments[++i]);
    }
  }
  return kept;
}

Result<std::vector<CtestTest>> parse_show_only(const std::string& json) {
  const Json answer = Json::parse(json, nullptr, false);
  if (!member(answer, "tests").is_array() || text_at(answer, "kind") != "ctestInfo") {
    return Error{"what ctest --show-only=json-v1 wrote is not what it documents"};
  }
  std::vector<CtestTest> tests;
  for (const Json& entry : member(answer, "tests")) {
    CtestTest test;
    test.name = text_at(entry, "name");
    for (const Json& word : member(entry, "command")) {
      test.command.push_back(word.is_string() ? word.get<std::string>() : "");
    }
    for (const Json& property : member(entry, "properties")) {
      take_property(property, test);
    }
    place_of(member(answer, "backtraceGraph"), index_at(entry, "backtrace"), test);
    // without a command: its program was not found
    if (!test.name.empty() && tests.size() < kMostTests) {
      tests.push_back(std::move(test));
    }
  }
  return tests;
}

void read_log(const std::string& log, std::vector<CtestTest>& tests) {
  std::map<std::string, CtestTest*> by_name;
  for (CtestTest& test : tests) {
    by_name[test.name] = &test;
  }
  std::istringstream lines(log);
  std::string name, running;
  RunnerResult result = RunnerResult::unknown;
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kBegin = " Testing: ";
    const size_t at = line.find(kBegin);
    const size_t slash = line.find('/');
    const bool begins = at != std::string::npos && slash < at &&
                        line.substr(0, at).find_first_not_of("0123456789/") == std::string::npos;
    if (begins) {
      name = line.substr(at + kBegin.size());
      running.clear();
      result = RunnerResult::unknown;
    } else if (line == "Test Passed.") {
      result = RunnerResult::passed;
    } else if (line == "Test Failed.") {
      result = RunnerResult::failed;
    } else if (line.starts_with("\"" + name + "\" end time: ")) {
      if (const auto test = by_name.find(name); !name.empty() && test != by_name.end()) {
        test->second->result = result;
        test->second->last_run = running;
      }
      name.clear();
    } else {
      follow_output(line, running);
    }
  }
}

Result<std::vector<CtestTest>> ask_ctest(const std::vector<std::string>& arguments,
                                         const std::string& build_folder,
                                         std::chrono::system_clock::time_point since) {
  const PrivateFolder folder("ctest");
  if (folder.path().empty() || build_folder.find("]==]") != std::string::npos) {
    return Error{"there is no temporary folder to ask ctest in"};
  }
  const Result<void> written = write_file_atomically(folder.path() + "/CTestTestfile.cmake",
                                                     "subdirs([==[" + build_folder + "]==])\n");
  if (!written) {
    return written.error();
  }
  std::vector<std::string> question{arguments[0], "--test-dir", folder.path(),
                                    "--show-only=json-v1"};
  for (const std::string& argument : selecting_arguments(arguments)) {
    question.push_back(argument);
  }
  Result<std::string> answer =
      output_of_command(question, our_environment(), {kLongestAnswer, kLargestAnswer});
  if (!answer) {
    return answer.error();
  }
  Result<std::vector<CtestTest>> tests = parse_show_only(*answer);
  if (tests) {
    read_log(log_since(build_folder, since), *tests);
  }
  return tests;
}

std::vector<const CtestTest*> tests_of(const RawCrash& crash, const std::vector<CtestTest>& tests) {
  // from ctest's child downwards: below a test may run what is another test's command
  auto above = std::ranges::find_if(crash.ancestors, is_ctest, &Ancestor::arguments);
  std::vector<const CtestTest*> found;
  while (found.empty() && above != crash.ancestors.begin()) {
    --above;
    found = like(above->arguments, tests);
  }
  if (found.empty()) {
    found = like(crash.arguments, tests);
  }
  if (found.size() > 1) {
    std::vector<const CtestTest*> in_folder;
    std::ranges::copy_if(found, std::back_inserter(in_folder), [&](const CtestTest* test) {
      return test->working_directory == crash.working_directory;
    });
    if (!in_folder.empty()) {
      return in_folder;
    }
  }
  return found;
}

}  // namespace crashcrawler
