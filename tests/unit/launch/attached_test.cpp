#include "runner/launch/attached.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kOne = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kOther = "0123456789abffff0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(Attached, AnIdIsSixtyFourDigitsInTheNameOfACgroup) {
  EXPECT_EQ(container_id_in(kOne), kOne);
  EXPECT_EQ(container_id_in("docker-" + kOne + ".scope"), kOne);
  EXPECT_EQ(container_id_in("cri-containerd-" + kOne + ".scope"), kOne);
  EXPECT_EQ(container_id_in("libpod-" + kOne + ".scope"), kOne);
  EXPECT_EQ(container_id_in(kOne.substr(1)), "");
  EXPECT_EQ(container_id_in("docker"), "");
  EXPECT_EQ(container_id_in(""), "");
}

TEST(Attached, WhatIsBelowAContainerBelongsToIt) {
  const std::string scope = "/system.slice/docker-" + kOne + ".scope";
  EXPECT_EQ(container_part("/docker/" + kOne + "/init.scope", kOne), "/docker/" + kOne);
  EXPECT_EQ(container_part(scope, kOne.substr(0, 12)), scope);
  EXPECT_EQ(container_part("/docker/" + kOther, kOne), std::nullopt);
  EXPECT_EQ(container_part("/", kOne), std::nullopt);
  EXPECT_EQ(container_part("/user.slice/session-1.scope", kOne), std::nullopt);
  EXPECT_EQ(container_part("/docker/" + kOne, ""), std::nullopt);
}

TEST(Attached, CgroupsAreFoundByTheBeginningOfAnId) {
  const TemporaryDirectory folder;
  const std::string root = folder.path();
  const std::string inner = root + "/docker/" + kOne,
                    outer = root + "/machine.slice/libpod-" + kOther + ".scope";
  std::filesystem::create_directories(inner + "/nested/" + kOne);
  std::filesystem::create_directories(outer + "/container");
  EXPECT_THAT(cgroups_named(kOne, root), ElementsAre(inner));
  EXPECT_THAT(cgroups_named(kOther.substr(0, 14), root), ElementsAre(outer));
  EXPECT_THAT(cgroups_named("0123456789ab", root), ElementsAre(inner, outer));
  EXPECT_THAT(cgroups_named("f", root), IsEmpty());
  EXPECT_THAT(cgroups_named(kOne, root + "/nothing"), IsEmpty());
}

TEST(Attached, WhatIsNoCgroupIsRefused) {
  const TemporaryDirectory folder;
  EXPECT_THAT(find_cgroup("docker").error().message, HasSubstr("begins with /"));
  const Result<std::string> folder_of_ours = find_cgroup(folder.path());
  ASSERT_FALSE(folder_of_ours);
  EXPECT_THAT(folder_of_ours.error().message, HasSubstr("cgroup2"));
}

}  // namespace
}  // namespace crashcrawler
