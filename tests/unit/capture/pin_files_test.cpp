#include "runner/capture/pin_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runner/base/file.h"
#include "runner/base/mount_info.h"

namespace crashcrawler {
namespace {

class PinFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "pin.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  RawCrash crash_with(const std::string& path) {
    struct stat status {};
    ::stat(path.c_str(), &status);
    Mapping mapping;
    mapping.executable = true;
    mapping.path = path;
    mapping.inode = status.st_ino;
    mapping.device_major = major(status.st_dev);
    mapping.device_minor = minor(status.st_dev);
    RawCrash crash;
    crash.mappings.push_back(mapping);
    return crash;
  }
  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(directory_ + "/" + name) << content;
    return directory_ + "/" + name;
  }

  std::string directory_;
};

TEST_F(PinFiles, AFileStaysReadableAfterItIsDeleted) {
  const std::string path = file("program", "code");
  RawCrash crash = crash_with(path);
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  ::unlink(path.c_str());

  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  char content[5] = "";
  ASSERT_EQ(::pread(pinned.fd.get(), content, 4, 0), 4);
  EXPECT_STREQ(content, "code");
}

TEST_F(PinFiles, TheSameInodeNumberOnAnotherDeviceIsAnotherFile) {
  RawCrash crash = crash_with(file("program", "code"));
  ++crash.mappings[0].device_minor;
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_TRUE(files.at(file_key(crash.mappings[0])).changed);
}

TEST_F(PinFiles, OfANamespaceThatIsGoneTheSameFileIsStillTakenFromOurRoot) {
  RawCrash crash = crash_with(file("program", "code"));
  crash.mount_namespace = 1;  // no namespace has it: they begin at PROC_DYNAMIC_FIRST
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_TRUE(files.at(file_key(crash.mappings[0])).fd);
}

TEST_F(PinFiles, AnotherFileOfThatNameIsNoChangeButOutOfReach) {
  RawCrash crash = crash_with(file("program", "code"));
  crash.mount_namespace = 1;
  ++crash.mappings[0].inode;
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  EXPECT_FALSE(pinned.changed);
  EXPECT_NE(pinned.error.find("mount namespace"), std::string::npos);
}

// The file as a process had it under another name, in a mount namespace that is gone.
RawCrash elsewhere(RawCrash crash) {
  Mapping& mapping = crash.mappings[0];
  for (const Mount& mount : mounts_of(*read_file("/proc/self/mountinfo"))) {
    if (mount.mount_point == "/" ||
        mapping.path.starts_with(mount.mount_point + "/")) {  // the innermost comes last, mostly
      const std::string below =
          mapping.path.substr(mount.mount_point == "/" ? 0 : mount.mount_point.size());
      mapping.in_file_systems.push_back(
          {mount.device_major, mount.device_minor, (mount.root == "/" ? "" : mount.root) + below});
    }
  }
  mapping.path = "/no such folder/program";
  crash.mount_namespace = 1;
  return crash;
}

TEST_F(PinFiles, OfANamespaceThatIsGoneAFileIsFoundByItsPlaceInItsFileSystem) {
  RawCrash crash = elsewhere(crash_with(file("program", "code")));
  ASSERT_FALSE(crash.mappings[0].in_file_systems.empty());
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_TRUE(files.at(file_key(crash.mappings[0])).fd);
}

TEST_F(PinFiles, WhatLiesAtThatPlaceMustBeTheMappedFile) {
  RawCrash crash = elsewhere(crash_with(file("program", "code")));
  ++crash.mappings[0].inode;
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  EXPECT_FALSE(pinned.fd);
  EXPECT_FALSE(pinned.changed);
  EXPECT_NE(pinned.error.find("mount namespace"), std::string::npos);
}

TEST_F(PinFiles, ThatPlaceIsOneOfThatFileSystem) {
  RawCrash crash = elsewhere(crash_with(file("program", "code")));
  for (PathInFileSystem& place : crash.mappings[0].in_file_systems) {
    place.device_minor += 1u << 19;
  }
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_FALSE(files.at(file_key(crash.mappings[0])).fd);
}

TEST_F(PinFiles, AReplacedFileIsNotTakenForTheMappedOne) {
  const std::string path = file("program", "old");
  RawCrash crash = crash_with(path);
  std::filesystem::rename(file("new", "new"), path);
  PinnedFiles files;
  pin_files(crash, files, mounts_now());

  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  EXPECT_TRUE(pinned.changed);
  EXPECT_FALSE(pinned.fd);
}

TEST_F(PinFiles, AMissingFileKeepsTheReason) {
  RawCrash crash = crash_with(directory_ + "/nothing");
  PinnedFiles files;
  pin_files(crash, files, mounts_now());

  EXPECT_EQ(files.at(file_key(crash.mappings[0])).error, "No such file or directory");
  EXPECT_TRUE(files.at(file_key(crash.mappings[0])).vanished);
}

