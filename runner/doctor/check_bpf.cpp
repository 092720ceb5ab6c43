// What BPF needs. The kernel answers nearly everything with EPERM, so each of the reasons is looked for.
#include <fmt/format.h>
#include <linux/capability.h>

#include <cstring>
#include <filesystem>
#include <string_view>

#include "runner/base/mount_info.h"
#include "runner/doctor/checks.h"

namespace crashcrawler {
namespace {

constexpr const char* kTypes = "/sys/kernel/btf/vmlinux";

Finding good(const std::string& found) {
  return {.part = Part::bpf, .found = found};
}

Finding bad(const std::string& found, std::vector<Need> needs, const std::string& advice = "") {
  return {.state = State::missing,
          .part = Part::bpf,
          .found = found,
          .cost = kCostOfPtrace,
          .needs = std::move(needs),
          .advice = advice};
}

// `where`: the check that tells why.
Finding unknown(const std::string& found, const std::string& where) {
  return {.state = State::limited, .part = Part::bpf, .found = found, .cost = "see " + where};
}

bool has_ambient_capabilities(const World& world) {
  return world.is_ambient(CAP_BPF) && world.is_ambient(CAP_PERFMON);
}

// sudo's own messages begin with its name in every language.
std::string words_of_sudo(const std::string& text) {
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    if (text.compare(start, 6, "sudo: ") == 0) {
      return text.substr(start, end - start);
    }
    start = end + 1;
  }
  return "";
}

// A name in the string section of the types, where each ends with a zero byte (Documentation/bpf/btf.rst).
bool knows(const std::string& types, std::string_view name) {
  const std::string entry = '\0' + std::string(name) + '\0';
  return types.find(entry) != std::string::npos;
}

bool is_btf(const std::string& bytes) {
  return bytes.starts_with("\x9f\xeb");
}

}  // namespace

Finding check_probe(const World& world) {
  if (world.probe.empty() && world.status_field("Pid").empty()) {
    return unknown("cannot be told without /proc", "proc");
  }
  if (world.probe.empty()) {
    return bad(world.why_no_probe, {}, "install crashcrawler-probe with crashcrawler-run");
  }
  return good(world.probe);
}

Finding check_privilege(const World& world) {
  if (world.user == 0) {
    return good("root");
  }
  if (has_ambient_capabilities(world)) {
    return good("CAP_BPF and CAP_PERFMON as ambient capabilities");
  }
  if (world.status_field("NoNewPrivs") == "1") {
    return bad("no_new_privs is set for this process: sudo cannot become root",
               {Need::new_privileges},
               "start it where no_new_privs is not set (systemd: NoNewPrivileges=no)");
  }
  const Answer answer = world.ask({"sudo", "-n", "--", world.probe.empty() ? "true" : world.probe});
  const std::string refusal = words_of_sudo(answer.words);
  if (refusal.empty() && answer.status == 127) {
    return bad("not root, and there is no sudo in PATH", {Need::root});
  }
  if (!refusal.empty()) {
    return bad("not root, and sudo refuses: " + refusal, {Need::sudo_rule});
  }
  return good("sudo starts the probe without a password");
}

Finding check_capabilities(const World& world) {
  if (world.user != 0 && has_ambient_capabilities(world)) {
    return good("CAP_BPF and CAP_PERFMON");
  }
  // Root through sudo has what the bounding set leaves.
  const char* field = world.user == 0 ? "CapEff" : "CapBnd";
  const std::string text = world.status_field(field);
  if (text.empty()) {
    return unknown("cannot be told without /proc", "proc");
  }
  const uint64_t mask = std::strtoull(text.c_str(), nullptr, 16);
  const auto has = [mask](int capability) { return (mask >> capability & 1) != 0; };
  if (has(CAP_SYS_ADMIN)) {
    return good("CAP_SYS_ADMIN, which contains CAP_BPF and CAP_PERFMON");
  }
  if (has(CAP_BPF) && has(CAP_PERFMON)) {
    return good("CAP_BPF and CAP_PERFMON");
  }
  const std::string missing = has(CAP_BPF)       ? "CAP_PERFMON is"
                              : has(CAP_PERFMON) ? "CAP_BPF is"
                                                 : "CAP_BPF and CAP_PERFMON are";
  return bad(fmt::format("{} not in {} of this process", missing,
                         world.user == 0 ? "the effective set" : "the bounding set"),
             {Need::capabilities},
             "start it where nobody has taken them away (systemd: CapabilityBoundingSet=)");
}

