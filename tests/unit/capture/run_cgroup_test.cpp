#include "runner/capture/probe/run_cgroup.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

constexpr const char* kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw\n";

TEST(Cgroup2Mounts, AreFoundByTypeWhereverTheyAre) {
  const auto mounts = cgroup2_mounts(kHybrid);
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].mount_point, "/sys/fs/cgroup/unified");
  EXPECT_EQ(mounts[0].root, "/");
}

TEST(Cgroup2Mounts, NoneAndNonsenseAreNone) {
  EXPECT_TRUE(cgroup2_mounts("").empty());
  EXPECT_TRUE(
      cgroup2_mounts("x - cgroup2 \n\n - \n36 35 98:0 /m /m rw - ext3 /dev/root rw\n").empty());
}

TEST(Cgroup2Path, IsTheLineOfHierarchyZero) {
  EXPECT_EQ(cgroup2_path("9:name=systemd:/x\n0::/user.slice/a\n"), "/user.slice/a");
  EXPECT_EQ(cgroup2_path("4:memory:/y\n"), "");
}

TEST(DirectoryInMount, FollowsWhatIsMountedAndFallsBackToTheMountPoint) {
  const Mount whole{"/sys/fs/cgroup", "/"};
  EXPECT_EQ(directory_in_mount(whole, "/"), "/sys/fs/cgroup");
  EXPECT_EQ(directory_in_mount(whole, "/a/b"), "/sys/fs/cgroup/a/b");
  EXPECT_EQ(directory_in_mount(whole, "/../outside"), "/sys/fs/cgroup");
  EXPECT_EQ(directory_in_mount(whole, ""), "/sys/fs/cgroup");
  const Mount part{"/cg", "/docker/1"};
  EXPECT_EQ(directory_in_mount(part, "/docker/1"), "/cg");
  EXPECT_EQ(directory_in_mount(part, "/docker/1/x"), "/cg/x");
  EXPECT_EQ(directory_in_mount(part, "/docker/10"), "/cg");
}

// A child that waits until its end of the pipe is closed.
class Sleeper {
 public:
  Sleeper() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[1]);
      char byte;
      (void)!::read(ends[0], &byte, 1);
      ::_exit(7);
    }
    ::close(ends[0]);
    wake_.reset(ends[1]);
  }
  ~Sleeper() { end(); }

  pid_t pid() const { return pid_; }
  int end() {
    wake_.reset();
    int status = -1;
    if (pid_ > 0) {
      ::waitpid(pid_, &status, 0);
      pid_ = -1;
    }
    return status;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd wake_;
};

std::string cgroup_of(pid_t pid) {
  const Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/cgroup");
  return text ? cgroup2_path(*text) : "";
}

TEST(RunCgroup, HoldsTheProcessAndLetsItGoUnharmed) {
  Sleeper sleeper;
  const std::string before = cgroup_of(sleeper.pid());
  Result<RunCgroup> cgroup = RunCgroup::create(sleeper.pid());
  if (!cgroup) {
    GTEST_SKIP() << cgroup.error().message;
  }
  const std::string directory = cgroup->directory();
  EXPECT_NE(cgroup_of(sleeper.pid()), before);
  std::filesystem::create_directory(directory + "/made-by-a-test");  // sub-cgroups go too

  EXPECT_TRUE(cgroup->remove());
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_EQ(cgroup_of(sleeper.pid()), before);
  EXPECT_EQ(WEXITSTATUS(sleeper.end()), 7) << "it was not killed";
}

TEST(RunCgroup, KillsOnDemandOnly) {
  Sleeper sleeper;
  Result<RunCgroup> cgroup = RunCgroup::create(sleeper.pid());
  if (!cgroup) {
    GTEST_SKIP() << cgroup.error().message;
  }
  ASSERT_TRUE(cgroup->kill_all());
  int status = 0;
  ::waitpid(sleeper.pid(), &status, 0);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(cgroup->remove());
}

}  // namespace
}  // namespace crashcrawler
