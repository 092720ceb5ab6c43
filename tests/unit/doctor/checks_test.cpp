#include "runner/doctor/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/doctor/sample_world.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kTypes;
using testing::SampleWorld;

TEST(Checks, NothingIsMissingWhereNothingIsMissing) {
  SampleWorld sample;
  for (const Finding& finding : run_checks(sample.world)) {
    EXPECT_EQ(finding.state, State::ok) << finding.check << ": " << finding.found;
    EXPECT_EQ(finding.cost, "") << finding.check;
  }
  EXPECT_THAT(sample.asked, ElementsAre("sudo", "-n", "--", "/opt/crashcrawler-probe"));
}

TEST(Checks, RootNeedsNoSudo) {
  SampleWorld sample;
  sample.world.user = 0;
  EXPECT_EQ(check_privilege(sample.world).state, State::ok);
  EXPECT_THAT(sample.asked, IsEmpty());
}

TEST(Checks, AmbientCapabilitiesNeedNoSudo) {
  SampleWorld sample;
  sample.world.is_ambient = [](int) { return true; };
  sample.put("/proc/self/status", SampleWorld::status("0"));
  EXPECT_EQ(check_privilege(sample.world).state, State::ok);
  EXPECT_EQ(check_capabilities(sample.world).state, State::ok);
  EXPECT_THAT(sample.asked, IsEmpty());
}

TEST(Checks, SudoIsToldApart) {
  SampleWorld sample;
  sample.sudo = {127, ""};
  EXPECT_THAT(check_privilege(sample.world).needs, ElementsAre(Need::root));
  sample.sudo = {1, "some words\nsudo: a password is required\n"};
  EXPECT_THAT(check_privilege(sample.world).needs, ElementsAre(Need::sudo_rule));
  EXPECT_THAT(check_privilege(sample.world).found, HasSubstr("sudo: a password is required"));
  sample.put("/proc/self/status", SampleWorld::status("1ffffffffff", "1"));
  EXPECT_THAT(check_privilege(sample.world).needs, ElementsAre(Need::new_privileges));
}

TEST(Checks, CapabilitiesOfRootAndBehindSudo) {
  SampleWorld sample;
  sample.put("/proc/self/status", "Pid:\t7\nCapEff:\t0\nCapBnd:\tc000000000\n");
  EXPECT_EQ(check_capabilities(sample.world).state, State::ok);
  sample.world.user = 0;
  EXPECT_EQ(check_capabilities(sample.world).state, State::missing);
  sample.put("/proc/self/status", "Pid:\t7\nCapEff:\t200000\n");
  EXPECT_EQ(check_capabilities(sample.world).state, State::ok);
  sample.put("/proc/self/status", "Pid:\t7\nCapEff:\t8000000000\n");
  EXPECT_THAT(check_capabilities(sample.world).found, HasSubstr("CAP_PERFMON is not"));
  sample.put("/proc/self/status", "Pid:\t7\nCapEff:\t4000000000\n");
  EXPECT_THAT(check_capabilities(sample.world).found, HasSubstr("CAP_BPF is not"));
}

TEST(Checks, UserNamespace) {
  SampleWorld sample;
  sample.put("/proc/self/uid_map", "0 1000 1\n");
  EXPECT_THAT(check_user_namespace(sample.world).needs, ElementsAre(Need::own_user_namespace));
}

TEST(Checks, WhoRefusesBpf) {
  SampleWorld sample;
  sample.bpf_error = EPERM;  // an old kernel, to those who may not
  EXPECT_EQ(check_bpf(sample.world).state, State::ok);
  sample.bpf_error = ENOSYS;
  EXPECT_THAT(check_bpf(sample.world).advice, HasSubstr("CONFIG_BPF_SYSCALL"));
  sample.put("/proc/self/status", SampleWorld::status("1ffffffffff", "0", "2"));
  EXPECT_THAT(check_bpf(sample.world).needs, ElementsAre(Need::system_calls));
  sample.put("/proc/self/status", SampleWorld::status("0", "0", "2"));
  EXPECT_THAT(check_bpf(sample.world).needs, ElementsAre(Need::capabilities));
}

