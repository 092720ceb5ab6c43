// prepare_output_directory() and write_reports() on a real file system.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "runner/base/file.h"
#include "runner/report/report.h"
#include "runner/report/repro_script.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OutputDirectory : public ::testing::Test {
 protected:
  std::string out() const { return temporary_.path() + "/out"; }

  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(out())) {
      if (!entry.is_directory()) {
        names.insert(fs::relative(entry.path(), out()));
      }
    }
    return names;
  }

  void write_a_run() {
    Session session = quiet_session();
    session.crashes = {null_write(), failed_check()};
    ASSERT_TRUE(prepare_output_directory(out()));
    const Result<void> written = write_reports(session, out());
    ASSERT_TRUE(written) << written.error().message;
  }

  TemporaryDirectory temporary_;
};

TEST_F(OutputDirectory, IsMadeWithItsParents) {
  ASSERT_TRUE(prepare_output_directory(out() + "/a/b"));
  EXPECT_TRUE(fs::is_directory(out() + "/a/b"));
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_TRUE(prepare_output_directory(out() + "/a/b/"));
}

TEST_F(OutputDirectory, ReceivesAllReports) {
  write_a_run();
  EXPECT_THAT(files(),
              ElementsAre("crashes/0001-null_write-SIGSEGV.json",
                          "crashes/0001-null_write-SIGSEGV.txt", "crashes/0003-check-SIGABRT.json",
                          "crashes/0003-check-SIGABRT.txt", "junit.xml", "report.json"));
}

TEST_F(OutputDirectory, ReceivesAReportOfAQuietRunToo) {
  ASSERT_TRUE(prepare_output_directory(out()));
  ASSERT_TRUE(write_reports(quiet_session(), out()));
  EXPECT_THAT(files(), ElementsAre("junit.xml", "report.json"));
}

TEST_F(OutputDirectory, IsEmptiedOfAnEarlierRun) {
  write_a_run();
  temporary_.write("out/crashes/0001-null_write-SIGSEGV.core", "core");
  temporary_.write("out/crashes/0001-null_write-SIGSEGV.repro.sh",
                   std::string(kReproScriptMark) + "x");
  ASSERT_TRUE(prepare_output_directory(out()));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(OutputDirectory, IsEmptiedOfARunThatWasKilledWhileWriting) {
  write_a_run();
  fs::remove(out() + "/report.json");
  fs::remove(out() + "/crashes/0003-check-SIGABRT.txt");
  temporary_.write("out/report.json.tmp123", "");
  fs::copy(out() + "/junit.xml", out() + "/junit.xml.tmp7");
  fs::copy(out() + "/crashes/0003-check-SIGABRT.json", out() + "/crashes/0009-x.json.tmp88");
  temporary_.write("out/crashes/0001-null_write-SIGSEGV.txt.tmp88", "half a te");
  temporary_.write("out/crashes/0009-y.txt.tmp88", "");
  temporary_.write("out/crashes/0009-y.repro.sh.tmp88", "");
  temporary_.write("out/crashes/0009-y.repro.sh", std::string(kReproScriptMark) + "x");
  temporary_.write("out/crashes/0010-z.repro.sh.tmp9", std::string(kReproScriptMark) + "x");
  ASSERT_TRUE(prepare_output_directory(out()));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(OutputDirectory, KeepsWhatIsNotOurs) {
  write_a_run();
  const std::set<std::string> foreign = {"crashes/notes.txt",    "crashes/0001-other.core",
                                         "crashes/data.json",    "notes.txt",
                                         "summary.md",           "report.json.orig",
                                         "crashes/sub/0001.txt", "report.json.tmp12x",
                                         "crashes/mine.repro.sh"};
  for (const std::string& name : foreign) {
    temporary_.write("out/" + name, "{\"precious\": true}");
  }
  ASSERT_TRUE(prepare_output_directory(out()));
  EXPECT_EQ(files(), foreign);
}

TEST_F(OutputDirectory, IsRefusedRatherThanReplacingAForeignReport) {
  write_a_run();
  temporary_.write("out/junit.xml", "<testsuites name=\"mine\"/>");
  const std::set<std::string> before = files();
  const Result<void> refused = prepare_output_directory(out());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr(out() + "/junit.xml"));
  EXPECT_THAT(refused.error().message, HasSubstr("--output-dir"));
  EXPECT_EQ(refused.error().exit_status, 125);
  EXPECT_EQ(files(), before);

  fs::remove(out() + "/junit.xml");
  temporary_.write("out/report.json", "{\"schema_version\": \"1.0\", \"name\": \"other\"}");
  EXPECT_FALSE(prepare_output_directory(out()));
}

TEST_F(OutputDirectory, IsNotLedAstrayByLinks) {
  write_a_run();
  const std::string target = temporary_.write("precious.json", *read_file(out() + "/report.json"));
  fs::remove(out() + "/report.json");
  fs::create_symlink(target, out() + "/report.json");
  EXPECT_FALSE(prepare_output_directory(out()));
  fs::remove(out() + "/report.json");

  fs::rename(out() + "/crashes", temporary_.path() + "/elsewhere");
  fs::create_directory_symlink(temporary_.path() + "/elsewhere", out() + "/crashes");
  const Result<void> refused = prepare_output_directory(out());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("crashes is not a directory"));
  EXPECT_TRUE(fs::exists(temporary_.path() + "/elsewhere/0001-null_write-SIGSEGV.json"));
}

TEST_F(OutputDirectory, IsRefusedWhenItIsAFile) {
  const Result<void> refused = prepare_output_directory(temporary_.write("out", "x"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr(out()));
  EXPECT_THAT(refused.error().message, HasSubstr("--output-dir"));
  EXPECT_FALSE(prepare_output_directory(out() + "/below"));
}

TEST_F(OutputDirectory, IsRefusedWhenNoFileCanBeMadeInIt) {
  // /proc takes no files from anybody, root included
  const Result<void> refused = prepare_output_directory("/proc");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("cannot create a file in /proc: "));
  EXPECT_THAT(refused.error().message, HasSubstr("--output-dir"));
}

TEST_F(OutputDirectory, IsRefusedWithoutPermission) {
  ASSERT_TRUE(prepare_output_directory(out()));
  ::chmod(temporary_.path().c_str(), 0755);
  ::chmod(out().c_str(), 0555);
  const uid_t user = ::geteuid();
  if (user == 0) {
    ASSERT_EQ(::seteuid(65534), 0);  // root may write everywhere
  }
  const Result<void> refused = prepare_output_directory(out());
  ASSERT_EQ(::seteuid(user), 0);
  ::chmod(out().c_str(), 0755);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr("cannot create a file in " + out() + ": Permission denied"));
}

TEST_F(OutputDirectory, ThatDisappearedIsAnErrorOfWriting) {
  temporary_.write("out", "a file where the folder was");
  const Result<void> written = write_reports(busy_session(), out());
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr(out()));
}

}  // namespace
}  // namespace crashcrawler
