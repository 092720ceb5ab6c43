// The scripts are run: what arrives at the program is compared byte for byte.
#include "runner/report/repro_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "runner/base/file.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using testing::Not;

// Every byte that an argument may have, and what shells care for.
std::vector<std::string> nasty_words() {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  return {all,
          "",
          "'",
          "''",
          "a'b\"c",
          "$(touch pwned)",
          "`touch pwned`",
          "${HOME}",
          "\\",
          "\\'",
          "\n",
          "a\nb\n",
          "\r\n",
          "*",
          "~",
          "-n",
          "--",
          "# no comment",
          "; touch pwned",
          "&& touch pwned",
          "\xff\xfe",
          "'; touch pwned; '",
          "!!",
          "\x81\x82'\x88",
          "\xf0\x9f\x92\xa5"};
}

class ReproScript : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    session_ = quiet_session();
    session_.command.working_directory = folder_.path();
    session_.inherited.emplace();
    crash_ = null_write();
  }

  // What the script writes under the shell of the test.
  std::string output(const std::string& argument = "") {
    const std::string path = folder_.path() + "/a.repro.sh";
    EXPECT_TRUE(write_file_atomically(path, repro_script(crash_, session_)));
    FILE* pipe =
        ::popen((std::string(GetParam()) + " " + path + " " + argument + " 2>&1").c_str(), "r");
    std::string text;
    for (int letter = std::fgetc(pipe); letter != EOF; letter = std::fgetc(pipe)) {
      text += static_cast<char>(letter);
    }
    status_ = WEXITSTATUS(::pclose(pipe));
    EXPECT_NE(::access((folder_.path() + "/pwned").c_str(), F_OK), 0);
    return text;
  }

  // A command that writes its arguments, each with a newline and a zero after it.
  void run_with(const std::vector<std::string>& words) {
    session_.command.arguments = {"sh", "-c", "for word; do printf '%s\\n\\0' \"$word\"; done",
                                  "sh"};
    session_.command.arguments.insert(session_.command.arguments.end(), words.begin(), words.end());
  }

  static std::string expected(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
      text += word + "\n" + std::string(1, '\0');
    }
    return text;
  }

  TemporaryDirectory folder_;
  Session session_;
  CrashReport crash_;
  int status_ = 0;
};

TEST_P(ReproScript, HandsOnEveryByteOfArguments) {
  run_with(nasty_words());
  EXPECT_EQ(output(), expected(nasty_words()));
  EXPECT_EQ(status_, 0);
}

TEST_P(ReproScript, HandsOnEveryByteOfVariablesAndFolders) {
  for (const std::string& word : nasty_words()) {
    session_.inherited->environment = {{"LANG", word}, {"PWD", "/nowhere"}};
    session_.command.arguments = {"/bin/sh", "-c", "printf %s \"$LANG\"; pwd"};
    EXPECT_EQ(output(), word + folder_.path() + "\n");
  }
  const std::string odd = folder_.path() + "/'$(touch pwned)\n`touch pwned`\xff";
  ASSERT_EQ(::mkdir(odd.c_str(), 0700), 0);
  session_.inherited->environment.clear();
  session_.command = {{"pwd", "-P"}, odd};
  EXPECT_EQ(output(), odd + "\n");
}

TEST_P(ReproScript, ExecutesNothingOfItsComments) {
  crash_.raw.signal = {};
  crash_.abort_message = "\ntouch pwned\n$(touch pwned)\r\ntouch pwned";
  crash_.alone = {"\ntouch pwned\n", {"echo", "alone"}};
  EXPECT_EQ(output(), "alone\n");
}

TEST_P(ReproScript, RunsTheTestAloneAllOrTheProcess) {
  session_.command.arguments = {"echo", "all"};
  EXPECT_EQ(output(), "all\n");
  crash_.alone = {"Suite.Test", {"echo", "alone"}};
  EXPECT_EQ(output(), "alone\n");
  EXPECT_EQ(output("--all"), "all\n");
  crash_.raw.executable = "/bin/echo";
  crash_.raw.arguments = {"argv0", "process"};
  crash_.raw.working_directory = folder_.path();
  EXPECT_EQ(output("--process"), "process\n");
  output("--other");
  EXPECT_EQ(status_, 2);
}

