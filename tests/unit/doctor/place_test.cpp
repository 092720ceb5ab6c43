#include "runner/doctor/place.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/unit/doctor/sample_world.h"

namespace crashcrawler {
namespace {

using testing::SampleWorld;

TEST(Place, AMachineHasNoMark) {
  SampleWorld sample;
  EXPECT_EQ(find_place(sample.world), Place::plain);
  sample.variables["GITHUB_ACTIONS"] = "true";  // a job on the machine itself
  sample.variables["GITLAB_CI"] = "true";
  EXPECT_EQ(find_place(sample.world), Place::plain);
}

TEST(Place, MarksOfDocker) {
  SampleWorld by_file, by_cgroup, by_mount;
  by_file.put("/.dockerenv", "");
  EXPECT_EQ(find_place(by_file.world), Place::docker);
  by_cgroup.put("/proc/self/cgroup", "0::/system.slice/docker-12ab.scope\n");
  EXPECT_EQ(find_place(by_cgroup.world), Place::docker);
  by_mount.put("/proc/self/mountinfo",
               "9 8 0:1 /var/lib/docker/containers/12ab/hosts /etc/hosts rw - ext4 /dev/sda rw\n");
  EXPECT_EQ(find_place(by_mount.world), Place::docker);
}

TEST(Place, MarksOfPodman) {
  SampleWorld by_file, by_variable, by_cgroup;
  by_file.put("/run/.containerenv", "");
  EXPECT_EQ(find_place(by_file.world), Place::podman);
  by_variable.variables["container"] = "podman";
  EXPECT_EQ(find_place(by_variable.world), Place::podman);
  by_cgroup.put("/proc/self/cgroup", "0::/machine.slice/libpod-12ab.scope\n");
  EXPECT_EQ(find_place(by_cgroup.world), Place::podman);
}

TEST(Place, APodIsAPodWhateverRunsIt) {
  SampleWorld sample;
  sample.put("/.dockerenv", "");
  sample.variables["KUBERNETES_SERVICE_HOST"] = "10.0.0.1";
  EXPECT_EQ(find_place(sample.world), Place::kubernetes);
}

TEST(Place, WhoStartsTheContainerIsToBeAsked) {
  SampleWorld sample;
  sample.put("/.dockerenv", "");
  sample.variables["GITLAB_CI"] = "true";
  EXPECT_EQ(find_place(sample.world), Place::gitlab);
  sample.variables["GITHUB_ACTIONS"] = "true";
  EXPECT_EQ(find_place(sample.world), Place::github);
}

TEST(Place, NamesAreDistinct) {
  std::set<std::string> names, words;
  for (const Place place : kPlaces) {
    names.insert(name_of(place));
    words.insert(words_for(place));
  }
  EXPECT_EQ(names.size(), kPlaces.size());
  EXPECT_EQ(words.size(), kPlaces.size());
}

}  // namespace
}  // namespace crashcrawler
