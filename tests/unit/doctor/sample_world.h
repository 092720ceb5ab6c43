// A machine in a folder, where nothing is missing; a test takes away what it is about.
#pragma once

#include <linux/capability.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "runner/doctor/world.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler::testing {

inline constexpr const char* kTypes = "/sys/kernel/btf/vmlinux";

class SampleWorld {
 public:
  SampleWorld() {
    world.root = folder_.path();
    world.user = 1000;
    world.user_name = "maria";
    world.home = "/home/maria";
    world.working_directory = "/";
    world.probe = "/opt/crashcrawler-probe";
    world.output_directory = "crashcrawler-out";
    world.variable = [this](const char* name) { return variables[name]; };
    world.is_ambient = [](int) { return false; };
    world.try_bpf = [this] { return bpf_error; };
    world.try_ptrace = [this] { return ptrace_error; };
    world.try_cgroup = [this](const std::string& path) { return closed[path]; };
    world.try_file = [this](const std::string& path) { return closed[path]; };
    world.ask = [this](const std::vector<std::string>& command) {
      asked = command;
      return sudo;
    };
    world.has_debug_information = [this](const std::string&) { return debug_information; };
    world.core_limits = [this] { return std::pair<uint64_t, uint64_t>(0, hard_core_limit); };
    world.descriptor_limits = [this] { return descriptor_limits; };
    put("/proc/self/status", status("000001ffffffffff"));
    put("/proc/self/uid_map", "         0          0 4294967295\n");
    put("/proc/self/cgroup", "0::/user.slice\n");
    put("/proc/self/mountinfo",
        "22 1 0:21 / /proc rw - proc proc rw\n23 1 0:22 / /sys rw - sysfs sysfs rw\n"
        "24 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    put("/proc/sys/kernel/core_pattern", "core\n");
    put(kTypes, types({"bpf_task_pt_regs", "btf_trace_signal_deliver", "bpf_iter_task_vma_new"}));
    put("/lib/x86_64-linux-gnu/libc.so.6", "");
    put("/etc/os-release", "ID=debian\n");
  }

  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }

  void take_away(const std::string& path) { std::filesystem::remove_all(folder_.path() + path); }

  // /proc/self/status with the same capabilities in every set.
  static std::string status(const std::string& capabilities,
                            const std::string& no_new_privileges = "0",
                            const std::string& seccomp = "0") {
    return "Pid:\t7\nCapEff:\t" + capabilities + "\nCapBnd:\t" + capabilities + "\nNoNewPrivs:\t" +
           no_new_privileges + "\nSeccomp:\t" + seccomp + "\n";
  }

  static std::string types(const std::vector<std::string>& names) {
    std::string bytes = "\x9f\xeb";
    for (const std::string& name : names) {
      bytes += '\0' + name;
    }
    return bytes + '\0';
  }

  World world;
  std::map<std::string, std::string> variables;
  std::map<std::string, int> closed;  // the errno of what is tried in a folder
  int bpf_error = 0, ptrace_error = 0;
  Answer sudo{125, "crashcrawler-probe: this program is started by crashcrawler-run\n"};
  std::vector<std::string> asked;
  bool debug_information = true;
  std::pair<uint64_t, uint64_t> descriptor_limits{1024, 4096};
  uint64_t hard_core_limit = ~uint64_t{0};

 private:
  TemporaryDirectory folder_;
};

}  // namespace crashcrawler::testing
