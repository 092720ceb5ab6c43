// Small dpkg databases made for each case.
#include "tests/unit/attribute/sample_crash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::shared_ptr<RootDirectory> open_root(const std::string& path) {
  auto root = std::make_shared<RootDirectory>();
  root->fd.reset(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  root->name = path;
  return root;
}

class Packages : public ::testing::Test {
 protected:
  void status(const std::string& text) { root_.write("var/lib/dpkg/status", text); }
  void list(const std::string& key, const std::string& lines) {
    root_.write("var/lib/dpkg/info/" + key + ".list", lines);
  }
  void diversions(const std::string& text) { root_.write("var/lib/dpkg/diversions", text); }

  // libc6 as bookworm has it: Multi-Arch: same, below /lib; bash as everybody has it.
  void usual_database() {
    status(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n"
        "Version: 2.36-9+deb12u10\nDescription: GNU C Library\n with a second line\n\n"
        "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2\n");
    list("libc6:amd64", "/.\n/lib\n/lib/x86_64-linux-gnu/libc.so.6\n/usr/share/doc/libc6\n");
    list("bash", "/.\n/bin\n/bin/bash\n");
  }

  // What cannot be read is told, so it is known afterwards whether somebody tried.
  void break_a_list() { root_.write("var/lib/dpkg/info/broken.list/x", ""); }
  void merge_usr() {
    std::filesystem::create_directories(root_.path() + "/usr/lib");
    std::filesystem::create_symlink("usr/lib", root_.path() + "/lib");
  }

  Module found(const std::string& path) {
    Module module;
    module.path = path;
    return found(module);
  }
  Module found(const Module& module) {
    tests::SampleRun run(root_.path());
    run.add_crash({module});
    problems_ = run.attribute();
    return run.crashes[0].backtrace.modules[0];
  }

  TemporaryDirectory root_;
  std::vector<std::string> problems_;
};

TEST_F(Packages, FillsEveryFieldOfAnOwnedFile) {
  usual_database();
  const Package package = found("/lib/x86_64-linux-gnu/libc.so.6").package;
  EXPECT_THAT(problems_, IsEmpty());
  EXPECT_EQ(package.type, "deb");
  EXPECT_EQ(package.name, "libc6");
  EXPECT_EQ(package.version, "2.36-9+deb12u10");
  EXPECT_EQ(package.architecture, "amd64");
  EXPECT_EQ(package.source, root_.path() + "/var/lib/dpkg/status");
}

TEST_F(Packages, MatchesMergedUsrInBothDirections) {
  usual_database();
  EXPECT_EQ(found("/usr/lib/x86_64-linux-gnu/libc.so.6").package.name, "libc6");
  EXPECT_EQ(found("/usr/bin/bash").package.name, "bash");
  list("trixie", "/usr/lib64/ld-linux-x86-64.so.2\n");
  status("Package: trixie\nVersion: 1\n");
  EXPECT_EQ(found("/lib64/ld-linux-x86-64.so.2").package.name, "trixie");
}

TEST_F(Packages, DoesNotAliasOtherFoldersOfUsr) {
  list("x", "/share/x\n/usr/libexec/y\n/library/z\n");
  status("Package: x\nVersion: 1\n");
  EXPECT_EQ(found("/usr/share/x").package.name, "");
  EXPECT_EQ(found("/libexec/y").package.name, "");
  EXPECT_EQ(found("/usr/library/z").package.name, "");
}

TEST_F(Packages, PrefersTheExactNameToItsAlias) {
  list("aliased", "/lib/libx.so\n");
  list("exact", "/usr/lib/libx.so\n");
  status("Package: aliased\nVersion: 1\n\nPackage: exact\nVersion: 2\n");
  EXPECT_EQ(found("/usr/lib/libx.so").package.name, "exact");
  EXPECT_EQ(found("/lib/libx.so").package.name, "aliased");
}

// A crash with one file per root; its root directory is gone.
class GoneRoot {
 public:
  explicit GoneRoot(const std::vector<std::shared_ptr<const RootDirectory>>& roots) {
    CrashReport crash;
    for (size_t i = 0; i < roots.size(); ++i) {
      Mapping mapping;
      mapping.start = 0x1000 * (i + 1);
      mapping.inode = i + 1;
      mapping.path = "/bin/" + std::to_string(i);
      Module module;
      module.base = mapping.start;
      module.path = mapping.path;
      PinnedFile& file = files[file_key(mapping)];
      file.root = roots[i];
      file.path_in_root = mapping.path;
      file.root_is_gone = true;
      crash.raw.mappings.push_back(mapping);
      crash.backtrace.modules.push_back(module);
    }
    crashes.push_back(std::move(crash));
  }

