#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "runner/launch/held_command.h"
#include "tests/unit/launch/process_support.h"

namespace crashcrawler {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;

constexpr uid_t kWithoutEntry = 54321;

class TargetUserTest : public ::testing::Test {
 protected:
  TargetUserTest() {
    ::unsetenv("SUDO_UID");
    ::unsetenv("SUDO_GID");
  }
  ~TargetUserTest() override {
    ::unsetenv("SUDO_UID");
    ::unsetenv("SUDO_GID");
  }
};

TEST_F(TargetUserTest, IsUsWhenNothingSaysOtherwise) {
  const auto user = target_user("");
  ASSERT_TRUE(user);
  EXPECT_FALSE(user->has_value());
}

TEST_F(TargetUserTest, IsUsWhenWeAreRequested) {
  const auto user = target_user(std::to_string(::geteuid()));
  ASSERT_TRUE(user);
  EXPECT_FALSE(user->has_value());
}

TEST_F(TargetUserTest, UnknownNamesAreRefused) {
  for (const char* name : {"no such user", "12x", "-1", "4294967295"}) {
    const auto user = target_user(name);
    ASSERT_FALSE(user) << name;
    EXPECT_EQ(user.error().exit_status, 125);
    EXPECT_THAT(user.error().message, HasSubstr(name));
  }
}

TEST_F(TargetUserTest, OnlyRootMayAskForSomebodyElse) {
  ForkedProcess somebody([] {
    if (::geteuid() == 0 && ::setuid(kWithoutEntry) != 0) {
      return 2;
    }
    ::setenv("SUDO_UID", "1", 1);  // a leftover of an outer sudo means nothing
    const auto behind_sudo = target_user("");
    const auto root = target_user("root");
    return behind_sudo && !*behind_sudo && !root &&
                   root.error().message.find("only root") != std::string::npos
               ? 0
               : 1;
  });
  EXPECT_EQ(somebody.wait(), 0);
}

class TargetUserAsRoot : public TargetUserTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
  }
};

TEST_F(TargetUserAsRoot, IsTheUserBehindSudo) {
  ::setenv("SUDO_UID", std::to_string(kWithoutEntry).c_str(), 1);
  ::setenv("SUDO_GID", "77", 1);
  const auto user = target_user("");
  ASSERT_TRUE(user && *user);
  EXPECT_EQ((*user)->uid, kWithoutEntry);
  EXPECT_EQ((*user)->gid, 77u);
  EXPECT_EQ((*user)->home, "/");
}

TEST_F(TargetUserAsRoot, IsRootForRootBehindSudo) {
  ::setenv("SUDO_UID", "0", 1);
  const auto user = target_user("");
  ASSERT_TRUE(user);
  EXPECT_FALSE(user->has_value());
}

TEST_F(TargetUserAsRoot, TheRequestWins) {
  ::setenv("SUDO_UID", std::to_string(kWithoutEntry).c_str(), 1);
  const passwd* nobody = ::getpwnam("nobody");
  if (!nobody) {
    GTEST_SKIP() << "no user 'nobody' here";
  }
  const auto user = target_user("nobody");
  ASSERT_TRUE(user && *user);
  EXPECT_EQ((*user)->uid, nobody->pw_uid);
  EXPECT_EQ((*user)->name, "nobody");
  EXPECT_EQ((*user)->home, nobody->pw_dir);
}

TEST_F(TargetUserAsRoot, BecomeIsCompleteAndForGood) {
  ForkedProcess somebody([] {
    const TargetUser user{kWithoutEntry, 77, "", "/their/home", "/their/shell"};
    if (!become(user)) {
      return 1;
    }
    uid_t uids[3];
    gid_t gids[3];
    gid_t groups[8];
    ::getresuid(&uids[0], &uids[1], &uids[2]);
    ::getresgid(&gids[0], &gids[1], &gids[2]);
    const bool ids = uids[0] == kWithoutEntry && uids[1] == kWithoutEntry &&
                     uids[2] == kWithoutEntry && gids[0] == 77 && gids[1] == 77 && gids[2] == 77;
    const bool only_group = ::getgroups(8, groups) == 1 && groups[0] == 77;
    const bool no_way_back = ::setuid(0) != 0 && ::setgid(0) != 0;
    const bool environment = std::string(std::getenv("HOME")) == "/their/home" &&
                             std::string(std::getenv("SHELL")) == "/their/shell";
    return ids && only_group && no_way_back && environment ? 0 : 2;
  });
  EXPECT_EQ(somebody.wait(), 0);
}

TEST_F(TargetUserAsRoot, BecomeNeedsRoot) {
  ForkedProcess somebody([] {
    if (::setuid(kWithoutEntry) != 0) {
      return 2;
    }
    const Result<void> became = become(TargetUser{1, 1, "", "", ""});
    return !became && became.error().message.find("user 1") != std::string::npos ? 0 : 1;
  });
  EXPECT_EQ(somebody.wait(), 0);
}

}  // namespace
}  // namespace crashcrawler
