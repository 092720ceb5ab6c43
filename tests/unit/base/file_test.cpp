#include "runner/base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <iterator>

#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;

size_t entries(const std::string& directory) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
}

TEST(ReadFile, ReturnsEveryByte) {
  const TemporaryDirectory directory;
  const std::string bytes = std::string("a\0b\n", 4) + std::string(200000, 'x');
  const Result<std::string> read = read_file(directory.write("file", bytes));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, bytes);
}

TEST(ReadFile, ReadsProcFilesThatSayTheyAreEmpty) {
  const Result<std::string> maps = read_file("/proc/self/maps");
  ASSERT_TRUE(maps);
  EXPECT_THAT(*maps, HasSubstr("r-xp"));
}

TEST(WriteControlFile, WritesToWhatIsThere) {
  const TemporaryDirectory directory;
  const std::string path = directory.write("file", "....");
  EXPECT_TRUE(write_control_file(path, "max"));
  EXPECT_EQ(*read_file(path), "max.");
  const Result<void> refused = write_control_file(path + "2", "max");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cannot open " + path + "2: No such file or directory");
}

TEST(ReadFile, NamesAMissingFile) {
  const Result<std::string> read = read_file("/nonexistent/file");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, "cannot open /nonexistent/file: No such file or directory");
}

TEST(ReadFile, RefusesADirectory) {
  const TemporaryDirectory directory;
  const Result<std::string> read = read_file(directory.path());
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("Is a directory"));
}

TEST(ReadFile, RefusesMoreThanItsLimitAndTakesTheLimitItself) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("file", "12345");
  EXPECT_TRUE(read_file(file, 5));
  const Result<std::string> read = read_file(file, 4);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, file + " is larger than 4 bytes");
}

TEST(WriteFileAtomically, ReplacesTheContentAndLeavesNothingElse) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("file", "a longer old content");
  ASSERT_TRUE(write_file_atomically(file, std::string_view("new\0", 4)));
  EXPECT_EQ(*read_file(file), std::string("new\0", 4));
  EXPECT_EQ(entries(directory.path()), 1u);
}

TEST(WriteFileAtomically, KeepsAReaderOfTheOldFileWhole) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("file", "old");
  std::ifstream reader(file);
  ASSERT_TRUE(write_file_atomically(file, "new"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), "old");
}

TEST(WriteFileAtomically, NamesAFolderThatDoesNotExist) {
  const Result<void> written = write_file_atomically("/nonexistent/file", "x");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("/nonexistent/file"));
  EXPECT_THAT(written.error().message, HasSubstr("No such file or directory"));
}

TEST(WriteFileAtomically, LeavesNothingBehindWhenTheRenameFails) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.path() + "/taken");
  const Result<void> written = write_file_atomically(directory.path() + "/taken", "x");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("cannot rename"));
  EXPECT_EQ(entries(directory.path()), 1u);
}

TEST(WriteFileAtomically, LeavesNothingBehindWhenTheContentDoesNotFit) {
  const TemporaryDirectory directory;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit one_page{4096, before.rlim_max};
  const auto handler_before = std::signal(SIGXFSZ, SIG_IGN);  // write(2) then fails with EFBIG
  ::setrlimit(RLIMIT_FSIZE, &one_page);
  const Result<void> written =
      write_file_atomically(directory.path() + "/file", std::string(10000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler_before);
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("File too large"));
  EXPECT_EQ(entries(directory.path()), 0u);
}

}  // namespace
}  // namespace crashcrawler
