#include "runner/attribute/versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "runner/attribute/bounded_command.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/attribute/sample_crash.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(VersionInName, IsWhatFollowsTheSuffixOrADash) {
  EXPECT_EQ(version_in_name("libfoo.so.1.2.3"), "1.2.3");
  EXPECT_EQ(version_in_name("libfoo.so.6"), "6");
  EXPECT_EQ(version_in_name("libfoo-2.40.so"), "2.40");
  EXPECT_EQ(version_in_name("libfoo-2.40.so.7"), "7");
  for (const char* name : {"libfoo.so", "program", "libfoo.so.", "libfoo.so..1", "libfoo.so.1a",
                           "libfoo-x.so", "libfoo-.so", "", ".so", "libfoo.sox.1"}) {
    EXPECT_EQ(version_in_name(name), "") << name;
  }
}

TEST(LinkerName, IsWhatFollowsMinusL) {
  EXPECT_EQ(linker_name("libfoo.so.1.2.3"), "foo");
  EXPECT_EQ(linker_name("libfoo-1.2.so"), "foo-1.2");
  for (const char* name : {"foo.so", "libfoo.a", "libfoo", "libfoo.sox"}) {
    EXPECT_EQ(linker_name(name), "") << name;
  }
}

TEST(PkgConfig, ExpandsVariables) {
  const PkgConfigFile file = parse_pkg_config(
      "# a comment\nprefix=/opt\nmajor = 1\nfull=${major}.4 # so far\nVersion: ${full}.2\n"
      "Libs: -L${prefix}/lib -lfoo\t-lbar ${unknown}\nLibs.private: -lm\nrubbish\n",
      "/x/foo.pc");
  EXPECT_EQ(file.version, "1.4.2");
  EXPECT_THAT(file.libraries, ElementsAre("foo", "bar"));
}

TEST(PkgConfig, SurvivesVariablesThatNameEachOther) {
  const PkgConfigFile file = parse_pkg_config(
      "a=${b}${b}${b}${b}\nb=${a}${a}${a}${a}x\nVersion: ${a}\nLibs: ${\n", "/x/foo.pc");
  EXPECT_LE(file.version.size(), 4096u);
  EXPECT_THAT(file.libraries, IsEmpty());
}

class Versions : public ::testing::Test {
 protected:
  std::vector<ModuleVersion> found(const std::string& path, const std::string& symbols = "",
                                   bool is_ours = false) {
    Module module;
    module.path = path;
    module.symbol_version = symbols;
    tests::SampleRun run(is_ours ? "/" : root_.path(), is_ours);
    run.add_crash({module});
    EXPECT_THAT(run.attribute(), IsEmpty());
    return run.crashes[0].backtrace.modules[0].versions;
  }
  void git(const std::string& arguments) {
    const std::string command = "git -C '" + root_.path() +
                                "' -c user.name=a -c user.email=a@example.org " + arguments +
                                " >/dev/null 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void tagged_tree() {
    if (!output_of_command({"git", "--version"}, {}, {})) {
      GTEST_SKIP() << "git is not installed";
    }
    git("init");
    root_.write("source.c", "int a;\n");
    git("add source.c");
    git("commit -m first");
    git("tag v1.4.2");
  }

  TemporaryDirectory root_;
};

TEST_F(Versions, AreOrderedByTrust) {
  root_.write("opt/lib/pkgconfig/foo.pc", "Version: 1.4.2\nLibs: -lfoo\n");
  root_.write("opt/lib/pkgconfig/foo-extra.pc", "Version: 9\nLibs: -lfoo-extra\n");
  const std::vector<ModuleVersion> versions = found("/opt/lib/libfoo.so.1.4.1", "FOO_1.4");
  ASSERT_THAT(versions, SizeIs(3));
  EXPECT_EQ(versions[0].version + " " + versions[0].source, "1.4.2 pkg_config");
  EXPECT_EQ(versions[0].detail, root_.path() + "/opt/lib/pkgconfig/foo.pc");
  EXPECT_EQ(versions[1].version + " " + versions[1].source, "1.4.1 file_name");
  EXPECT_EQ(versions[2].version + " " + versions[2].source, "FOO_1.4 symbol_versions");
}

