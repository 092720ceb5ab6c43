#include "runner/attribute/apk_database.h"

#include "runner/attribute/text_lines.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestDatabase = size_t{256} << 20;

// A paragraph for each package, P: V: A: for what it is, then F: for a folder and R: for each file in it.
PackageByPath parse(std::string_view text, const std::string& file, const WantedPaths& wanted,
                    std::vector<std::string>& problems) {
  PackageByPath found;
  Package package{"apk", "", "", "", file};
  std::string path;
  size_t folder = 0, line_number = 0, malformed_line = 0;
  for_each_line(text, [&](std::string_view line) {
    ++line_number;
    if (line.empty()) {
      package = {"apk", "", "", "", file};
      path.clear();
      folder = 0;
    } else if (line.size() < 2 || line[1] != ':') {
      malformed_line = malformed_line == 0 ? line_number : malformed_line;
    } else if (line[0] == 'P') {
      package.name = line.substr(2);
    } else if (line[0] == 'V') {
      package.version = line.substr(2);
    } else if (line[0] == 'A') {
      package.architecture = line.substr(2);
    } else if (line[0] == 'F') {
      path = "/";
      path += line.substr(2);
      path += path.size() > 1 ? "/" : "";
      folder = path.size();
    } else if (line[0] == 'R' && folder != 0) {
      path.resize(folder);
      path += line.substr(2);
      if (const std::string* asked = wanted.find(path); asked != nullptr && !package.name.empty()) {
        found.emplace(*asked, package);
      }
    }
  });
  if (malformed_line != 0) {
    problems.push_back(file + ":" + std::to_string(malformed_line) +
                       " is not a field; check it with apk audit --system");
  }
  return found;
}

}  // namespace

PackageByPath find_in_apk(RootFiles& root, const std::vector<std::string>& paths,
                          std::vector<std::string>& problems) {
  const std::vector<std::string> names = all_names(paths);
  for (const char* file : {"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}) {
    if (!root.exists(file)) {
      continue;
    }
    std::string text;
    if (const Result<void> read = root.read(file, kLargestDatabase, text); !read) {
      problems.push_back(read.error().message);
      return {};
    }
    return by_asked_path(paths, parse(text, root.name_of(file), WantedPaths(names), problems));
  }
  return {};
}

}  // namespace crashcrawler
