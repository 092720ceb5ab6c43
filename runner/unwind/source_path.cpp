#include "runner/unwind/source_path.h"

#include <filesystem>

namespace crashcrawler {

std::string absolute_source_path(const std::string& directory, const std::string& file) {
  if (file.empty()) {
    return {};
  }
  // operator/ takes `file` alone when it is absolute
  return (std::filesystem::path(directory) / file).lexically_normal().string();
}

bool lies_below(const std::string& path, const std::string& directory) {
  if (directory.empty()) {
    return false;
  }
  const size_t length = directory.back() == '/' ? directory.size() - 1 : directory.size();
  return path.compare(0, length, directory, 0, length) == 0 &&
         (path.size() == length || path[length] == '/');
}

}  // namespace crashcrawler
