#include "runner/results/result_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "runner/base/file.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;

std::string crash_json(const std::string& id, const std::string& core) {
  return R"({"id": ")" + id + R"(", "crash_info": {"kind": "signal", "cause": "it died"},
    "process": {"executable": {"path": "/bin/x", "build_id": "ab"}},
    "threads": [{"frames": [1, 2]}], "artifacts": [{"type": "core", "path": ")" +
         core + R"("}]})";
}

std::string report_json(const std::string& crashes) {
  return R"({"schema_version": "1.0", "collector": {"name": "crashcrawler"}, "crashes": [)" +
         crashes + "]}";
}

struct ResultFolder : testing::Test {
  TemporaryDirectory directory;
  std::string path = directory.path();

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(path + "/crashes");
    ASSERT_TRUE(write_file_atomically(path + "/" + name, text));
  }

  ListedCrash only_crash(const std::string& id, const std::string& core) {
    write("report.json", report_json(crash_json(id, core)));
    const auto crashes = list_crashes(path);
    return crashes ? crashes->at(0) : ListedCrash();
  }
};

TEST_F(ResultFolder, CrashesAreListedWithWhatLeadsToTheirFiles) {
  const ListedCrash crash = only_crash("0001-x-SIGSEGV", "crashes/0001-x-SIGSEGV.core");
  EXPECT_EQ(crash.id, "0001-x-SIGSEGV");
  EXPECT_EQ(crash.cause, "it died");
  EXPECT_EQ(crash.executable, "/bin/x");
  EXPECT_EQ(crash.build_id, "ab");
  EXPECT_EQ(crash.core, "crashes/0001-x-SIGSEGV.core");
}

TEST_F(ResultFolder, ACrashIsFoundByNumberIdAndUniqueBeginning) {
  write("report.json", report_json(crash_json("0001-x", "") + "," + crash_json("0002-x", "") + "," +
                                   crash_json("0002-x-more", "")));
  const auto crashes = list_crashes(path);
  ASSERT_TRUE(crashes);
  EXPECT_EQ(find_crash(*crashes, "2")->id, "0002-x");
  EXPECT_EQ(find_crash(*crashes, "0002")->id, "0002-x");
  EXPECT_EQ(find_crash(*crashes, "0001-")->id, "0001-x");
  EXPECT_EQ(find_crash(*crashes, "0002-x")->id, "0002-x") << "the whole id counts more";
  EXPECT_THAT(find_crash(*crashes, "0002-").error().message, HasSubstr("0002-x, 0002-x-more"));
  EXPECT_THAT(find_crash(*crashes, "nothing").error().message, HasSubstr("0001-x"));
  EXPECT_THAT(find_crash(*crashes, "4").error().message, HasSubstr("there are 3"));
  EXPECT_FALSE(find_crash(*crashes, "0"));
  EXPECT_FALSE(find_crash(*crashes, "99999999999999999999999"));
  EXPECT_FALSE(find_crash({}, "1"));
}

TEST_F(ResultFolder, AReportThatIsNoneIsSaidToBeNone) {
  EXPECT_THAT(list_crashes(path).error().message, HasSubstr("there is no report"));
  for (const char* text : {"", "rubbish", "[]", "{}", R"({"schema_version": "2.0"})",
                           R"({"schema_version": 1, "collector": []})"}) {
    write("report.json", text);
    EXPECT_FALSE(list_crashes(path)) << text;
  }
  write("report.json", std::string(1 << 20, '['));
  EXPECT_FALSE(list_crashes(path)) << "deep";
  write("report.json", report_json(""));
  EXPECT_THAT(list_crashes(path, 10).error().message, HasSubstr("larger than 10 bytes"));
}

TEST_F(ResultFolder, EveryBeginningOfAReportIsSurvivedAndRefused) {
  const std::string whole = report_json(crash_json("0001-x", "crashes/0001-x.core"));
  for (size_t length = 0; length < whole.size(); ++length) {
    write("report.json", whole.substr(0, length));
    EXPECT_FALSE(list_crashes(path)) << length;
  }
}

TEST_F(ResultFolder, ValuesOfOtherTypesAreLikeNone) {
  write("report.json", report_json(R"({"id": "a", "crash_info": 1, "process": {"executable": []},
                                       "artifacts": [1, {"type": []}], "soft_errors": {"a": 1}})"));
  const auto crashes = list_crashes(path);
  ASSERT_TRUE(crashes);
  EXPECT_EQ(crashes->at(0).cause, "");
  EXPECT_EQ(crashes->at(0).core, "");
}

TEST_F(ResultFolder, AnIdThatIsNoFileNameIsRefused) {
  for (const char* id : {"", "..", ".hidden", "../../etc/passwd", "a/b", "a b", "a\\u0000b"}) {
    write("report.json", report_json(crash_json(id, "")));
    EXPECT_FALSE(list_crashes(path)) << id;
  }
}

TEST_F(ResultFolder, FilesOutsideOfTheFolderAreNotFollowed) {
  write("secret", "outside");
  EXPECT_THAT(core_of(path, only_crash("a", "../secret")).error().message,
              HasSubstr("not followed"));
  EXPECT_THAT(core_of(path, only_crash("a", "/etc/passwd")).error().message,
              HasSubstr("not followed"));

  const ListedCrash crash = only_crash("a", "crashes/a.core");
  EXPECT_FALSE(core_of(path, crash)) << "it is not there";
  ASSERT_EQ(::symlink("../secret", (path + "/crashes/a.core").c_str()), 0);
  ASSERT_EQ(::symlink("../secret", (path + "/crashes/a.txt").c_str()), 0);
  EXPECT_FALSE(core_of(path, crash)) << "a link";
  EXPECT_FALSE(text_of(path, crash)) << "a link";
  ::unlink((path + "/crashes/a.txt").c_str());
  ASSERT_EQ(::mkfifo((path + "/crashes/a.txt").c_str(), 0600), 0);
  EXPECT_FALSE(text_of(path, crash)) << "nobody writes into it";
}

TEST_F(ResultFolder, WhyThereIsNoCoreIsSaid) {
  write("report.json", report_json(R"({"id": "a", "soft_errors": ["there is no core: no room"]})"));
  EXPECT_EQ(core_of(path, list_crashes(path)->at(0)).error().message, "there is no core: no room");
}

TEST_F(ResultFolder, TheRecordIsReadWithoutStacks) {
  const ListedCrash crash = only_crash("0001-x", "");
  EXPECT_FALSE(record_of(path, crash)) << "there is none";
  write("crashes/0001-x.json", crash_json("0001-x", ""));
  const Result<Json> record = record_of(path, crash);
  ASSERT_TRUE(record);
  EXPECT_EQ(string_at(*record, {"process", "executable", "path"}), "/bin/x");
  EXPECT_FALSE(record->contains("threads"));
  write("crashes/0001-x.json", crash_json("0002-y", ""));
  EXPECT_THAT(record_of(path, crash).error().message, HasSubstr("no record"));
  write("crashes/0001-x.json", "{");
  EXPECT_FALSE(record_of(path, crash));
}

TEST_F(ResultFolder, TextAndCoreAreFound) {
  const ListedCrash crash = only_crash("a", "crashes/a.core");
  write("crashes/a.txt", "text");
  write("crashes/a.core", "core");
  EXPECT_EQ(*text_of(path, crash), "text");
  EXPECT_EQ(*core_of(path, crash), path + "/crashes/a.core");
}

}  // namespace
}  // namespace crashcrawler
