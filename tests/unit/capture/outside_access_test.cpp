// Who may look at which cgroup. Needs root and a cgroup2 that can be written to; else skipped, as it is then the kernel that
// refuses.
#include "runner/capture/probe/outside_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "runner/base/file.h"
#include "runner/capture/probe/run_cgroup.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kSomebody = 54321;
const Asking kRoot{0, " 0 "}, kUser{kSomebody, " 54321 "};

class OutsideAccess : public ::testing::Test {
 protected:
  void SetUp() override {
    const Result<std::string> mountinfo = read_file("/proc/self/mountinfo");
    const std::vector<Mount> mounts = mountinfo ? cgroup2_mounts(*mountinfo) : std::vector<Mount>();
    directory_ = mounts.empty()
                     ? ""
                     : mounts.front().mount_point + "/cc-access-" + std::to_string(::getpid());
    if (::getuid() != 0 || directory_.empty() || ::mkdir(directory_.c_str(), 0755) != 0) {
      directory_.clear();
      GTEST_SKIP() << "no cgroup can be made here";
    }
  }

  void TearDown() override {
    for (const pid_t pid : pids_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    if (!directory_.empty()) {
      EXPECT_EQ(::rmdir(directory_.c_str()), 0);
    }
  }

  // A process in the cgroup that runs as `user`, in a user namespace of its own that he has made if `apart`.
  void start(uid_t user, bool apart = false) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      std::ofstream(directory_ + "/cgroup.procs") << ::getpid() << std::flush;
      const bool changed =
          ::setresuid(user, user, user) == 0 && (!apart || ::unshare(CLONE_NEWUSER) == 0);
      const char done = changed ? 'y' : 'n';
      if (::write(ready[1], &done, 1) == 1) {
        ::pause();
      }
      ::_exit(0);
    }
    pids_.push_back(pid);
    char done = 0;
    EXPECT_EQ(::read(ready[0], &done, 1), 1);
    EXPECT_EQ(done, 'y');
    ::close(ready[0]);
    ::close(ready[1]);
  }

  std::string directory_;
  std::vector<pid_t> pids_;
};

TEST_F(OutsideAccess, RootMayLookAtAll) {
  start(0);
  start(kSomebody);
  const Result<AttachedCgroup> cgroup = open_for(kRoot, directory_);
  ASSERT_TRUE(cgroup) << cgroup.error().message;
  EXPECT_TRUE(cgroup->all_of_it);
}

TEST_F(OutsideAccess, AUserMayLookAtHisOwnAndNoMore) {
  start(kSomebody);
  start(kSomebody, true);
  const Result<AttachedCgroup> cgroup = open_for(kUser, directory_);
  ASSERT_TRUE(cgroup) << cgroup.error().message;
  EXPECT_FALSE(cgroup->all_of_it) << "another user's process may come into it later";
}

TEST_F(OutsideAccess, OneProcessOfAnotherIsTooMany) {
  start(kSomebody);
  start(0);
  const Result<AttachedCgroup> cgroup = open_for(kUser, directory_);
  ASSERT_FALSE(cgroup);
  EXPECT_THAT(cgroup.error().message,
              HasSubstr("does not belong to the user who asks (uid 54321)"));
}

TEST(OutsideAccessRule, AFolderIsNoCgroup) {
  const TemporaryDirectory folder;
  EXPECT_THAT(open_for(kRoot, folder.path()).error().message, HasSubstr("cgroup2"));
  EXPECT_FALSE(open_for(kRoot, folder.path() + "/nothing"));
}

TEST(OutsideAccessRule, SudoSaysWhoAsks) {
  ::setenv("SUDO_UID", "54321", 1);
  const Result<Asking> asking = who_asks(::getpid());
  ::unsetenv("SUDO_UID");
  ASSERT_TRUE(asking);
  EXPECT_EQ(asking->uid, kSomebody);
  EXPECT_EQ(who_asks(::getpid())->uid, ::getuid());
  EXPECT_TRUE(may_use_engine(kRoot));
}

}  // namespace
}  // namespace crashcrawler
