#include "runner/base/mount_info.h"

#include <algorithm>
#include <sstream>

namespace crashcrawler {
namespace {

// mountinfo writes space, tab, newline, backslash and number sign as \ooo.
std::string unescape_octal(const std::string& text) {
  const auto is_octal = [](char letter) { return letter >= '0' && letter <= '7'; };
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string digits = text[i] == '\\' ? text.substr(i + 1, 3) : "";
    if (digits.size() == 3 && std::ranges::all_of(digits, is_octal)) {
      plain += static_cast<char>(std::stoi(digits, nullptr, 8));
      i += digits.size();
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

std::vector<Mount> mounts_of(const std::string& mountinfo) {
  std::vector<Mount> mounts;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos) {
      continue;
    }
    std::istringstream fields(line), behind(line.substr(separator + 3));
    Mount mount;
    std::string parent;
    char colon = 0;
    if (fields >> mount.id >> parent >> mount.device_major >> colon >> mount.device_minor >>
            mount.root >> mount.mount_point &&
        behind >> mount.type) {
      mount.root = unescape_octal(mount.root);
      mount.mount_point = unescape_octal(mount.mount_point);
      mounts.push_back(std::move(mount));
    }
  }
  return mounts;
}

std::optional<std::string> path_through(const Mount& mount, const std::string& path) {
  if (path == mount.root) {
    return mount.mount_point;
  }
  const std::string above = mount.root == "/" ? "" : mount.root;
  if (!path.starts_with(above + "/")) {
    return std::nullopt;
  }
  return (mount.mount_point == "/" ? "" : mount.mount_point) + path.substr(above.size());
}

std::vector<Mount> cgroup2_mounts(const std::string& mountinfo) {
  std::vector<Mount> mounts = mounts_of(mountinfo);
  std::erase_if(mounts, [](const Mount& mount) { return mount.type != "cgroup2"; });
  return mounts;
}

std::string cgroup2_path(const std::string& proc_cgroup) {
  std::istringstream lines(proc_cgroup);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::")) {
      return line.substr(3);
    }
  }
  return "";
}

}  // namespace crashcrawler
