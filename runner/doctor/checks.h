// The single checks. They explain; what counts is the trial.
#pragma once

#include <string>
#include <vector>

#include "runner/doctor/finding.h"
#include "runner/doctor/world.h"

namespace crashcrawler {

struct Check {
  const char* name;  // also in the JSON
  Finding (*run)(const World&);
};

// crashcrawler-probe lies where crashcrawler-run looks for it.
Finding check_probe(const World& world);
// Root, ambient capabilities, or a sudo that starts the probe without a password.
Finding check_privilege(const World& world);
// The capabilities that the probe will have: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN (capabilities(7)).
Finding check_capabilities(const World& world);
// We are in the first user namespace: capabilities of others do not count for BPF.
Finding check_user_namespace(const World& world);
// bpf(2) reaches the kernel: no filter of seccomp(2) stands before it.
Finding check_bpf(const World& world);
// Not locked down for confidentiality (kernel_lockdown(7)).
Finding check_lockdown(const World& world);
// /sys/kernel/btf/vmlinux.
Finding check_types(const World& world);
// The kernel has what the BPF programs call and are hooked to, told by its types.
Finding check_kernel(const World& world);
// As many open files as the probe and its maps take.
Finding check_descriptors(const World& world);
// A cgroup2 file system that is mounted, can be written to, and takes our processes.
Finding check_cgroup(const World& world);
// ptrace(2) of our own children.
Finding check_ptrace(const World& world);
// /proc shows what capture reads.
Finding check_proc(const World& world);
// The reports can be written.
Finding check_output(const World& world);
// Temporary files can be written.
Finding check_temporary(const World& world);
// Names and lines of the C library's functions.
Finding check_names(const World& world);
// No helper is started for every crash.
Finding check_core_pattern(const World& world);

inline constexpr Check kChecks[] = {
    {"probe", check_probe},
    {"privilege", check_privilege},
    {"capabilities", check_capabilities},
    {"user_namespace", check_user_namespace},
    {"bpf", check_bpf},
    {"lockdown", check_lockdown},
    {"types", check_types},
    {"kernel", check_kernel},
    {"descriptors", check_descriptors},
    {"cgroup", check_cgroup},
    {"ptrace", check_ptrace},
    {"proc", check_proc},
    {"output", check_output},
    {"temporary", check_temporary},
    {"names", check_names},
    {"core_pattern", check_core_pattern},
};

// All of them, in that order.
std::vector<Finding> run_checks(const World& world);

// The first of TMPDIR, /tmp, /var/tmp, /dev/shm, the home and the working directory where a file can be made; "": none.
std::string writable_folder(const World& world);

// The mount below /sys that covers `path`; "": none.
std::string hiding_mount(const World& world, const std::string& path);

}  // namespace crashcrawler