// The times of a process that began just now and has died.
void lived_until_now(RawCrash& crash) {
  crash.started = std::chrono::system_clock::now() - std::chrono::seconds(1);
  crash.time = std::chrono::system_clock::now();
}

void read_once(const std::string& path) {
  ASSERT_TRUE(read_file(path));
}

TEST_F(PinFiles, WhatWasReadSinceItWasWrittenIsTheMappedFile) {
  const std::string path = file("program", "code");
  read_once(path);
  RawCrash crash = crash_with(path);
  lived_until_now(crash);
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_TRUE(files.at(file_key(crash.mappings[0])).fd);
  EXPECT_NE(crash.mappings[0].modified_ns, 0);
}

TEST_F(PinFiles, WhatWasWrittenSinceItWasReadIsNotTheMappedFile) {
  const std::string path = file("program", "code");
  read_once(path);
  struct stat status {};
  ::stat(path.c_str(), &status);
  // file times have the grain of the kernel's tick
  for (timespec read = status.st_atim;
       status.st_mtim.tv_sec == read.tv_sec && status.st_mtim.tv_nsec <= read.tv_nsec;) {
    file("program", "data");
    ::stat(path.c_str(), &status);
  }
  RawCrash crash = crash_with(path);
  lived_until_now(crash);
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  if (status.st_atim.tv_sec == 0) {
    GTEST_SKIP() << "this file system keeps no access times";
  }
  EXPECT_TRUE(pinned.changed);
  EXPECT_FALSE(pinned.fd);
  EXPECT_EQ(pinned.error, "it was written to after it had been mapped");
}

TEST_F(PinFiles, WhatIsShorterThanWhatWasMappedIsNotTheMappedFile) {
  RawCrash crash = crash_with(file("program", "code"));
  crash.mappings[0].start = 0x1000;
  crash.mappings[0].end = 0x3000;
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_TRUE(files.at(file_key(crash.mappings[0])).changed);
}

TEST_F(PinFiles, WhatIsWrittenAfterTheDeathIsNotTheMappedFile) {
  RawCrash crash = crash_with(file("program", "code"));
  crash.time = std::chrono::system_clock::now() - std::chrono::seconds(1);
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_EQ(files.at(file_key(crash.mappings[0])).error,
            "it was written to after the process had died");
}

TEST_F(PinFiles, WhatIsWrittenWhileTheRunGoesOnIsLetGo) {
  const std::string path = file("program", "code");
  const timespec old[2] = {};
  ::utimensat(AT_FDCWD, path.c_str(), old, 0);
  RawCrash first = crash_with(path);
  PinnedFiles files;
  pin_files(first, files, mounts_now());
  file("program", "data");
  RawCrash second = crash_with(path);
  pin_files(second, files, mounts_now());
  ASSERT_NE(file_key(first.mappings[0]), file_key(second.mappings[0]));
  EXPECT_TRUE(files.at(file_key(second.mappings[0])).fd);

  let_go_of_changed_files(files);
  EXPECT_TRUE(files.at(file_key(first.mappings[0])).changed);
  EXPECT_FALSE(files.at(file_key(first.mappings[0])).fd);
  EXPECT_TRUE(files.at(file_key(second.mappings[0])).fd);
}

TEST_F(PinFiles, TheRootOfAProcessIsOpenedOnceWithItsFiles) {
  const std::string program = file("program", "code"), library = file("library", "code");
  RawCrash crash = crash_with(program);
  crash.mappings.push_back(crash_with(library).mappings[0]);
  crash.mappings.push_back(crash_with("/bin/sh").mappings[0]);
  crash.root_directory = directory_;
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  ASSERT_TRUE(pinned.root);
  EXPECT_EQ(pinned.root->name, directory_);
  EXPECT_FALSE(pinned.root->is_ours);
  EXPECT_EQ(pinned.path_in_root, "/program");
  EXPECT_EQ(files.at(file_key(crash.mappings[1])).root, pinned.root);
  EXPECT_TRUE(files.at(file_key(crash.mappings[2])).root->is_ours);
  EXPECT_EQ(files.at(file_key(crash.mappings[2])).path_in_root, "/bin/sh");
}

// A child with a mount namespace of its own, and with this root directory in it, until it is let go.
class Elsewhere {
 public:
  explicit Elsewhere(const std::string& root) {
    int ready[2], go[2];
    if (::pipe2(ready, O_CLOEXEC) != 0 || ::pipe2(go, O_CLOEXEC) != 0) {
      return;
    }
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(go[1]);
      const bool inside = ::unshare(CLONE_NEWNS) == 0 && ::chroot(root.c_str()) == 0;
      char byte = inside ? 'y' : 'n';
      ignore_result(::write(ready[1], &byte, 1));
      ignore_result(::read(go[0], &byte, 1));
      ::_exit(0);
    }
    ::close(go[0]);
    go_ = UniqueFd(go[1]);
    UniqueFd here(ready[0]);
    ::close(ready[1]);
    char byte = 'n';
    is_inside_ = ::read(here.get(), &byte, 1) == 1 && byte == 'y';
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  ~Elsewhere() {
    go_.reset();
    ::waitpid(pid_, nullptr, 0);
  }