TEST(Checks, Lockdown) {
  SampleWorld sample;
  sample.put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
  EXPECT_EQ(check_lockdown(sample.world).state, State::ok);
  sample.put("/sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
  EXPECT_EQ(check_lockdown(sample.world).state, State::missing);
  EXPECT_THAT(check_lockdown(sample.world).advice, HasSubstr("lockdown=integrity"));
}

TEST(Checks, WhyTheTypesAreNotSeen) {
  SampleWorld sample;
  sample.put(kTypes, "");
  EXPECT_THAT(check_types(sample.world).advice, HasSubstr("CONFIG_DEBUG_INFO_BTF"));
  EXPECT_THAT(check_types(sample.world).needs, IsEmpty());
  sample.put("/proc/self/mountinfo",
             "30 23 0:5 /null /sys/kernel/btf/vmlinux rw - devtmpfs udev rw\n");
  EXPECT_THAT(check_types(sample.world).needs, ElementsAre(Need::types));
  EXPECT_EQ(hiding_mount(sample.world, kTypes), kTypes);
  sample.take_away("/sys/kernel");
  EXPECT_THAT(check_types(sample.world).needs, ElementsAre(Need::sysfs));
}

TEST(Checks, WhatAnOldKernelLacks) {
  SampleWorld sample;
  sample.put(kTypes, SampleWorld::types({"btf_trace_signal_deliver", "maple_arange_64"}));
  EXPECT_THAT(check_kernel(sample.world).found, HasSubstr("bpf_task_pt_regs"));
  sample.put(kTypes, SampleWorld::types({"btf_trace_signal_deliver", "bpf_task_pt_regs"}));
  EXPECT_EQ(check_kernel(sample.world).state, State::missing);
  sample.put(kTypes, SampleWorld::types(
                         {"btf_trace_signal_deliver", "bpf_task_pt_regs_", "maple_arange_64"}));
  EXPECT_EQ(check_kernel(sample.world).state, State::missing);
  sample.put(kTypes, SampleWorld::types(
                         {"btf_trace_signal_deliver", "bpf_task_pt_regs", "maple_arange_64"}));
  EXPECT_EQ(check_kernel(sample.world).state, State::ok);
}

TEST(Checks, FewDescriptors) {
  SampleWorld sample;
  sample.descriptor_limits.first = kFewestDescriptors;
  EXPECT_EQ(check_descriptors(sample.world).state, State::ok);
  sample.descriptor_limits.first = kFewestDescriptors - 1;
  EXPECT_THAT(check_descriptors(sample.world).needs, ElementsAre(Need::descriptors));
}

TEST(Checks, TheCgroupIsMadeBelowOursOrAtTheTop) {
  SampleWorld sample;
  EXPECT_EQ(check_cgroup(sample.world).found, "/sys/fs/cgroup/user.slice");
  sample.closed["/sys/fs/cgroup/user.slice"] = EACCES;
  EXPECT_EQ(check_cgroup(sample.world).found, "/sys/fs/cgroup");
  sample.closed["/sys/fs/cgroup"] = EROFS;
  EXPECT_EQ(check_cgroup(sample.world).state, State::limited);
  EXPECT_THAT(check_cgroup(sample.world).found, HasSubstr("Read-only file system"));
  sample.put("/proc/self/mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n");
  EXPECT_THAT(check_cgroup(sample.world).found, HasSubstr("no cgroup2"));
}

TEST(Checks, PtraceScope) {
  SampleWorld sample;
  sample.put("/proc/sys/kernel/yama/ptrace_scope", "1\n");
  EXPECT_EQ(check_ptrace(sample.world).state, State::ok);
  sample.ptrace_error = EPERM;
  EXPECT_THAT(check_ptrace(sample.world).needs, IsEmpty());
  sample.put("/proc/sys/kernel/yama/ptrace_scope", "2\n");
  EXPECT_THAT(check_ptrace(sample.world).needs, ElementsAre(Need::ptrace_scope));
  sample.put("/proc/sys/kernel/yama/ptrace_scope", "3\n");
  EXPECT_THAT(check_ptrace(sample.world).needs, IsEmpty());
  EXPECT_THAT(check_ptrace(sample.world).advice, HasSubstr("boot"));
}

TEST(Checks, Proc) {
  SampleWorld sample;
  for (const char* shown : {"hidepid=0", "hidepid=off"}) {
    sample.put("/proc/self/mountinfo",
               std::string("22 1 0:21 / /proc rw - proc proc rw,") + shown + "\n");
    EXPECT_EQ(check_proc(sample.world).state, State::ok) << shown;
  }
  sample.put("/proc/self/mountinfo", "22 1 0:21 / /proc rw - proc proc rw,hidepid=invisible\n");
  EXPECT_EQ(check_proc(sample.world).state, State::limited);
  sample.world.user = 0;
  EXPECT_EQ(check_proc(sample.world).state, State::ok);
  sample.take_away("/proc");
  EXPECT_EQ(check_proc(sample.world).state, State::missing);
}

TEST(Checks, TheOutputIsTriedInTheFolderThatIsThere) {
  SampleWorld sample;
  sample.world.working_directory = "/srv";
  sample.put("/srv/a/file", "");
  sample.closed["/srv/a"] = ENOSPC;
  EXPECT_EQ(check_output(sample.world).state, State::ok);
  sample.world.output_directory = "a/b/c";
  EXPECT_THAT(check_output(sample.world).found, HasSubstr("/srv/a: No space left"));
}

TEST(Checks, TemporaryFiles) {
  SampleWorld sample;
  sample.closed["/tmp"] = ENOENT;
  EXPECT_EQ(check_temporary(sample.world).state, State::limited);
  EXPECT_EQ(writable_folder(sample.world), "/var/tmp");
  sample.variables["TMPDIR"] = "/scratch";
  EXPECT_EQ(check_temporary(sample.world).state, State::ok);
}

TEST(Checks, NamesOfTheCLibrary) {
  SampleWorld sample;
  sample.debug_information = false;
  EXPECT_THAT(check_names(sample.world).needs, ElementsAre(Need::debug_information));
  sample.take_away("/lib");
  EXPECT_EQ(check_names(sample.world).state, State::ok);
}

TEST(Checks, AHelperForCoreDumpsIsStartedOnlyWhereTheLimitIsZero) {
  SampleWorld sample;
  sample.put("/proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P %u\n");
  EXPECT_EQ(check_core_pattern(sample.world).state, State::ok);
  EXPECT_THAT(check_core_pattern(sample.world).found,
              HasSubstr("/usr/lib/systemd/systemd-coredump is not"));
  sample.hard_core_limit = 0;
  EXPECT_THAT(check_core_pattern(sample.world).needs, ElementsAre(Need::core_limit));
}

}  // namespace
}  // namespace crashcrawler