TEST_P(ReproScript, OfAProcessHasItsOwnVariables) {
  session_.inherited->environment = {{"LANG", "run"}};
  crash_.raw.environment = {{"LANG", "process"}};
  crash_.raw.executable = "/bin/sh";
  crash_.raw.arguments = {"sh", "-c", "echo $LANG"};
  crash_.raw.working_directory = "/";
  EXPECT_EQ(output("--process"), "process\n");
  crash_.raw.soft_errors = {"the argument list is longer than what was kept of it"};
  EXPECT_EQ(output("--process"), "not all of its arguments are known\nprocess\n");
  crash_.raw.executable.clear();
  EXPECT_THAT(output("--process"), HasSubstr("not known"));
  EXPECT_EQ(status_, 2);
}

TEST_P(ReproScript, SaysThatTheFolderIsGone) {
  session_.command = {{"echo", "started"}, "/nowhere/at/all"};
  EXPECT_THAT(output(), Not(HasSubstr("started")));
  EXPECT_EQ(status_, 2);
}

TEST_P(ReproScript, SetsUnusualLimits) {
  session_.inherited->limits = {
      {"nofile", 77, 1000}, {"stack", 8 << 20, std::nullopt}, {"cpu", std::nullopt, {}}};
  session_.command.arguments = {"/bin/sh", "-c", "ulimit -S -n"};
  EXPECT_EQ(output(), "77\n");
  EXPECT_THAT(repro_script(crash_, session_), Not(HasSubstr("ulimit -S -s")));
  EXPECT_THAT(repro_script(crash_, session_), Not(HasSubstr("ulimit -S -t")));
  session_.inherited->limits = {{"nofile", uint64_t{1} << 40, std::nullopt}};
  session_.command.arguments = {"echo", "started"};
  EXPECT_THAT(output(), testing::AllOf(HasSubstr("not as it was: nofile"), HasSubstr("started")));
}

TEST_P(ReproScript, KeepsAddressesWhereTheyWere) {
  session_.inherited->randomizes_addresses = false;
  session_.command.arguments = {"cat", "/proc/self/personality"};
  EXPECT_EQ(output(), "00040000\n");
}

TEST_P(ReproScript, HasTheSettingsOfChaos) {
  session_.repetition.emplace();
  session_.repetition->seed = 5;
  session_.repetition->attempts.resize(2);
  ChaosSettings& chaos = session_.repetition->attempts[1].chaos.emplace();
  session_.repetition->attempts[1].number = crash_.raw.attempt = 2;
  chaos.number = 18;
  chaos.malloc_perturb = 77;
  chaos.randomize_addresses = false;
  session_.command.arguments = {"sh", "-c", "echo $MALLOC_PERTURB_; cat /proc/self/personality"};
  EXPECT_EQ(output(), "77\n00040000\n");
  EXPECT_THAT(repro_script(crash_, session_),
              HasSubstr("--chaos=5:18 -- ./" + crash_.id + ".repro.sh"));
}

INSTANTIATE_TEST_SUITE_P(Shells, ReproScript, testing::Values("dash", "bash", "bash --posix"));

TEST(ReproScripts, AreArtifacts) {
  TemporaryDirectory folder;
  Session session = quiet_session();
  session.crashes = {null_write()};
  write_repro_scripts(session, folder.path());
  ASSERT_EQ(session.crashes[0].artifacts.size(), 1u);
  const Artifact& artifact = session.crashes[0].artifacts[0];
  EXPECT_EQ(artifact.type, "repro_script");
  EXPECT_EQ(artifact.path, "crashes/" + session.crashes[0].id + ".repro.sh");
  struct stat status {};
  ASSERT_EQ(::stat((folder.path() + "/" + artifact.path).c_str(), &status), 0);
  EXPECT_EQ(static_cast<uint64_t>(status.st_size), artifact.size);
  EXPECT_EQ(status.st_mode & 0777, 0755u);
  EXPECT_EQ(artifact.sha256.size(), 64u);
}

TEST(ReproScripts, ThatCannotBeWrittenAreSaid) {
  Session session = quiet_session();
  session.crashes = {null_write()};
  write_repro_scripts(session, "/proc");
  EXPECT_TRUE(session.crashes[0].artifacts.empty());
  EXPECT_THAT(session.crashes[0].soft_errors,
              testing::ElementsAre(HasSubstr("there is no repro.sh: ")));
}

}  // namespace
}  // namespace crashcrawler