  bool is_inside() const { return is_inside_; }
  pid_t pid() const { return pid_; }
  uint32_t mount_namespace() const {
    struct stat status {};
    ::stat(("/proc/" + std::to_string(pid_) + "/ns/mnt").c_str(), &status);
    return static_cast<uint32_t>(status.st_ino);
  }

 private:
  static void ignore_result(ssize_t) {}

  pid_t pid_ = -1;
  UniqueFd go_;
  bool is_inside_ = false;
};

TEST_F(PinFiles, OfTwoRootsInANamespaceThatOfTheProcessIsTaken) {
  std::filesystem::create_directories(directory_ + "/a");
  std::filesystem::create_directories(directory_ + "/b");
  const std::string mine = file("a/program", "code");
  file("b/program", "data");
  const Elsewhere other(directory_ + "/b");
  if (!other.is_inside()) {
    GTEST_SKIP() << "unshare(2) and chroot(2) need root";
  }
  RawCrash crash = crash_with(mine);
  crash.mappings[0].path = "/program";
  crash.mount_namespace = other.mount_namespace();
  crash.parent_pid = other.pid();
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  const PinnedFile* pinned = &files.at(file_key(crash.mappings[0]));
  EXPECT_FALSE(pinned->fd);
  EXPECT_FALSE(pinned->changed) << "what lies there in another root says nothing";
  EXPECT_FALSE(pinned->root);
  EXPECT_TRUE(pinned->root_is_gone);

  crash = crash_with(directory_ + "/b/program");
  crash.mappings[0].path = "/program";
  crash.mount_namespace = other.mount_namespace();
  crash.parent_pid = other.pid();
  pin_files(crash, files, mounts_now());
  pinned = &files.at(file_key(crash.mappings[0]));
  EXPECT_TRUE(pinned->fd);
  ASSERT_TRUE(pinned->root);
  EXPECT_EQ(pinned->root->name, "mnt:[" + std::to_string(crash.mount_namespace) + "]");
  EXPECT_FALSE(pinned->root_is_gone);
  EXPECT_FALSE(pinned->ours) << "there is no such file in our root";
}

TEST_F(PinFiles, ARootThatWasGoneIsFoundByALaterCrash) {
  const std::string program = file("program", "code");
  RawCrash crash = crash_with(program);
  crash.mount_namespace = 1;
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  EXPECT_TRUE(files.at(file_key(crash.mappings[0])).root_is_gone);
  RawCrash ours = crash_with(program);
  pin_files(ours, files, mounts_now());
  EXPECT_EQ(files.size(), 1u);
  EXPECT_FALSE(files.at(file_key(ours.mappings[0])).root_is_gone);
}

TEST_F(PinFiles, TheSameFileInOurRootIsNoted) {
  const std::string program = file("program", "code");
  const Elsewhere other("/");
  if (!other.is_inside()) {
    GTEST_SKIP() << "unshare(2) and chroot(2) need root";
  }
  RawCrash crash = crash_with(program);
  crash.mount_namespace = other.mount_namespace();
  crash.pid = other.pid();
  PinnedFiles files;
  pin_files(crash, files, mounts_now());
  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  ASSERT_TRUE(pinned.ours);
  EXPECT_TRUE(pinned.ours->is_ours);
  ASSERT_TRUE(pinned.root);
  EXPECT_FALSE(pinned.root->is_ours);
}

TEST_F(PinFiles, DataFilesAreNotOpened) {
  RawCrash crash = crash_with(file("archive", "data"));
  crash.mappings[0].executable = false;
  PinnedFiles files;
  pin_files(crash, files, mounts_now());

  EXPECT_TRUE(files.empty());
}

TEST_F(PinFiles, OfAMountThatIsNewACopyIsKept) {
  const std::string path = file("program", "code");
  RawCrash crash = crash_with(path);
  PinnedFiles files;
  pin_files(crash, files, {});
  const PinnedFile& pinned = files.at(file_key(crash.mappings[0]));
  EXPECT_EQ(pinned.copied, 4u);
  struct stat original {
  }, kept{};
  ASSERT_EQ(::stat(path.c_str(), &original), 0);
  ASSERT_EQ(::fstat(pinned.fd.get(), &kept), 0);
  EXPECT_NE(original.st_dev, kept.st_dev);
  char content[5] = "";
  ASSERT_EQ(::pread(pinned.fd.get(), content, 4, 0), 4);
  EXPECT_STREQ(content, "code");

  let_go_of_changed_files(files);
  EXPECT_TRUE(pinned.fd);
  pin_files(crash, files, {});
  EXPECT_EQ(files.size(), 1u) << "the copy is used again";
}

}  // namespace
}  // namespace crashcrawler
