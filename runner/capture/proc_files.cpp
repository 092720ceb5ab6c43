#include "runner/capture/proc_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <utility>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

// The one byte that proc_pid_maps(5) does not show as it is. A file that is really called so is not found.
std::string with_newlines(std::string path) {
  constexpr std::string_view kEscaped = "\\012";
  for (size_t at = 0; (at = path.find(kEscaped, at)) != std::string::npos;) {
    path.replace(at, kEscaped.size(), "\n");
  }
  return path;
}

Region parse_region(const std::string& line) {
  Region region;
  char permissions[5] = "";
  unsigned long start = 0, end = 0, offset = 0, inode = 0;
  unsigned int major = 0, minor = 0;
  int path = 0;
  std::sscanf(line.c_str(), "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, permissions, &offset,
              &major, &minor, &inode, &path);
  region.start = start;
  region.end = end;
  region.offset = offset;
  region.inode = inode;
  region.device = major << 20 | minor;
  region.flags = (permissions[0] == 'r' ? 1U : 0) | (permissions[1] == 'w' ? 2U : 0) |
                 (permissions[2] == 'x' ? 4U : 0) | (permissions[3] == 's' ? 8U : 0);
  region.path = with_newlines(line.substr(static_cast<size_t>(path)));
  return region;
}

}  // namespace

std::string folder_of_process(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

std::string folder_of_thread(pid_t pid, pid_t tid) {
  return folder_of_process(pid) + "/task/" + std::to_string(tid);
}

std::string bytes_of_file(const std::string& path) {
  Result<std::string> bytes = read_file(path);
  return bytes ? std::move(*bytes) : "";
}

std::string start_of_file(const std::string& path, size_t most) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes(most, '\0');
  const ssize_t got = ::read(file.get(), bytes.data(), bytes.size());
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

std::string name_in(const std::string& folder) {
  const std::string name = bytes_of_file(folder + "/comm");  // may have newlines of its own
  return name.substr(0, name.empty() ? 0 : name.size() - 1);
}

std::string link_target(const std::string& path) {
  std::error_code gone;
  return std::filesystem::read_symlink(path, gone);
}

Stat::Stat(const std::string& folder) {
  const std::string text = bytes_of_file(folder + "/stat");
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) {
    return;
  }
  std::istringstream fields(text.substr(name_end + 1));
  std::string state;
  fields >> state;
  for (std::string number; fields >> number;) {  // some are negative, some beyond INT64_MAX
    numbers_.push_back(std::strtoull(number.c_str(), nullptr, 10));
  }
}

uint64_t Stat::start_ns() const {
  const auto per_second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return field(22) * (1'000'000'000 / per_second);
}

uint64_t Stat::field(size_t number) const {
  constexpr size_t kFirst = 4;
  return number - kFirst < numbers_.size() ? numbers_[number - kFirst] : 0;
}

std::vector<uint64_t> status_numbers(const std::string& status, const std::string& name, int base) {
  std::vector<uint64_t> numbers;
  const size_t at = status.find("\n" + name + ":");
  if (at != std::string::npos) {
    const size_t begin = at + name.size() + 2;
    std::istringstream line(status.substr(begin, status.find('\n', begin) - begin));
    for (std::string number; line >> number;) {
      numbers.push_back(std::strtoull(number.c_str(), nullptr, base));
    }
  }
  return numbers;
}

bool has_capability(unsigned number) {
  const std::vector<uint64_t> effective =
      status_numbers(bytes_of_file("/proc/self/status"), "CapEff", 16);
  return !effective.empty() && (effective[0] >> number & 1) != 0;
}

std::vector<Region> regions_in(const std::string& folder) {
  std::vector<Region> regions;
  std::istringstream lines(bytes_of_file(folder + "/maps"));
  for (std::string line; std::getline(lines, line);) {
    regions.push_back(parse_region(line));
  }
  return regions;
}

const Region* region_at(const std::vector<Region>& regions, uint64_t address) {
  const auto found = std::ranges::find_if(regions, [&](const Region& region) {
    return region.start <= address && address < region.end;
  });
  return found == regions.end() ? nullptr : &*found;
}

std::vector<pid_t> threads_of(pid_t pid) {
  std::vector<pid_t> tids;
  std::error_code gone;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_of_process(pid) + "/task", gone)) {
    tids.push_back(std::atoi(entry.path().filename().c_str()));
  }
  return tids;
}

uint64_t boot_time_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace crashcrawler