Finding check_user_namespace(const World& world) {
  const std::string map = world.text_of("/proc/self/uid_map");
  unsigned long inside = 0, outside = 0, count = 0;
  if (std::sscanf(map.c_str(), "%lu %lu %lu", &inside, &outside, &count) != 3) {
    return unknown("cannot be told without /proc", "proc");
  }
  // user_namespaces(7): the map of the first one
  if (inside == 0 && outside == 0 && count == 4294967295) {
    return good("the machine's");
  }
  return bad(
      "this is a user namespace of its own (rootless): its capabilities do not count for BPF",
      {Need::own_user_namespace}, "start it outside of the user namespace");
}

Finding check_bpf(const World& world) {
  const int error = world.try_bpf();
  if (error == 0) {
    return good("bpf(2) reaches the kernel");
  }
  const bool filtered = world.status_field("Seccomp") == "2";
  // The filters of container engines let it through when they give the capability.
  if (filtered && check_capabilities(world).state == State::missing) {
    return bad(
        "bpf(2) is refused by a filter (seccomp), as container engines have it without CAP_BPF",
        {Need::capabilities}, "start it without the filter (systemd: SystemCallFilter=)");
  }
  if (filtered) {
    return bad(fmt::format("bpf(2) is refused by a filter (seccomp): {}", std::strerror(error)),
               {Need::system_calls}, "start it without the filter (systemd: SystemCallFilter=)");
  }
  if (error == EPERM) {  // kernels before 6.5 ask for the capability first
    return good("bpf(2) is there, for those who may");
  }
  return bad(fmt::format("the kernel has no bpf(2): {}", std::strerror(error)), {},
             "boot a kernel built with CONFIG_BPF_SYSCALL=y");
}

Finding check_lockdown(const World& world) {
  const std::string text = world.text_of("/sys/kernel/security/lockdown");
  if (text.find("[confidentiality]") != std::string::npos) {
    return bad("the kernel is locked down for confidentiality, which forbids BPF to read memory",
               {}, "boot it with lockdown=integrity or none");
  }
  return good(text.find("[integrity]") != std::string::npos ? "integrity, which allows BPF"
                                                            : "none");
}

Finding check_types(const World& world) {
  if (is_btf(world.text_of(kTypes))) {
    return good(kTypes);
  }
  if (!world.exists("/sys/kernel")) {
    return bad("/sys is not mounted, so the kernel does not show its types", {Need::sysfs},
               "have /sys mounted");
  }
  if (!hiding_mount(world, kTypes).empty()) {
    return bad(fmt::format("{} is hidden by another mount", kTypes), {Need::types},
               "leave out what hides it");
  }
  return bad(
      fmt::format("the kernel does not show its types: no {}", kTypes), {},
      "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all current distributions build it");
}

Finding check_kernel(const World& world) {
  const std::string types = world.text_of(kTypes);
  if (!is_btf(types)) {
    return unknown("cannot be told without the kernel's types", "types");
  }
  for (const char* needed : {"bpf_task_pt_regs", "btf_trace_signal_deliver"}) {
    if (!knows(types, needed)) {
      return bad(fmt::format("the kernel has no {}", needed), {}, "boot Linux 6.1 or newer");
    }
  }
  if (!knows(types, "bpf_iter_task_vma_new") && !knows(types, "maple_arange_64")) {
    return bad("the kernel cannot show the memory map of a dying process", {},
               "boot Linux 6.1 or newer");
  }
  return good("has what the BPF programs need");
}

Finding check_descriptors(const World& world) {
  const auto [soft, hard] = world.descriptor_limits();
  if (soft >= kFewestDescriptors) {
    return good(fmt::format("{} files may be open", soft));
  }
  return bad(fmt::format("no more than {} files may be open (RLIMIT_NOFILE)", soft),
             {Need::descriptors}, "give it a hard RLIMIT_NOFILE of at least 64");
}

std::string hiding_mount(const World& world, const std::string& path) {
  std::string hiding;
  for (const Mount& mount : mounts_of(world.text_of("/proc/self/mountinfo"))) {
    const bool above = path == mount.mount_point || path.starts_with(mount.mount_point + "/");
    if (above && mount.mount_point.starts_with("/sys/")) {
      hiding = mount.mount_point;
    }
  }
  return hiding;
}

}  // namespace crashcrawler
