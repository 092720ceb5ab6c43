#include "runner/launch/chaos.h"

#include <gtest/gtest.h>

#include <sys/sysmacros.h>
#include <unistd.h>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace crashcrawler {
namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Chaos, FollowsFromSeedAndNumber) {
  const ChaosMeans means{4, true, true};
  std::set<uint64_t> seeds;
  for (int number = 1; number <= 200; ++number) {
    const ChaosSettings one = chaos_settings(7, number, means),
                        two = chaos_settings(7, number, means);
    EXPECT_EQ(one.number, number);
    EXPECT_EQ(one.seed, two.seed);
    EXPECT_EQ(one.go_us, two.go_us);
    EXPECT_EQ(one.priority, two.priority);
    EXPECT_EQ(one.malloc_perturb, two.malloc_perturb);
    seeds.insert(one.seed);
    seeds.insert(chaos_settings(8, number, means).seed);
  }
  EXPECT_EQ(seeds.size(), 400u);
}

// What a seed means is written in bug reports: it may not change with a compiler or a machine.
TEST(Chaos, OfOneSeedIsTheSameEverywhere) {
  const ChaosSettings settings = chaos_settings(1, 1, {2, false, false});
  EXPECT_EQ(settings.seed, 1468903990031825874u);
}

TEST(Chaos, KeepsToItsBounds) {
  int stopped = 0, stopped_threads = 0, quiet = 0, fixed = 0;
  for (int number = 1; number <= 2000; ++number) {
    const ChaosSettings settings = chaos_settings(3, number, {3, true, false});
    EXPECT_LE(settings.nice, 19);
    EXPECT_LE(settings.cpus, 2);
    EXPECT_LT(settings.first_cpu, 3u);
    EXPECT_LE(settings.malloc_perturb, 255u);
    EXPECT_EQ(settings.io_bytes_per_second, 0u) << "there is no such controller";
    EXPECT_EQ(settings.go_us > 0, settings.stop_us > 0);
    if (settings.go_us > 0) {
      EXPECT_GE(settings.go_us, 8u);
      EXPECT_LE(settings.go_us, 64u);
      EXPECT_GE(settings.stop_us, 256u);
      EXPECT_LE(settings.stop_us, settings.stop_threads ? 2048u : 1024u);
      EXPECT_GT(settings.cpus, 0);
    }
    if (settings.memory_high > 0) {
      EXPECT_GE(settings.memory_high, 64u << 20);
      EXPECT_LE(settings.memory_high, 1u << 30);
    }
    stopped += settings.go_us > 0;
    stopped_threads += settings.stop_threads;
    quiet += settings.cpus == 0;
    fixed += !settings.randomize_addresses;
  }
  EXPECT_GT(stopped, 1200);
  EXPECT_NEAR(stopped_threads, stopped * 3 / 4, 150);
  EXPECT_GT(quiet, 150);
  EXPECT_NEAR(fixed, 1000, 150);
}

TEST(Chaos, PressesWhereThereIsAController) {
  char name[] = "/tmp/crashcrawler-chaos-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  std::ofstream(folder / "memory.high") << "max";
  ChaosSettings settings;
  settings.memory_high = 64 << 20;
  settings.io_bytes_per_second = 1 << 20;
  press_cgroup(folder, "/", settings);
  EXPECT_EQ(text_of(folder / "memory.high"), "67108864");
  EXPECT_EQ(settings.memory_high, 64u << 20);
  EXPECT_EQ(settings.io_bytes_per_second, 0u) << "io.max is not there";

  std::ofstream(folder / "io.max").flush();
  settings.io_bytes_per_second = 1 << 20;
  press_cgroup(folder, "/", settings);
  EXPECT_TRUE(text_of(folder / "io.max").ends_with(" rbps=1048576 wbps=1048576"));
  std::filesystem::remove_all(folder);
}

TEST(Chaos, LimitsTheDiskOfAPartition) {
  namespace fs = std::filesystem;
  char name[] = "/tmp/crashcrawler-chaos-XXXXXX";
  const fs::path sysfs = ::mkdtemp(name), disk = sysfs / "devices/block/sda";
  fs::create_directories(disk / "sda2");
  fs::create_directories(sysfs / "dev/block");
  fs::create_directory_symlink("../../devices/block/sda", sysfs / "dev/block/8:0");
  fs::create_directory_symlink("../../devices/block/sda/sda2", sysfs / "dev/block/8:2");
  std::ofstream(disk / "dev") << "8:0\n";
  std::ofstream(disk / "sda2/dev") << "8:2\n";
  std::ofstream(disk / "sda2/partition") << "2\n";
  EXPECT_EQ(disk_of(makedev(8, 2), sysfs), "8:0");
  EXPECT_EQ(disk_of(makedev(8, 0), sysfs), "8:0");
  EXPECT_EQ(disk_of(makedev(0, 44), sysfs), "0:44") << "of no device: tmpfs, overlayfs";
  fs::remove_all(sysfs);
}

}  // namespace
}  // namespace crashcrawler
