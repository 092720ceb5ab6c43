#include "runner/unwind/debug_files.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;
using tests::program;
using tests::TemporaryFolder;

// A copy of a stripped program in a folder of its own, and a debug root beside it.
class DebugFiles : public testing::Test {
 protected:
  void place(const std::string& name) {
    name_ = name;
    fs::create_directories(folder_.path() + "/bin/.debug");
    path_ = folder_.path() + "/bin/" + name;
    fs::copy_file(program(name), path_);
    fd_.reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    elf_ = begin_elf(fd_.get());
  }

  void put_debug_file(const std::string& to) {
    fs::create_directories(fs::path(to).parent_path());
    fs::copy_file(program(name_ + ".debug"), to);
  }

  std::string found(const std::string& build_id = "") {
    const auto file = DebugFileSearch({empty_root(), root()}).find(elf_.get(), build_id, path_);
    return file ? file->path : "none";
  }

  std::string root() const { return folder_.path() + "/debug"; }
  std::string empty_root() const { return folder_.path() + "/other"; }

  TemporaryFolder folder_;
  std::string name_, path_;
  UniqueFd fd_;
  ElfHandle elf_;
};

std::string build_id_of(const std::string& name) {
  const UniqueFd fd(::open(program(name).c_str(), O_RDONLY | O_CLOEXEC));
  const ElfHandle elf = begin_elf(fd.get());
  const void* id = nullptr;
  const ssize_t length = dwelf_elf_gnu_build_id(elf.get(), &id);
  EXPECT_GT(length, 0);
  return hex_digits({static_cast<const char*>(id), static_cast<size_t>(length)});
}

TEST_F(DebugFiles, are_found_beside_the_file) {
  place("linked");
  EXPECT_EQ(found(), "none");
  put_debug_file(root() + folder_.path() + "/bin/linked.debug");
  EXPECT_EQ(found(), root() + folder_.path() + "/bin/linked.debug");
  put_debug_file(folder_.path() + "/bin/.debug/linked.debug");
  EXPECT_EQ(found(), folder_.path() + "/bin/.debug/linked.debug");
  put_debug_file(folder_.path() + "/bin/linked.debug");
  EXPECT_EQ(found(), folder_.path() + "/bin/linked.debug");
}

TEST_F(DebugFiles, are_found_by_build_id) {
  place("identified");
  const std::string id = build_id_of("identified");
  const std::string file = root() + "/.build-id/" + id.substr(0, 2) + "/" + id.substr(2) + ".debug";
  put_debug_file(file);
  EXPECT_EQ(found(id), file);
  EXPECT_EQ(found((id.starts_with("00") ? "01" : "00") + id.substr(2)), "none");
}

TEST_F(DebugFiles, of_another_build_are_refused) {
  place("linked");
  const std::string file = folder_.path() + "/bin/linked.debug";
  put_debug_file(file);
  std::ofstream(file, std::ios::app) << "x";  // the checksum is over all bytes
  EXPECT_EQ(found(), "none");

  place("identified");
  put_debug_file(folder_.path() + "/bin/identified.debug");
  EXPECT_EQ(found("0123456789012345678901234567890123456789"), "none") << "other build-id";
}

TEST_F(DebugFiles, that_are_no_files_are_not_waited_for) {
  place("linked");
  ASSERT_EQ(::mkfifo((folder_.path() + "/bin/linked.debug").c_str(), 0600), 0);
  EXPECT_EQ(found(), "none");
}

TEST(DebuglinkChecksum, is_the_crc_32_of_everybody) {
  EXPECT_EQ(debuglink_checksum("123456789"), 0xcbf43926u);  // the check value of the CRC catalogues
}

TEST(HexDigits, writes_two_for_each_byte) {
  EXPECT_EQ(hex_digits("\x0f\xa0"), "0fa0");
}

TEST(HasSection, sees_only_sections_with_content) {
  const UniqueFd fd(::open(program("linked.debug").c_str(), O_RDONLY | O_CLOEXEC));
  const ElfHandle elf = begin_elf(fd.get());
  EXPECT_TRUE(has_section(elf.get(), ".debug_info"));
  EXPECT_FALSE(has_section(elf.get(), ".text")) << "left out of a debug file";
  EXPECT_FALSE(has_section(elf.get(), ".nothing"));
}

}  // namespace
}  // namespace crashcrawler
