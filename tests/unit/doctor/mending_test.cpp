#include "runner/doctor/mending.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/doctor/sample_world.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::SampleWorld;

TEST(Mending, NothingNeedsNothing) {
  SampleWorld sample;
  for (const Place place : kPlaces) {
    EXPECT_THAT(lines_for(place, {}, sample.world), IsEmpty());
  }
}

TEST(Mending, OnAMachineCommandsAreOneLine) {
  SampleWorld sample;
  EXPECT_THAT(
      lines_for(Place::plain, {Need::cgroup, Need::ptrace_scope}, sample.world),
      ElementsAre("sudo mkdir -p /run/cgroup2 && sudo mount -t cgroup2 none /run/cgroup2 && "
                  "sudo sysctl kernel.yama.ptrace_scope=1"));
  sample.world.user = 0;
  EXPECT_THAT(lines_for(Place::plain, {Need::ptrace_scope}, sample.world),
              ElementsAre("sysctl kernel.yama.ptrace_scope=1"));
}

TEST(Mending, NobodyMountsWithoutTheCapability) {
  SampleWorld sample;
  sample.put("/proc/self/status", SampleWorld::status("c000000000"));
  EXPECT_THAT(
      lines_for(Place::plain, {Need::cgroup, Need::procfs, Need::sysfs, Need::types}, sample.world),
      IsEmpty());
}

TEST(Mending, TheRuleNamesUserAndProbe) {
  SampleWorld sample;
  EXPECT_THAT(lines_for(Place::plain, {Need::sudo_rule}, sample.world),
              ElementsAre("echo 'maria ALL=(root) NOPASSWD: /opt/crashcrawler-probe' | sudo tee "
                          "/etc/sudoers.d/zz-crashcrawler"));
}

TEST(Mending, TheLimitOfDescriptorsIsRaisedWhereItCanBe) {
  SampleWorld sample;
  EXPECT_THAT(lines_for(Place::plain, {Need::descriptors}, sample.world),
              ElementsAre("ulimit -n $(ulimit -Hn)"));
  sample.descriptor_limits = {8, 8};
  EXPECT_THAT(lines_for(Place::plain, {Need::descriptors}, sample.world), IsEmpty());
}

TEST(Mending, TheLimitOfCoreFiles) {
  SampleWorld sample;
  EXPECT_THAT(lines_for(Place::plain, {Need::core_limit}, sample.world),
              ElementsAre("sudo prlimit --core=1:1 --pid $$"));
  EXPECT_THAT(lines_for(Place::docker, {Need::core_limit}, sample.world),
              ElementsAre(HasSubstr(" --ulimit core=1 ")));
}

TEST(Mending, KubernetesIsAskedForNoMoreThanIsMissing) {
  SampleWorld sample;
  EXPECT_THAT(lines_for(Place::kubernetes, {Need::capabilities}, sample.world),
              ElementsAre("securityContext: {capabilities: {add: [BPF, PERFMON]}}"));
  EXPECT_THAT(lines_for(Place::kubernetes, {Need::capabilities, Need::system_calls}, sample.world),
              ElementsAre("securityContext: {capabilities: {add: [BPF, PERFMON]}, seccompProfile: "
                          "{type: Unconfined}}"));
  EXPECT_THAT(
      lines_for(Place::kubernetes, {Need::capabilities, Need::cgroup, Need::root}, sample.world),
      ElementsAre("securityContext: {privileged: true, runAsUser: 0}"));
}

TEST(Mending, DebugInformationAsTheSystemHasIt) {
  SampleWorld sample;
  const auto line = [&] {
    return lines_for(Place::plain, {Need::debug_information}, sample.world);
  };
  EXPECT_THAT(line(), ElementsAre("sudo apt-get install -y --no-install-recommends libc6-dbg"));
  sample.put("/etc/os-release", "NAME=x\nID=\"fedora\"\n");
  EXPECT_THAT(line(), ElementsAre("sudo dnf debuginfo-install -y glibc"));
  sample.put("/etc/os-release", "ID=alpine");
  EXPECT_THAT(line(), ElementsAre("sudo apk add musl-dbg"));
  sample.put("/etc/os-release", "ID=arch\n");
  EXPECT_THAT(line(), IsEmpty());
  sample.variables["DEBUGINFOD_URLS"] = "https://debuginfod.archlinux.org";
  EXPECT_THAT(line(), ElementsAre("crashcrawler-run --debuginfod -- COMMAND"));
}

TEST(Mending, AFolderThatCanBeWrittenTo) {
  SampleWorld sample;
  sample.closed["/tmp"] = EROFS;
  for (const Place place : kPlaces) {
    EXPECT_THAT(
        lines_for(place, {Need::output, Need::temporary}, sample.world),
        ElementsAre(
            "TMPDIR=/var/tmp crashcrawler-run --output-dir /var/tmp/crashcrawler-out -- COMMAND"));
  }
  for (const char* folder : {"/var/tmp", "/dev/shm", "/home/maria", "/"}) {
    sample.closed[folder] = EROFS;
  }
  EXPECT_THAT(lines_for(Place::plain, {Need::output}, sample.world), IsEmpty());
}

}  // namespace
}  // namespace crashcrawler
