// The text files below <root>/var/lib/dpkg, read directly (deb-control(5), dpkg-divert(1)): a `dpkg
// -S` per module would cost 50 ms each and belongs to the machine we run on, not to the root the
// crashed process saw.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runner/attribute/owners.h"
#include "runner/attribute/root_files.h"
#include "runner/base/result.h"

namespace crashcrawler {

// A package as the name of its list file has it: "libc6:amd64" for Multi-Arch: same, "bash"
// otherwise.
struct PackageKey {
  std::string name, architecture;  // architecture empty: the list file does not say
};

PackageKey parse_package_key(std::string_view key);

struct Diversion {
  std::string original, diverted_to;
  std::string package;  // that keeps the original name; ":" when the administrator made it
};

struct PackageState {
  std::string name, version, architecture;
};

Result<std::vector<Diversion>> parse_diversions(std::string_view text, const std::string& file);

// The states of `wanted`, in its order; an empty name for those without a paragraph. A malformed
// line is told in `problems` and skipped.
std::vector<PackageState> parse_status(std::string_view text, const std::string& file,
                                       const std::vector<PackageKey>& wanted,
                                       std::vector<std::string>& problems);

// Which files tell what a package brought: *.list, or, where packages were only unpacked
// (distroless images), *.md5sums (deb-md5sums(5)).
enum class FileLists { list, md5sums };

// Which of them in `directory` (keys without the suffix) name each of `paths`. Read are first those that are likely to, by
// their names, and none any more when `is_enough` of what is known so far. Unreadable ones are told in `problems`.
using OwnersByPath = std::map<std::string, std::vector<std::string>>;
Result<OwnersByPath> find_owners(RootFiles& root, const std::string& directory, FileLists lists,
                                 const std::vector<std::string>& paths,
                                 const std::function<bool(const OwnersByPath&)>& is_enough,
                                 std::vector<std::string>& problems);

}  // namespace crashcrawler
