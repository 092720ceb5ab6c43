#include "runner/base/mount_info.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

TEST(MountsOf, TellsDeviceRootPlaceAndType) {
  const auto mounts = mounts_of(
      "22 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n"
      "36 22 0:45 /data /mnt rw - tmpfs tmpfs rw,size=4k\n");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].mount_point, "/");
  EXPECT_EQ(mounts[0].root, "/");
  EXPECT_EQ(mounts[0].type, "ext4");
  EXPECT_EQ(mounts[1].mount_point, "/mnt");
  EXPECT_EQ(mounts[1].root, "/data");
  EXPECT_EQ(mounts[1].device_major, 0u);
  EXPECT_EQ(mounts[1].device_minor, 45u);
}

TEST(MountsOf, DecodesEscapedNames) {
  const auto mounts = mounts_of("1 2 0:3 /a\\040b /mnt/x\\134y\\0 rw - cgroup2 none rw\n");
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].root, "/a b");
  EXPECT_EQ(mounts[0].mount_point, "/mnt/x\\y\\0");
}

TEST(MountsOf, LeavesOutLinesThatSayNothing) {
  EXPECT_TRUE(mounts_of("").empty());
  EXPECT_TRUE(mounts_of("x - ext4 \n\n - \n36 35 98:0 /m /m rw\n1 2 a:b / / rw - x y z\n").empty());
  EXPECT_TRUE(mounts_of("36 35 98:0 /m /m rw - ").empty());
}

TEST(PathThrough, TheWholeFileSystem) {
  EXPECT_EQ(path_through({"/", "/"}, "/usr/bin/true"), "/usr/bin/true");
  EXPECT_EQ(path_through({"/mnt", "/"}, "/usr/bin/true"), "/mnt/usr/bin/true");
  EXPECT_EQ(path_through({"/mnt", "/"}, "/"), "/mnt");
}

TEST(PathThrough, APartOfIt) {
  const Mount part{"/mnt", "/usr"};
  EXPECT_EQ(path_through(part, "/usr/bin/true"), "/mnt/bin/true");
  EXPECT_EQ(path_through(part, "/usr"), "/mnt");
  EXPECT_EQ(path_through(part, "/usr2/bin"), std::nullopt);
  EXPECT_EQ(path_through(part, "/"), std::nullopt);
  EXPECT_EQ(path_through({"/", "/usr"}, "/usr/bin/true"), "/bin/true");
}

TEST(PathThrough, ASingleFile) {
  EXPECT_EQ(path_through({"/mnt/program", "/build/test"}, "/build/test"), "/mnt/program");
  EXPECT_EQ(path_through({"/mnt/program", "/build/test"}, "/build/tests"), std::nullopt);
}

}  // namespace
}  // namespace crashcrawler
