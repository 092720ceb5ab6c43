// A folder for what another program is to read.
#pragma once

#include <string>

namespace crashcrawler {

// Below the folder for temporary files, for us alone, and gone at the end.
class PrivateFolder {
 public:
  explicit PrivateFolder(const std::string& purpose);  // a part of its name
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  ~PrivateFolder();

  const std::string& path() const { return path_; }  // empty: it could not be made

 private:
  std::string path_;
};

}  // namespace crashcrawler
