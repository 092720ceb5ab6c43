// What matters for a run whichever way it is captured: cgroup, ptrace, /proc, folders, names.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <sstream>

#include "runner/base/mount_info.h"
#include "runner/doctor/checks.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

// Where the probe makes the cgroup of a run: below ours, else at the top of the mount.
std::vector<std::string> parents_in(const Mount& mount, const std::string& membership) {
  std::vector<std::string> parents;
  const auto below = membership.starts_with("/..") ? std::nullopt : path_through(mount, membership);
  if (below && *below != mount.mount_point) {
    parents.push_back(*below);
  }
  parents.push_back(mount.mount_point);
  return parents;
}

Finding without_cgroup(const std::string& found) {
  return {.state = State::limited,
          .part = Part::cgroup,
          .found = found,
          .cost =
              "the command's processes are followed from fork to fork, and what is left of them is "
              "ended one by one",
          .needs = {Need::cgroup},
          .advice = "let it have a cgroup2 file system that it can write to"};
}

// The options of the /proc that is seen, its mount's and its file system's (proc_pid_mountinfo(5)).
std::string options_of_proc(const World& world) {
  std::string options;
  std::istringstream lines(world.text_of("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    const size_t behind = line.find(" - proc ");
    if (behind != std::string::npos && line.find(" / /proc ") != std::string::npos) {
      options = line.substr(behind + 8);
    }
  }
  return options;
}

// The folder itself, or the one in which it would have to be made.
std::string existing_parent(const World& world, const std::string& folder) {
  fs::path here =
      folder.starts_with('/') ? fs::path(folder) : fs::path(world.working_directory) / folder;
  while (here.has_relative_path() && !world.exists(here)) {
    here = here.parent_path();
  }
  return here;
}

std::string c_library(const World& world) {
  for (const char* path : {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6",
                           "/usr/lib/libc.so.6", "/lib/ld-musl-x86_64.so.1"}) {
    if (world.exists(path)) {
      return path;
    }
  }
  return "";
}

}  // namespace

Finding check_cgroup(const World& world) {
  std::string reasons;
  const std::string mounts = world.text_of("/proc/self/mountinfo");
  if (mounts.empty()) {
    return {.state = State::limited,
            .part = Part::cgroup,
            .found = "cannot be told without /proc",
            .cost = "see proc"};
  }
  const std::string membership = cgroup2_path(world.text_of("/proc/self/cgroup"));
  for (const Mount& mount : cgroup2_mounts(mounts)) {
    for (const std::string& parent : parents_in(mount, membership)) {
      const int error = world.try_cgroup(parent);
      if (error == 0) {
        return {.part = Part::cgroup, .found = parent};
      }
      reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", parent, std::strerror(error));
    }
  }
  return without_cgroup(reasons.empty() ? "no cgroup2 file system is mounted" : reasons);
}

Finding check_ptrace(const World& world) {
  const std::string scope = world.text_of("/proc/sys/kernel/yama/ptrace_scope").substr(0, 1);
  const int error = world.try_ptrace();
  if (error == 0) {
    return {.part = Part::ptrace, .found = "children can be traced"};
  }
  Finding finding{.state = State::missing,
                  .part = Part::ptrace,
                  .found = fmt::format("ptrace(2) is refused: {}", std::strerror(error)),
                  .cost =
                      "--timeout cannot show the stacks of what hangs, and without BPF nothing can "
                      "be captured"};
  if (scope == "2" || scope == "3") {
    finding.found += fmt::format(" (kernel.yama.ptrace_scope is {})", scope);
    finding.advice = scope == "2" ? "on the host: sysctl kernel.yama.ptrace_scope=1"
                                  : "only a new boot takes ptrace_scope 3 back";
    if (scope == "2") {
      finding.needs = {Need::ptrace_scope};
    }
  } else if (world.status_field("Seccomp") == "2") {
    finding.found += " by a filter (seccomp)";
    finding.needs = {Need::system_calls};
    finding.advice = "start it without the filter (systemd: SystemCallFilter=)";
  } else {
    finding.advice = "a security module may forbid it, or a debugger traces this program";
  }
  return finding;
}