TEST_F(Versions, OfTheInterfaceSayLeast) {
  const std::vector<ModuleVersion> versions = found("/opt/lib/libfoo.so.6", "FOO_2.36");
  ASSERT_THAT(versions, SizeIs(2));
  EXPECT_EQ(versions[0].source, "symbol_versions");
  EXPECT_EQ(versions[1].version, "6");
}

TEST_F(Versions, ComeFromTheWorkTree) {
  tagged_tree();
  const std::vector<ModuleVersion> clean = found(root_.path() + "/build/libfoo.so", "", true);
  ASSERT_THAT(clean, SizeIs(1));
  EXPECT_EQ(clean[0].version + " " + clean[0].source, "v1.4.2 git");
  EXPECT_EQ(clean[0].detail, root_.path());

  root_.write("source.c", "int a, b;\n");
  root_.write("foo.pc", "Version: 1.5\nLibs: -lfoo\n");
  const std::vector<ModuleVersion> dirty = found(root_.path() + "/build/deep/libfoo.so", "", true);
  ASSERT_THAT(dirty, SizeIs(2));
  EXPECT_EQ(dirty[0].version, "1.5");
  EXPECT_EQ(dirty[1].version, "v1.4.2-dirty");
}

TEST_F(Versions, RunNothingThatAWorkTreeNames) {
  tagged_tree();
  const std::string witness = root_.path() + "/witness";
  const std::string program = root_.write("program", "#!/bin/sh\ntouch '" + witness + "'\ncat\n");
  ::chmod(program.c_str(), 0755);
  git("config core.fsmonitor " + program);
  git("config filter.evil.clean " + program);
  git("config filter.evil.process " + program);
  git("config filter.evil.required true");
  git("config core.hooksPath " + root_.path() + "/hooks");
  git("config diff.external " + program);
  git("config core.pager " + program);
  root_.write("hooks/post-index-change", "#!/bin/sh\ntouch '" + witness + "'\n");
  ::chmod((root_.path() + "/hooks/post-index-change").c_str(), 0755);
  root_.write(".gitattributes", "* filter=evil\n");
  root_.write("source.c", "int b;\n");  // as long as before: git has to read it
  const std::vector<ModuleVersion> versions = found(root_.path() + "/libfoo.so", "", true);
  ASSERT_THAT(versions, SizeIs(1));
  EXPECT_EQ(versions[0].version, "v1.4.2-dirty");
  EXPECT_FALSE(std::filesystem::exists(witness));

  // the trap works: git itself falls into it
  git("diff-index HEAD || true");
  EXPECT_TRUE(std::filesystem::exists(witness));
}

TEST_F(Versions, AreNoneInAWorkTreeThatIsBroken) {
  root_.write(".git/HEAD", "rubbish");
  EXPECT_THAT(found(root_.path() + "/libfoo.so", "", true), IsEmpty());
}

TEST(BoundedCommand, GivesTheOutput) {
  const Result<std::string> words =
      output_of_command({"sh", "-c", "echo \"$A\"; cat"}, {"A=b"}, {});
  ASSERT_TRUE(words) << words.error().message;
  EXPECT_EQ(*words, "b\n");
}

TEST(BoundedCommand, SaysWhatWasWrong) {
  const CommandLimits limits{std::chrono::milliseconds(300), 1000};
  const auto why = [&](const std::vector<std::string>& arguments) {
    const Result<std::string> words = output_of_command(arguments, {}, limits);
    return words ? "nothing" : words.error().message;
  };
  EXPECT_EQ(why({"no-such-program-here"}), "no-such-program-here is not installed");
  EXPECT_EQ(why({"sh", "-c", "echo bad >&2; echo worse >&2; exit 3"}), "sh failed: bad");
  EXPECT_THAT(why({"sh", "-c", "sleep 60"}), HasSubstr("took longer than 300 ms"));
  EXPECT_THAT(why({"sh", "-c", "exec >&- 2>&-; sleep 60"}), HasSubstr("did not end"));
  EXPECT_THAT(why({"sh", "-c", "sleep 60 & wait"}), HasSubstr("took longer"));
  EXPECT_THAT(why({"yes"}), HasSubstr("more to say than 1000 bytes"));
}

}  // namespace
}  // namespace crashcrawler
