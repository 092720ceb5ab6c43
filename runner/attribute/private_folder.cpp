#include "runner/attribute/private_folder.h"

#include <stdlib.h>

#include <filesystem>

namespace crashcrawler {

namespace fs = std::filesystem;

PrivateFolder::PrivateFolder(const std::string& purpose) {
  std::error_code error;
  std::string pattern = fs::temp_directory_path(error) / ("crashcrawler-" + purpose + "-XXXXXX");
  if (!error && ::mkdtemp(pattern.data()) != nullptr) {
    path_ = pattern;
  }
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!path_.empty()) {
    fs::remove_all(path_, ignored);
  }
}

}  // namespace crashcrawler
