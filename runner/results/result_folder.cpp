#include "runner/results/result_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"
#include "runner/results/report_file.h"

namespace crashcrawler {
namespace {

constexpr size_t kLongestId = 200;
constexpr size_t kLargestText = 64 << 20;
constexpr size_t kNamed = 10;  // ids in an error

bool is_id(const std::string& text) {
  return !text.empty() && text.size() <= kLongestId && text.front() != '.' &&
         std::ranges::all_of(text, [](unsigned char letter) {
           return std::isalnum(letter) != 0 || letter == '.' || letter == '_' || letter == '-';
         });
}

// Of a crash the stacks and modules are most of the text, and not needed here.
bool is_needed(int, Json::parse_event_t event, Json& parsed) {
  return event != Json::parse_event_t::key || (parsed != "threads" && parsed != "modules");
}

ListedCrash crash_of(const Json& json) {
  ListedCrash crash;
  crash.id = string_at(json, {"id"});
  crash.cause = string_at(json, {"crash_info", "cause"});
  crash.executable = string_at(json, {"process", "executable", "path"});
  crash.build_id = string_at(json, {"process", "executable", "build_id"});
  for (const Json& artifact : array_at(json, "artifacts")) {
    if (string_at(artifact, {"type"}) == "core") {
      crash.core = string_at(artifact, {"path"});
    }
  }
  for (const Json& error : array_at(json, "soft_errors")) {
    if (error.is_string()) {
      crash.soft_errors.push_back(error.get<std::string>());
    }
  }
  return crash;
}

// A regular file crashes/`name`, opened without following a link, neither there nor to the folder.
Result<UniqueFd> open_file(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/crashes/" + name;
  const UniqueFd folder(
      ::open((directory + "/crashes").c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  UniqueFd file(
      folder ? ::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
             : -1);
  if (!file) {
    return errno_error("cannot open " + path);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error{path + " is no regular file"};
  }
  return file;
}

std::string ids_in_words(const std::vector<const ListedCrash*>& crashes) {
  std::string text;
  for (size_t i = 0; i < crashes.size() && i < kNamed; ++i) {
    text += (i == 0 ? "" : ", ") + crashes[i]->id;
  }
  return crashes.size() > kNamed ? text + fmt::format(" and {} more", crashes.size() - kNamed)
                                 : text;
}

}  // namespace

Result<std::vector<ListedCrash>> list_crashes(const std::string& directory, size_t largest) {
  const Result<Json> report = read_report(directory, is_needed, largest);
  if (!report) {
    return report.error();
  }
  std::vector<ListedCrash> crashes;
  for (const Json& entry : array_at(*report, "crashes")) {
    crashes.push_back(crash_of(entry));
    if (!is_id(crashes.back().id)) {
      return Error{fmt::format("{}/report.json: the id of crash {} cannot be the name of a file",
                               directory, crashes.size())};
    }
  }
  return crashes;
}

Result<ListedCrash> find_crash(const std::vector<ListedCrash>& crashes, const std::string& word) {
  if (crashes.empty()) {
    return Error{"there are no crashes in the report"};
  }
  const bool is_number = !word.empty() && word.size() < 10 &&
                         word.find_first_not_of("0123456789") == std::string::npos;
  if (is_number) {
    const size_t number = std::stoul(word);
    return number >= 1 && number <= crashes.size()
               ? Result<ListedCrash>(crashes[number - 1])
               : Error{fmt::format("there is no crash {}; there are {}", word, crashes.size())};
  }
  std::vector<const ListedCrash*> all, matching;
  for (const ListedCrash& crash : crashes) {
    if (crash.id == word) {
      return crash;
    }
    all.push_back(&crash);
    if (crash.id.starts_with(word)) {
      matching.push_back(&crash);
    }
  }
  if (matching.size() == 1) {
    return *matching.front();
  }
  return matching.empty() ? Error{"there is no crash of that name; there are " + ids_in_words(all)}
                          : Error{"more than one crash begins so: " + ids_in_words(matching)};
}

Result<Json> record_of(const std::string& directory, const ListedCrash& crash) {
  const Result<UniqueFd> file = open_file(directory, crash.id + ".json");
  if (!file) {
    return file.error();
  }
  const Result<std::string> text =
      read_file("/proc/self/fd/" + std::to_string(file->get()), kLargestText);
  if (!text) {
    return text.error();
  }
  const auto without_stacks = [](int, Json::parse_event_t event, Json& parsed) {
    return event != Json::parse_event_t::key || parsed != "threads";
  };
  Json json = Json::parse(*text, without_stacks, false);
  if (json.is_discarded() || string_at(json, {"id"}) != crash.id) {
    return Error{directory + "/crashes/" + crash.id + ".json is cut, damaged, or no record"};
  }
  return json;
}

Result<std::string> text_of(const std::string& directory, const ListedCrash& crash) {
  const Result<UniqueFd> file = open_file(directory, crash.id + ".txt");
  if (!file) {
    return file.error();
  }
  return read_file("/proc/self/fd/" + std::to_string(file->get()), kLargestText);
}

Result<std::string> core_of(const std::string& directory, const ListedCrash& crash) {
  if (crash.core.empty()) {
    const auto why = std::ranges::find_if(crash.soft_errors, [](const std::string& error) {
      return error.starts_with("there is no core");
    });
    return Error{why == crash.soft_errors.end() ? "there is no core (--core-limit)" : *why};
  }
  const std::string name = crash.id + ".core";
  if (crash.core != "crashes/" + name) {
    return Error{"the report names another file as its core than crashes/" + name +
                 "; it is not followed"};
  }
  const Result<UniqueFd> file = open_file(directory, name);
  if (!file) {
    return file.error();
  }
  return directory + "/crashes/" + name;
}

}  // namespace crashcrawler
