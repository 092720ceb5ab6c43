// Databases of package managers in a root directory -> who owns a file. The input is the files of one database, the
// first line says of which; rpm's is not read by us.
#include <fcntl.h>

#include "runner/attribute/apk_database.h"
#include "runner/attribute/dpkg_packages.h"
#include "runner/attribute/package_note.h"
#include "runner/attribute/pacman_database.h"
#include "runner/attribute/pkg_config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/temporary_directory.h"

using namespace crashcrawler;

namespace {

const std::vector<std::string> kPaths{"/usr/lib/libshelf.so.1", "/lib/libshelf.so.1",
                                      "/usr/bin/shelf"};

PackageByPath find_in(const TemporaryDirectory& folder, const std::string& kind,
                      const std::vector<std::string>& parts) {
  const UniqueFd directory(::open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  RootFiles root(directory.get(), folder.path());
  std::vector<std::string> problems;
  const auto write = [&](size_t part, const std::string& name) {
    folder.write(name, part < parts.size() ? parts[part] : "");
  };
  if (kind == "dpkg") {
    write(1, "var/lib/dpkg/status");
    write(2, "var/lib/dpkg/info/shelf:amd64.list");
    write(3, "var/lib/dpkg/diversions");
    return find_in_dpkg(root, kPaths, problems);
  }
  if (kind == "dpkg parts") {
    write(1, "var/lib/dpkg/status.d/shelf");
    write(2, "var/lib/dpkg/status.d/shelf.md5sums");
    return find_in_dpkg(root, kPaths, problems);
  }
  if (kind == "apk") {
    write(1, "lib/apk/db/installed");
    return find_in_apk(root, kPaths, problems);
  }
  write(1, "var/lib/pacman/local/shelf-1-1/desc");
  write(2, "var/lib/pacman/local/shelf-1-1/files");
  return find_in_pacman(root, kPaths, problems);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<std::string> parts = fuzz::parts_of(fuzz::text_of(data, size));
  const std::string& kind = parts[0];
  if (kind == "note") {
    const Result<Package> package = parse_package_note(parts.size() > 1 ? parts[1] : "");
    fuzz::require(package || !package.error().message.empty());
  } else if (kind == "pkg-config") {
    parse_pkg_config(parts.size() > 1 ? parts[1] : "", "/shelf.pc");
  } else if (kind == "dpkg" || kind == "dpkg parts" || kind == "apk" || kind == "pacman") {
    const TemporaryDirectory folder;
    for (const auto& [path, package] : find_in(folder, kind, parts)) {
      fuzz::require(!package.name.empty());
    }
  }
  return 0;
}