  std::vector<std::string> said() {
    attribute_modules(crashes, files);
    return crashes[0].backtrace.soft_errors;
  }

  std::vector<CrashReport> crashes;
  PinnedFiles files;
};

TEST_F(Packages, SaysOnceThatARootWasGone) {
  const std::shared_ptr<const RootDirectory> one = open_root(root_.path()), other = open_root("/");
  EXPECT_THAT(GoneRoot({one, other, nullptr}).said(),
              ElementsAre(HasSubstr("root directory was gone")));
  EXPECT_THAT(GoneRoot({nullptr}).said(), ElementsAre(HasSubstr("root directory was gone")));
  EXPECT_THAT(GoneRoot({one, one}).said(), IsEmpty()) << "all of it was found in one place";
}

TEST_F(Packages, TheSameFileInOurRootIsAskedThereLast) {
  TemporaryDirectory ours;
  ours.write("var/lib/dpkg/status", "Package: theirs\nVersion: 1\n\nPackage: shared\nVersion: 2\n");
  ours.write("var/lib/dpkg/info/theirs.list", "/bin/0\n");
  ours.write("var/lib/dpkg/info/shared.list", "/bin/1\n");
  status("Package: own\nVersion: 3\n");
  list("own", "/bin/0\n");
  const std::shared_ptr<const RootDirectory> own = open_root(root_.path());
  GoneRoot run({own, own, own});
  auto directory = open_root(ours.path());
  directory->is_ours = true;
  for (auto& [key, file] : run.files) {
    file.ours = key.path == "/bin/2" ? nullptr : directory;
  }
  run.said();
  const std::vector<Module>& modules = run.crashes[0].backtrace.modules;
  EXPECT_EQ(modules[0].package.name, "own");
  EXPECT_EQ(modules[0].package.version, "3");
  EXPECT_EQ(modules[1].package.name, "shared");
  EXPECT_EQ(modules[1].package.version, "2");
  EXPECT_EQ(modules[2].package.name, "");
}

TEST_F(Packages, LeavesAFileOfNobodyAlone) {
  usual_database();
  EXPECT_EQ(found("/home/user/project/test").package.name, "");
  EXPECT_THAT(problems_, IsEmpty());
  // the end of a listed path, and its beginning, are other paths
  EXPECT_EQ(found("/x86_64-linux-gnu/libc.so.6").package.name, "");
  EXPECT_EQ(found("/lib/x86_64-linux-gnu/libc.so").package.name, "");
}

TEST_F(Packages, TakesTheParagraphOfTheRightArchitecture) {
  usual_database();
  status(
      "Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 1-i386\n\n"
      "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2-amd64\n");
  list("libc6:i386", "/lib/i386-linux-gnu/libc.so.6\n");
  EXPECT_EQ(found("/lib/i386-linux-gnu/libc.so.6").package.version, "1-i386");
  EXPECT_EQ(found("/lib/x86_64-linux-gnu/libc.so.6").package.version, "2-amd64");
}

TEST_F(Packages, PrefersAnInstalledParagraphToTheRemainsOfARemovedOne) {
  status(
      "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n\n"
      "Package: bash\nStatus: deinstall ok config-files\nArchitecture: i386\nVersion: 1\n");
  list("bash", "/bin/bash\n");
  EXPECT_EQ(found("/bin/bash").package.version, "2");
}

TEST_F(Packages, FollowsDiversions) {
  // dash diverts /bin/sh: its own file keeps the name, bash's /bin/sh lies at /bin/sh.distrib
  list("dash", "/bin/sh\n");
  list("bash", "/bin/sh\n");
  status("Package: dash\nVersion: 1\n\nPackage: bash\nVersion: 2\n");
  diversions("/bin/sh\n/bin/sh.distrib\ndash\n");
  EXPECT_EQ(found("/bin/sh").package.name, "dash");
  EXPECT_EQ(found("/bin/sh.distrib").package.name, "bash");
  EXPECT_EQ(found("/usr/bin/sh.distrib").package.name, "bash");
}

TEST_F(Packages, GivesALocallyDivertedNameToNoPackage) {
  list("bash", "/bin/bash\n");
  status("Package: bash\nVersion: 2\n");
  diversions("/bin/bash\n/bin/bash.real\n:\n");
  EXPECT_EQ(found("/bin/bash").package.name, "");
  EXPECT_EQ(found("/bin/bash.real").package.name, "bash");
}

