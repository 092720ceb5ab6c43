#include "runner/attribute/rpm_database.h"

#include <array>

#include "runner/attribute/bounded_command.h"
#include "runner/attribute/private_folder.h"
#include "runner/attribute/text_lines.h"
#include "runner/base/file.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestDatabase = size_t{512} << 20;
constexpr CommandLimits kLimits{std::chrono::seconds(20), size_t{256} << 20};
constexpr const char* kFormat =
    "[%{=NAME}\\t%{=EPOCHNUM}:%{=VERSION}-%{=RELEASE}\\t%{=ARCH}\\t%{FILENAMES}\\n]";

// The first is that of Fedora since 36 and of SUSE; where both are there, one is a link to the other.
constexpr std::array kPlaces{"/usr/lib/sysimage/rpm", "/var/lib/rpm"};
constexpr std::array kFiles{"rpmdb.sqlite", "Packages.db", "Packages"};
constexpr std::array kBesideThem{"rpmdb.sqlite-wal", "Index.db"};

Result<void> copy_database(RootFiles& root, const std::string& place, const std::string& folder) {
  std::string bytes;
  const auto copy = [&](const std::string& file) -> Result<void> {
    if (!root.exists(place + "/" + file)) {
      return {};
    }
    const Result<void> read = root.read(place + "/" + file, kLargestDatabase, bytes);
    return read ? write_file_atomically(folder + "/" + file, bytes) : read;
  };
  for (const auto& files : {std::vector<const char*>(kFiles.begin(), kFiles.end()),
                            std::vector<const char*>(kBesideThem.begin(), kBesideThem.end())}) {
    for (const char* file : files) {
      if (const Result<void> copied = copy(file); !copied) {
        return copied;
      }
    }
  }
  return {};
}

PackageByPath parse(std::string_view listing, const WantedPaths& wanted,
                    const std::string& source) {
  PackageByPath found;
  for_each_line(listing, [&](std::string_view line) {
    const size_t last = line.rfind('\t');
    const std::string* path =
        last == std::string_view::npos ? nullptr : wanted.find(line.substr(last + 1));
    if (path == nullptr) {
      return;
    }
    const size_t name = line.find('\t'), version = line.find('\t', name + 1);
    if (version == std::string_view::npos || version >= last) {
      return;
    }
    std::string_view number = line.substr(name + 1, version - name - 1);
    consume_prefix(number, "0:");  // no epoch
    found.emplace(*path,
                  Package{"rpm", std::string(line.substr(0, name)), std::string(number),
                          std::string(line.substr(version + 1, last - version - 1)), source});
  });
  return found;
}

}  // namespace

PackageByPath find_in_rpm(RootFiles& root, const std::vector<std::string>& paths,
                          std::vector<std::string>& problems) {
  for (const std::string place : kPlaces) {
    for (const char* file : kFiles) {
      if (!root.exists(place + "/" + file)) {
        continue;
      }
      const std::string source = root.name_of(place + "/" + file);
      const PrivateFolder folder("rpm");
      if (folder.path().empty()) {
        problems.push_back("cannot make a folder for a copy of " + source);
        return {};
      }
      if (const Result<void> copied = copy_database(root, place, folder.path()); !copied) {
        problems.push_back(copied.error().message);
        return {};
      }
      const Result<std::string> listing =
          output_of_command({"rpm", "--dbpath", folder.path(), "-qa", "--qf", kFormat},
                            {"LC_ALL=C", "HOME=" + folder.path()}, kLimits);
      if (!listing) {
        problems.push_back(listing.error().in("packages of " + source + " are not known").message);
        return {};
      }
      const std::vector<std::string> names = all_names(paths);
      return by_asked_path(paths, parse(*listing, WantedPaths(names), source));
    }
  }
  return {};
}

}  // namespace crashcrawler
