#include "runner/base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

int open_null() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

TEST(UniqueFd, ClosesAtTheEndOfItsScope) {
  const int fd = open_null();
  ASSERT_GE(fd, 0);
  {
    const UniqueFd owner(fd);
    EXPECT_TRUE(owner);
    EXPECT_EQ(owner.get(), fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, IsEmptyByDefaultAndOfAFailedOpen) {
  EXPECT_FALSE(UniqueFd());
  EXPECT_FALSE(UniqueFd(-1));
}

TEST(UniqueFd, MovesTheOwnership) {
  const int fd = open_null();
  UniqueFd first(fd);
  UniqueFd second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left behind is the point
  UniqueFd third;
  third = std::move(second);
  EXPECT_EQ(third.get(), fd);
  EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, ClosesWhatItHeldWhenItIsGivenAnother) {
  const int old_fd = open_null();
  const int new_fd = open_null();
  UniqueFd owner(old_fd);
  owner = UniqueFd(new_fd);
  EXPECT_FALSE(is_open(old_fd));
  EXPECT_TRUE(is_open(new_fd));
  owner.reset();
  EXPECT_FALSE(is_open(new_fd));
  EXPECT_FALSE(owner);
}

TEST(UniqueFd, SurvivesMovingIntoItself) {
  const int fd = open_null();
  UniqueFd owner(fd);
  UniqueFd& same = owner;
  owner = std::move(same);
  EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, ReleaseLeavesTheDescriptorOpen) {
  int fd = -1;
  {
    UniqueFd owner(open_null());
    fd = owner.release();
    EXPECT_FALSE(owner);
  }
  EXPECT_TRUE(is_open(fd));
  ::close(fd);
}

}  // namespace
}  // namespace crashcrawler