TEST_F(Packages, ChoosesTheSameOneOfTwoOwnersEverywhere) {
  list("b", "/usr/lib/plugin.so\n");
  list("a", "/usr/lib/plugin.so\n");
  list("c", "/usr/lib/plugin.so\n");
  status("Package: a\nVersion: 1\n\nPackage: b\nVersion: 1\n\nPackage: c\nVersion: 1\n");
  EXPECT_EQ(found("/usr/lib/plugin.so").package.name, "a");
}

TEST_F(Packages, DoesNotClaimAVersionForAFileThatWasReplaced) {
  usual_database();
  Module module;
  module.path = "/bin/bash";
  module.changed_on_disk = true;
  EXPECT_EQ(found(module).package.name, "bash");
  EXPECT_EQ(found(module).package.version, "");
}

TEST_F(Packages, ServesAllModulesOfAllCrashes) {
  usual_database();
  std::vector<Module> first(2), second(1);
  first[0].path = "/usr/bin/bash";
  first[1].path = "[vdso]";
  second[0].path = "/usr/lib/x86_64-linux-gnu/libc.so.6";
  tests::SampleRun run(root_.path() + "/");
  run.add_crash(first);
  run.add_crash(second);
  run.add_crash({});
  ASSERT_THAT(run.attribute(), IsEmpty());
  EXPECT_EQ(run.crashes[0].backtrace.modules[0].package.name, "bash");
  EXPECT_EQ(run.crashes[0].backtrace.modules[1].package.name, "");
  const Module& libc = run.crashes[1].backtrace.modules[0];
  EXPECT_EQ(libc.package.name, "libc6");
  EXPECT_EQ(libc.package.source, root_.path() + "/var/lib/dpkg/status");
  ASSERT_THAT(libc.versions, SizeIs(1));
  EXPECT_EQ(libc.versions[0].version, "2.36-9+deb12u10");
  EXPECT_EQ(libc.versions[0].source, "deb");
}

TEST_F(Packages, ReadsNothingWhenThereIsNothingToLookUp) {
  root_.write("var/lib/dpkg/status/not-a-file", "");  // any look at it would fail
  EXPECT_EQ(found("[vdso]").package.name, "");
  EXPECT_THAT(problems_, IsEmpty());
  found("/memfd:jit");
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(Packages, AreNoErrorWithoutDpkg) {
  EXPECT_EQ(found("/bin/bash").package.name, "");
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(Packages, TellAMissingInfoFolder) {
  status("Package: bash\nVersion: 1\n");
  found("/bin/bash");
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], HasSubstr(root_.path() + "/var/lib/dpkg/info"));
}

TEST_F(Packages, TellAnUnreadableListAndStillFindTheRest) {
  status("Package: tools\nVersion: 1\n");
  list("tools", "/usr/bin/report\n");
  break_a_list();
  EXPECT_EQ(found("/usr/bin/report").package.name, "tools");
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], HasSubstr("broken.list"));
}

TEST_F(Packages, ReadTheLikelyListsFirstAndNoMoreThanAreNeeded) {
  usual_database();
  merge_usr();
  break_a_list();
  EXPECT_EQ(found("/usr/lib/x86_64-linux-gnu/libc.so.6").package.name, "libc6");
  EXPECT_THAT(problems_, IsEmpty());
  EXPECT_EQ(found("/bin/bash").package.name, "bash");
  EXPECT_THAT(problems_, IsEmpty());
  found("/usr/bin/nobody_s");
  EXPECT_THAT(problems_, SizeIs(1));
}

TEST_F(Packages, ReadAllListsWhereTheOtherNameIsAnotherFile) {
  status("Package: libx1\nVersion: 1\n\nPackage: other\nVersion: 2\n");
  list("libx1", "/lib/libx.so.1\n");
  list("other", "/usr/lib/libx.so.1\n");
  EXPECT_EQ(found("/usr/lib/libx.so.1").package.name, "other");
}

TEST_F(Packages, AskNobodyForAFileYoungerThanTheDatabaseWhereNoPackagePutsFiles) {
  root_.write("home/me/old", "");
  usual_database();
  list("mine", "/home/me/old\n/home/me/new\n");
  break_a_list();
  found("/home/me/old");
  EXPECT_THAT(problems_, Not(IsEmpty()));
  const std::string young = root_.path() + "/home/me/new";
  struct stat database {
  }, file{};
  ASSERT_EQ(::stat((root_.path() + "/var/lib/dpkg/status").c_str(), &database), 0);
  do {  // the clock of the file system has a grain
    root_.write("home/me/new", "");
    ASSERT_EQ(::stat(young.c_str(), &file), 0);
  } while (file.st_ctim.tv_sec == database.st_ctim.tv_sec &&
           file.st_ctim.tv_nsec == database.st_ctim.tv_nsec);
  EXPECT_EQ(found("/home/me/new").package.name, "");
  EXPECT_THAT(problems_, IsEmpty());
  root_.write("usr/bin/new", "");  // here one may have put it
  found("/usr/bin/new");
  EXPECT_THAT(problems_, Not(IsEmpty()));
}