Finding check_proc(const World& world) {
  if (world.status_field("Pid").empty()) {
    return {.state = State::missing,
            .found = "/proc is not mounted",
            .cost = "nothing can be captured",
            .needs = {Need::procfs},
            .advice = "have /proc mounted"};
  }
  const std::string options = options_of_proc(world);
  const bool hides = options.find("hidepid=") != std::string::npos &&
                     options.find("hidepid=0") == std::string::npos &&
                     options.find("hidepid=off") == std::string::npos;
  if (hides && world.user != 0) {
    return {
        .state = State::limited,
        .found = "/proc hides the processes of other users (hidepid)",
        .cost =
            "what tests start as another user is reported without names of libraries and functions",
        .needs = {Need::procfs},
        .advice = "mount it without hidepid"};
  }
  if (options.find("subset=pid") != std::string::npos) {
    return {.state = State::limited,
            .found = "/proc shows processes only (subset=pid)",
            .cost = "core_pattern and ptrace_scope cannot be told here",
            .needs = {Need::procfs},
            .advice = "mount it without subset=pid"};
  }
  return {.found = "mounted"};
}

Finding check_output(const World& world) {
  const std::string parent = existing_parent(world, world.output_directory);
  const int error = world.try_file(parent);
  if (error == 0) {
    return {.found = world.output_directory};
  }
  return {
      .state = State::missing,
      .found = fmt::format("no file can be made in {}: {}", parent, std::strerror(error)),
      .cost =
          "crashcrawler-run does not start the command, because the reports could not be written",
      .needs = {Need::output},
      .advice = "name a folder that can be written to with --output-dir"};
}

Finding check_temporary(const World& world) {
  const std::string named = world.variable("TMPDIR");
  const std::string folder = named.empty() ? "/tmp" : named;
  const int error = world.try_file(folder);
  if (error == 0) {
    return {.found = folder};
  }
  return {.state = State::limited,
          .found = fmt::format("no file can be made in {}: {}", folder, std::strerror(error)),
          .cost = "no package versions on systems with rpm, whose database is asked in a copy",
          .needs = {Need::temporary},
          .advice = "set TMPDIR to a folder that can be written to"};
}

Finding check_names(const World& world) {
  const std::string library = c_library(world);
  if (library.empty()) {
    return {.found = "no C library lies here that would need them"};
  }
  if (world.has_debug_information(library)) {
    return {.found = "debug information of " + library};
  }
  return {.state = State::limited,
          .found = "no debug information of " + library,
          .cost = "frames in the C library have no lines, and its inner functions no names",
          .needs = {Need::debug_information},
          .advice =
              "install the debug information of the C library, or set DEBUGINFOD_URLS and give "
              "--debuginfod"};
}

Finding check_core_pattern(const World& world) {
  std::string pattern = world.text_of("/proc/sys/kernel/core_pattern");
  pattern = pattern.substr(0, pattern.find('\n'));
  if (!pattern.starts_with('|')) {
    return {.found = pattern.empty() ? "cannot be told" : "no helper: " + pattern};
  }
  const std::string helper = pattern.substr(1, pattern.find(' ') - 1);
  if (world.core_limits().second == 0) {
    return {.state = State::limited,
            .found = fmt::format("{} is started for every crash: RLIMIT_CORE is 0 and cannot be 1",
                                 helper),
            .cost = "every crash takes as long as the helper does, half a second or more",
            .needs = {Need::core_limit},
            .advice = "give it a hard RLIMIT_CORE of at least 1"};
  }
  return {.found = fmt::format("{} is not started for crashes in the run, but with --keep-core",
                               helper)};
}

std::vector<Finding> run_checks(const World& world) {
  std::vector<Finding> findings;
  for (const Check& check : kChecks) {
    findings.push_back(check.run(world));
    findings.back().check = check.name;
  }
  return findings;
}

std::string writable_folder(const World& world) {
  for (const std::string& folder :
       {world.variable("TMPDIR"), std::string("/tmp"), std::string("/var/tmp"),
        std::string("/dev/shm"), world.home, world.working_directory}) {
    if (!folder.empty() && world.try_file(folder) == 0) {
      return folder;
    }
  }
  return "";
}

}  // namespace crashcrawler
