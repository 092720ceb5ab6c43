// Small dpkg databases made for each case.
#include "runner/attribute/packages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using ::testing::HasSubstr;

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

  Module found(const std::string& path) {
    Module module;
    module.path = path;
    return found(module);
  }
  Module found(const Module& module) {
    std::vector<Module> modules{module};
    result_ = find_packages({&modules}, root_.path());
    return modules[0];
  }

  TemporaryDirectory root_;
  Result<void> result_;
};

TEST_F(Packages, FillsEveryFieldOfAnOwnedFile) {
  usual_database();
  const Package package = found("/lib/x86_64-linux-gnu/libc.so.6").package;
  EXPECT_TRUE(result_);
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

TEST_F(Packages, LeavesAFileOfNobodyAlone) {
  usual_database();
  EXPECT_EQ(found("/home/user/project/test").package.name, "");
  EXPECT_TRUE(result_);
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
  std::vector<Module> first(2), second(1), none;
  first[0].path = "/usr/bin/bash";
  first[1].path = "[vdso]";
  second[0].path = "/usr/lib/x86_64-linux-gnu/libc.so.6";
  ASSERT_TRUE(find_packages({&first, &second, &none}, root_.path() + "/"));
  EXPECT_EQ(first[0].package.name, "bash");
  EXPECT_EQ(first[1].package.name, "");
  EXPECT_EQ(second[0].package.name, "libc6");
  EXPECT_EQ(second[0].package.source, root_.path() + "/var/lib/dpkg/status");
}

TEST_F(Packages, ReadsNothingWhenThereIsNothingToLookUp) {
  root_.write("var/lib/dpkg/status/not-a-file", "");  // any look at it would fail
  EXPECT_EQ(found("[vdso]").package.name, "");
  EXPECT_TRUE(result_);
  found("/memfd:jit");
  EXPECT_TRUE(result_);
}

TEST_F(Packages, AreNoErrorWithoutDpkg) {
  EXPECT_EQ(found("/bin/bash").package.name, "");
  EXPECT_TRUE(result_);
}

TEST_F(Packages, TellAMissingInfoFolder) {
  status("Package: bash\nVersion: 1\n");
  found("/bin/bash");
  ASSERT_FALSE(result_);
  EXPECT_THAT(result_.error().message, HasSubstr(root_.path() + "/var/lib/dpkg/info"));
}

TEST_F(Packages, TellAnUnreadableListAndStillFindTheRest) {
  usual_database();
  root_.write("var/lib/dpkg/info/broken.list/x", "");  // a folder where a file should be
  EXPECT_EQ(found("/bin/bash").package.name, "bash");
  ASSERT_FALSE(result_);
  EXPECT_THAT(result_.error().message, HasSubstr("broken.list"));
}

TEST_F(Packages, TellAMalformedStatusLineAndStillFindTheRest) {
  list("bash", "/bin/bash\n");
  status("<<<<<<< not a field\n\nPackage: bash\nVersion: 1\n");
  EXPECT_EQ(found("/bin/bash").package.version, "1");
  ASSERT_FALSE(result_);
  EXPECT_THAT(result_.error().message, HasSubstr("status:1 "));
}

TEST_F(Packages, TellAnOwnerThatStatusDoesNotKnow) {
  status("Package: other\nVersion: 1\n");
  list("bash", "/bin/bash\n");
  EXPECT_EQ(found("/bin/bash").package.name, "");
  ASSERT_FALSE(result_);
  EXPECT_THAT(result_.error().message, HasSubstr("has no package bash"));
}

TEST_F(Packages, TellATornDiversionsFile) {
  usual_database();
  diversions("/bin/sh\n/bin/sh.distrib\n");
  EXPECT_EQ(found("/bin/bash").package.name, "bash");
  ASSERT_FALSE(result_);
  EXPECT_THAT(result_.error().message, HasSubstr("dpkg/diversions"));
}

TEST_F(Packages, AcceptListsWithoutALastNewline) {
  list("bash", "/bin/bash");
  status("Package: bash\nVersion: 1");
  EXPECT_EQ(found("/bin/bash").package.version, "1");
  EXPECT_TRUE(result_);
}

}  // namespace
}  // namespace crashcrawler