TEST_F(Packages, TellAMalformedStatusLineAndStillFindTheRest) {
  list("bash", "/bin/bash\n");
  status("<<<<<<< not a field\n\nPackage: bash\nVersion: 1\n");
  EXPECT_EQ(found("/bin/bash").package.version, "1");
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], HasSubstr("status:1 "));
}

TEST_F(Packages, TellAnOwnerThatStatusDoesNotKnow) {
  status("Package: other\nVersion: 1\n");
  list("bash", "/bin/bash\n");
  EXPECT_EQ(found("/bin/bash").package.name, "");
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], HasSubstr("has no package bash"));
}

TEST_F(Packages, TellATornDiversionsFile) {
  usual_database();
  diversions("/bin/sh\n/bin/sh.distrib\n");
  EXPECT_EQ(found("/bin/bash").package.name, "bash");
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], HasSubstr("dpkg/diversions"));
}

TEST_F(Packages, AcceptListsWithoutALastNewline) {
  list("bash", "/bin/bash");
  status("Package: bash\nVersion: 1");
  EXPECT_EQ(found("/bin/bash").package.version, "1");
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(Packages, KnowImagesWithoutAStatusFile) {
  root_.write("var/lib/dpkg/status.d/libssl3",
              "Package: libssl3\nVersion: 3.0\nArchitecture: amd64\n");
  root_.write("var/lib/dpkg/status.d/libssl3.md5sums",
              "5461b4c9623a1657baf85fbc0c8576b6  usr/lib/libssl.so.3\nrubbish\n");
  const Package package = found("/usr/lib/libssl.so.3").package;
  EXPECT_EQ(package.name + " " + package.version, "libssl3 3.0");
  EXPECT_EQ(package.source, root_.path() + "/var/lib/dpkg/status.d/libssl3");
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(Packages, BelieveTheFileBeforeAnyDatabase) {
  usual_database();
  Module module;
  module.path = "/bin/bash";
  module.package_note =
      R"({"type":"rpm","name":"bash","version":"5.1-2.fc40","architecture":"x86_64"})";
  const Package package = found(module).package;
  EXPECT_EQ(package.type + " " + package.version, "rpm 5.1-2.fc40");
  EXPECT_EQ(package.source, ".note.package");
}

TEST_F(Packages, TellANoteThatIsNone) {
  usual_database();
  for (const std::string& note :
       {std::string("{"), std::string("[1]"), std::string("{\"name\":7}"), std::string("\xff\x80"),
        std::string(16000, '['), std::string("{\"name\":\"\xff\"}")}) {
    Module module;
    module.path = "/bin/bash";
    module.package_note = note;
    EXPECT_EQ(found(module).package.name, "bash") << note.substr(0, 20);
    ASSERT_THAT(problems_, SizeIs(1)) << note.substr(0, 20);
    EXPECT_THAT(problems_[0], HasSubstr("/bin/bash: its .note.package"));
  }
}

// --- apk and pacman: the documented formats; rpm and pacman made by the real tools are in test_packages.py

TEST_F(Packages, ReadTheListOfApk) {
  root_.write("lib/apk/db/installed",
              "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\n"
              "P:base\nV:3\nA:noarch\nF:\nR:top\nM:0:0:1777\nF:usr/lib\nR:libz.so.1.3\n");
  const Package package = found("/lib/ld-musl-x86_64.so.1").package;
  EXPECT_EQ(package.type + " " + package.name + " " + package.version + " " + package.architecture,
            "apk musl 1.2.4-r2 x86_64");
  EXPECT_EQ(found("/top").package.name, "base");
  EXPECT_EQ(found("/usr/lib/libz.so.1.3").package.version, "3");
  EXPECT_EQ(found("/usr/lib/other").package.name, "");
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(Packages, ReadTheFoldersOfPacman) {
  root_.write("var/lib/pacman/local/ALPM_DB_VERSION", "9\n");
  root_.write("var/lib/pacman/local/zlib-1.3-1/desc",
              "%NAME%\nzlib\n\n%VERSION%\n1:1.3-1\n\n%ARCH%\nx86_64\n\n");
  root_.write("var/lib/pacman/local/zlib-1.3-1/files",
              "%FILES%\nusr/\nusr/lib/\nusr/lib/libz.so.1.3\n\n%BACKUP%\netc/z\tabc\n");
  root_.write("var/lib/pacman/local/empty-1-1/desc", "%NAME%\nempty\n");
  const Package package = found("/usr/lib/libz.so.1.3").package;
  EXPECT_EQ(package.type + " " + package.name + " " + package.version + " " + package.architecture,
            "alpm zlib 1:1.3-1 x86_64");
  EXPECT_EQ(found("/etc/z\tabc").package.name, "");
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(Packages, TellAPacmanPackageWithoutAName) {
  root_.write("var/lib/pacman/local/zlib-1.3-1/files", "%FILES%\nusr/lib/libz.so.1.3\n");
  EXPECT_EQ(found("/usr/lib/libz.so.1.3").package.name, "");
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], HasSubstr("zlib-1.3-1/desc"));
}

TEST_F(Packages, TellAnRpmDatabaseThatNobodyHereCanRead) {
  root_.write("usr/lib/sysimage/rpm/Packages.db", "RpmP");
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  EXPECT_EQ(found("/usr/lib64/libz.so.1.3").package.name, "");
  ::setenv("PATH", path.c_str(), 1);
  ASSERT_THAT(problems_, SizeIs(1));
  EXPECT_THAT(problems_[0], HasSubstr("rpm is not installed"));
  EXPECT_THAT(problems_[0], HasSubstr(root_.path() + "/usr/lib/sysimage/rpm/Packages.db"));
}

TEST_F(Packages, SurviveRubbishInEveryDatabase) {
  std::mt19937 random(4);
  for (const char* file : {"var/lib/dpkg/status", "var/lib/dpkg/info/a.list",
                           "var/lib/dpkg/diversions", "lib/apk/db/installed",
                           "var/lib/pacman/local/a-1-1/files", "var/lib/pacman/local/a-1-1/desc"}) {
    std::string bytes(100'000, '\0');
    for (char& byte : bytes) {
      byte = "\n%:PVFR/ab\xff"[random() % 12];
    }
    root_.write(file, bytes);
  }
  EXPECT_EQ(found("/usr/lib/libz.so.1.3").package.name, "");
  for (const std::string& problem : problems_) {
    EXPECT_LT(problem.size(), 1000u);
  }
}

TEST_F(Packages, ReadNoDatabaseOutsideOfTheRoot) {
  const TemporaryDirectory elsewhere;
  elsewhere.write("status", "Package: bash\nVersion: 1\n");
  elsewhere.write("info/bash.list", "/bin/bash\n");
  std::filesystem::create_directories(root_.path() + "/var/lib");
  std::filesystem::create_symlink(elsewhere.path(), root_.path() + "/var/lib/dpkg");
  EXPECT_EQ(found("/bin/bash").package.name, "");
  std::filesystem::remove(root_.path() + "/var/lib/dpkg");
  std::filesystem::create_symlink("../../../../../../../.." + elsewhere.path(),
                                  root_.path() + "/var/lib/dpkg");
  EXPECT_EQ(found("/bin/bash").package.name, "");
  std::filesystem::remove(root_.path() + "/var/lib/dpkg");
  // one that is meant for the root, as its processes see it
  usual_database();
  std::filesystem::rename(root_.path() + "/var/lib/dpkg", root_.path() + "/database");
  std::filesystem::create_symlink("/database", root_.path() + "/var/lib/dpkg");
  EXPECT_EQ(found("/bin/bash").package.name, "bash");
}

TEST_F(Packages, TellDatabasesThatAreLinksInCyclesPipesOrHuge) {
  std::filesystem::create_directories(root_.path() + "/var/lib/dpkg/info");
  std::filesystem::create_symlink("loop", root_.path() + "/var/lib/dpkg/info/loop.list");
  std::filesystem::create_symlink("loop.list", root_.path() + "/var/lib/dpkg/info/loop");
  ASSERT_EQ(::mkfifo((root_.path() + "/var/lib/dpkg/info/pipe.list").c_str(), 0600), 0);
  list("huge", "");
  std::filesystem::resize_file(root_.path() + "/var/lib/dpkg/info/huge.list", size_t{1} << 40);
  list("tools", "/bin/report\n");
  status("Package: tools\nVersion: 1\n");
  EXPECT_EQ(found("/bin/report").package.name, "tools");
  ASSERT_THAT(problems_, SizeIs(3));
}

}  // namespace
}  // namespace crashcrawler
