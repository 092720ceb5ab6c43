// A run goes into a file and comes back, whole or cut.
#include "runner/capture/recording.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "runner/base/file.h"
#include "runner/capture/messages.h"
#include "runner/capture/recorded_source.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/capture/records.h"

namespace crashcrawler {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr cc_key kOther{4712, 0, 2'000'000};

std::string message(uint16_t type, std::string_view text) {
  const MessageHeader header{type, kProtocolVersion,
                             static_cast<uint32_t>(sizeof header + text.size())};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header).append(text);
}

std::string ready() {
  return message(static_cast<uint16_t>(ProbeMessage::ready), "/cgroup\n4242\nno map here");
}

std::string end_of_run(uint64_t lost_crashes) {
  EndMessage end{};
  end.header = {static_cast<uint16_t>(ProbeMessage::end), kProtocolVersion, sizeof end};
  end.counters.lost_crashes = lost_crashes;
  return bytes_of(end);
}

Session sample_session() {
  Session session;
  session.command = {{"ctest", "", "two words", "\xff\x80 not UTF-8 \xc3", "ü\n\x01"}, "/home/ü"};
  session.system = {"Linux", "6.18", "x86_64", "Debian \"12\"", 2, "image"};
  session.inherited = {{{"LANG", "\xff"}}, {{"stack", 8 << 20, std::nullopt}}, false};
  session.backend = "bpf";
  session.soft_errors = {"something was missing"};
  RunOutcome& outcome = session.outcome;
  outcome.started = std::chrono::system_clock::time_point(1'700'000'000'123'456'789ns);
  outcome.duration = 5'000'000'001ns;
  outcome.exit_code = 8;
  outcome.leftovers = {{77, "daemon", {"daemon", "-d"}}, {78, "\xfe", {}}};
  outcome.interrupted = true;
  return session;
}

constexpr Circumstances kCircumstances{4000, 1'600'000'000s};

class RecordingTest : public testing::Test {
 protected:
  // The bytes of a whole recording.
  std::string recorded(const std::string& messages, const Session& session,
                       const std::string& not_captured = "") {
    Result<Recording> recording = Recording::create(path_, session, kCircumstances);
    EXPECT_TRUE(recording) << recording.error().message;
    recording->append(messages);
    const Result<void> ended = recording->end(session, not_captured);
    EXPECT_TRUE(ended) << ended.error().message;
    return *read_file(path_);
  }

  Result<RecordedSource> open(const std::string& bytes) {
    return RecordedSource::open(folder_.write("replayed", bytes));
  }

  Replayed replayed(const std::string& bytes) {
    Result<RecordedSource> source = open(bytes);
    EXPECT_TRUE(source) << source.error().message;
    return source ? source->finish() : Replayed();
  }

  std::string refused(const std::string& bytes) {
    const Result<RecordedSource> source = open(bytes);
    return source ? "accepted" : source.error().message;
  }

  TemporaryDirectory folder_;
  std::string path_ = folder_.path() + "/recording";
};

TEST_F(RecordingTest, TheCollectorIsTheOneThatItCameToInTheEnd) {
  Session session = sample_session();
  Result<Recording> recording = Recording::create(path_, session, {});
  ASSERT_TRUE(recording);
  recording->append(ready() + end_of_run(0));
  session.backend = "ptrace";
  ASSERT_TRUE(recording->end(session, ""));
  Result<RecordedSource> source = RecordedSource::open(path_);
  ASSERT_TRUE(source);
  EXPECT_EQ(source->finish().session.backend, "ptrace");
}

TEST_F(RecordingTest, TheRunComesBackAsItWas) {
  const Session was = sample_session();
  const auto [session, captured] = replayed(recorded(ready() + end_of_run(0), was));

  EXPECT_EQ(session.command.arguments, was.command.arguments);
  EXPECT_EQ(session.command.working_directory, was.command.working_directory);
  EXPECT_EQ(session.system.os, was.system.os);
  EXPECT_EQ(session.system.kernel, was.system.kernel);
  EXPECT_EQ(session.system.cpu_arch, was.system.cpu_arch);
  EXPECT_EQ(session.system.os_release, was.system.os_release);
  EXPECT_EQ(session.system.cpu_count, was.system.cpu_count);
  EXPECT_EQ(session.system.container_image, was.system.container_image);
  ASSERT_TRUE(session.inherited);
  EXPECT_EQ(session.inherited->environment.at(0).value, "\xff");
  EXPECT_EQ(session.inherited->limits.at(0).soft, 8u << 20);
  EXPECT_EQ(session.inherited->limits.at(0).hard, std::nullopt);
  EXPECT_FALSE(session.inherited->randomizes_addresses);
  EXPECT_EQ(session.backend, was.backend);
  EXPECT_EQ(session.soft_errors, was.soft_errors);
  EXPECT_EQ(session.outcome.started, was.outcome.started);
  EXPECT_EQ(session.outcome.duration, was.outcome.duration);
  EXPECT_EQ(session.outcome.exit_code, 8);
  EXPECT_EQ(session.outcome.signal, 0);
  EXPECT_TRUE(session.outcome.interrupted);
  ASSERT_THAT(session.outcome.leftovers, SizeIs(2));
  EXPECT_EQ(session.outcome.leftovers[0].pid, 77);
  EXPECT_EQ(session.outcome.leftovers[0].name, "daemon");
  EXPECT_THAT(session.outcome.leftovers[0].arguments, ElementsAre("daemon", "-d"));
  EXPECT_EQ(session.outcome.leftovers[1].name, "\xfe");
}

TEST_F(RecordingTest, ATimeOutComesBack) {
  Session was = sample_session();
  EXPECT_FALSE(replayed(recorded(ready() + end_of_run(0), was)).session.outcome.timed_out);
  was.outcome.timed_out = 1'500ms;
  EXPECT_EQ(replayed(recorded(ready() + end_of_run(0), was)).session.outcome.timed_out, 1'500ms);
}

TEST_F(RecordingTest, SoDoItsCrashesAndWhatTheProbeSaid) {
  const std::string train =
      process_record() + process_record(6, kOther) + exit_record(6, kOther) + exit_record();
  const Captured captured =
      replayed(recorded(ready() + train + end_of_run(3), sample_session())).captured;

  ASSERT_THAT(captured.crashes, SizeIs(2));
  EXPECT_EQ(captured.crashes[0].pid, 4711);
  EXPECT_EQ(captured.crashes[0].signal.number, 11);
  EXPECT_EQ(captured.crashes[0].time, std::chrono::system_clock::time_point(1'600'000'000s));
  EXPECT_EQ(captured.crashes[1].signal.number, 6);
  EXPECT_EQ(captured.wrapper_pid, 4000);
  EXPECT_EQ(captured.probe_pid, 4242);
  EXPECT_TRUE(captured.health.complete);
  EXPECT_EQ(captured.health.lost_crashes, 3u);
  EXPECT_THAT(captured.health.degraded, ElementsAre("no map here"));
}

TEST_F(RecordingTest, TheMappedFilesAreOpenedAsTheyAreNow) {
  const std::string program = folder_.write("program", "code");
  const timespec old[2] = {};  // older than the crash of the records
  ASSERT_EQ(::utimensat(AT_FDCWD, program.c_str(), old, 0), 0);
  struct stat status {};
  ASSERT_EQ(::stat(program.c_str(), &status), 0);
  std::string components;  // deepest first, each with its NUL
  const std::filesystem::path path(program);
  for (auto part = path.end(); part != std::next(path.begin());) {
    components += (--part)->string() + '\0';
  }
  const uint32_t device = major(status.st_dev) << 20 | minor(status.st_dev);
  const std::string bytes = recorded(
      ready() + process_record() + path_record(CC_PATH_MAPPING, components, device, status.st_ino) +
          mapping_record(0x1000, 0x2000, device, status.st_ino) + exit_record() + end_of_run(0),
      sample_session());

  const Captured there = replayed(bytes).captured;
  ASSERT_THAT(there.files, SizeIs(1));
  EXPECT_TRUE(there.files.begin()->second.fd);

  std::filesystem::remove(program);
  const Captured gone = replayed(bytes).captured;
  ASSERT_THAT(gone.files, SizeIs(1));
  EXPECT_FALSE(gone.files.begin()->second.fd);
  EXPECT_THAT(gone.files.begin()->second.error, HasSubstr("No such file"));
}

TEST_F(RecordingTest, ARunWithoutCaptureStaysOne) {
  const Captured captured = replayed(recorded("", sample_session(), "no BTF \xff")).captured;

  EXPECT_FALSE(captured.health.complete);
  EXPECT_THAT(captured.health.degraded, ElementsAre(HasSubstr("no BTF \xff")));
}

TEST_F(RecordingTest, ACollectorThatDiedIsNoCutRecording) {
  const Captured captured =
      replayed(recorded(ready() + process_record(), sample_session())).captured;

  EXPECT_FALSE(captured.health.complete);
  EXPECT_THAT(captured.health.degraded,
              ElementsAre("no map here", HasSubstr("the collector ended before the run did")));
}

TEST_F(RecordingTest, TextsLongerThanAMessageAreKeptWhole) {
  Session session = sample_session();
  session.command.arguments.assign(30, std::string(100'000, 'x'));
  session.soft_errors.assign(30, std::string(100'000, 'y'));
  const Session replay = replayed(recorded(ready() + end_of_run(0), session)).session;

  EXPECT_EQ(replay.command.arguments, session.command.arguments);
  EXPECT_EQ(replay.soft_errors, session.soft_errors);
}

// Where to cut `whole`: at the end of each message, beside it, and in the middle of the next.
std::set<size_t> cuts_of(const std::string& whole) {
  std::set<size_t> cuts = {0, 1, kRecordingMagic.size() - 1};
  std::string_view rest = std::string_view(whole).substr(kRecordingMagic.size());
  while (!rest.empty()) {
    const size_t at = whole.size() - rest.size();
    const size_t size = take_message(rest).size();
    cuts.insert({at, at + 1, at + sizeof(MessageHeader), at + size / 2, at + size - 1});
  }
  return cuts;
}

TEST_F(RecordingTest, AFileThatIsCutAnywhereIsRefusedOrMarked) {
  const std::string probe = ready() + process_record() + exit_record() + end_of_run(0);
  const std::string whole = recorded(probe, sample_session());
  const size_t begin = whole.find(ready());
  ASSERT_NE(begin, whole.npos);
  const size_t complete = begin + probe.size() - end_of_run(0).size();
  for (const size_t cut : cuts_of(whole)) {
    Result<RecordedSource> source = open(whole.substr(0, cut));
    ASSERT_EQ(static_cast<bool>(source), cut >= begin) << cut;
    if (!source) {
      EXPECT_THAT(source.error().message, HasSubstr(folder_.path() + "/replayed"));
      continue;
    }
    const auto [session, captured] = source->finish();
    EXPECT_FALSE(captured.health.complete) << cut;
    EXPECT_THAT(captured.health.degraded, Contains(HasSubstr("the recording is cut"))) << cut;
    EXPECT_EQ(session.command.arguments, sample_session().command.arguments);
    EXPECT_GT(session.outcome.started, sample_session().outcome.started) << "when it was begun";
    const bool has_process = cut >= begin + ready().size() + process_record().size();
    ASSERT_EQ(captured.crashes.size(), has_process ? 1u : 0u) << cut;
    if (has_process) {
      EXPECT_EQ(captured.crashes[0].has_exit, cut >= complete) << "as far as it came";
    }
  }
}

TEST_F(RecordingTest, WhatIsNoRecordingIsRefused) {
  EXPECT_THAT(refused(""), HasSubstr("is no recording"));
  EXPECT_THAT(refused("crash"), HasSubstr("is no recording"));
  EXPECT_THAT(refused(std::string(4096, '\0')), HasSubstr("is no recording"));
  EXPECT_THAT(refused("\177ELF"), HasSubstr("is no recording"));
  EXPECT_THAT(refused("crashcrawler-recording 2\n"), HasSubstr("of another format"));
  EXPECT_THAT(refused("crashcrawler-recording 10\n"), HasSubstr("of another format"));
  EXPECT_THAT(refused(std::string(kRecordingMagic)), HasSubstr("does not say what was run"));
}

TEST_F(RecordingTest, WhatCannotBeReadIsSaid) {
  const auto why = [](const std::string& path) {
    const Result<RecordedSource> source = RecordedSource::open(path);
    return source ? "accepted" : source.error().message;
  };
  EXPECT_THAT(why(folder_.path() + "/none"), HasSubstr("none: No such file"));
  EXPECT_THAT(why(folder_.path()), HasSubstr("is not a regular file"));
  EXPECT_THAT(why("/dev/zero"), HasSubstr("is not a regular file"));
}

TEST_F(RecordingTest, RecordsOfAnotherLayoutAreRefused) {
  std::string bytes = recorded(ready() + end_of_run(0), sample_session());
  const std::string version = "\"record_version\":" + std::to_string(CC_RECORD_VERSION);
  const size_t at = bytes.find(version);
  ASSERT_NE(at, bytes.npos);
  bytes[at + version.size() - 1] = '0';

  EXPECT_THAT(refused(bytes), HasSubstr("its records have layout"));
}

// Each message of a recording once with a size that cannot be.
TEST_F(RecordingTest, HostileSizesEndTheFileAndAreMarked) {
  const std::string probe = ready() + process_record() + exit_record() + end_of_run(0);
  const std::string whole = recorded(probe, sample_session());
  std::string_view rest(whole);
  rest.remove_prefix(kRecordingMagic.size());
  while (!rest.empty()) {
    const size_t at = whole.size() - rest.size();
    take_message(rest);
    for (const uint32_t size : {0u, 7u, kMaxMessageBytes + 1, 0xffffffffu}) {
      std::string bytes = whole;
      std::memcpy(bytes.data() + at + offsetof(MessageHeader, size), &size, sizeof size);
      Result<RecordedSource> source = open(bytes);
      ASSERT_EQ(static_cast<bool>(source), at > kRecordingMagic.size());
      if (source) {
        EXPECT_THAT(source->finish().captured.health.degraded,
                    Contains(HasSubstr("the recording is cut or damaged")));
      }
    }
  }
}

TEST_F(RecordingTest, HostileTextsAreRefused) {
  const std::string magic(kRecordingMagic);
  const std::string run = run_to_text(sample_session(), kCircumstances);
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string text = run;
    const size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    return magic + message(kRunMessage, text.replace(at, from.size(), to));
  };
  EXPECT_THAT(refused(magic + message(kRunMessage, "")), HasSubstr("does not say what was run"));
  EXPECT_THAT(refused(magic + message(kRunMessage, "[]")), HasSubstr("does not say what was run"));
  EXPECT_THAT(refused(magic + message(kRunMessage, std::string(60'000, '['))),
              HasSubstr("does not say what was run"));
  EXPECT_THAT(refused(changed("\"wrapper_pid\":4000", "\"wrapper_pid\":1e300")),
              HasSubstr("does not say"));
  EXPECT_THAT(refused(changed("\"wrapper_pid\":4000", "\"wrapper_pid\":18446744073709551615")),
              HasSubstr("does not say"));
  EXPECT_THAT(refused(changed("\"cpu_count\":2", "\"cpu_count\":-1")), HasSubstr("does not say"));
  EXPECT_THAT(refused(changed("\"backend\":\"bpf\"", "\"backend\":[]")), HasSubstr("does not say"));

  std::string endless = magic;
  for (int i = 0; i < 600; ++i) {  // 36 MiB of them
    endless += message(kRunMessage, std::string(kMaxTextBytes, ' '));
  }
  EXPECT_THAT(refused(endless), HasSubstr("does not say"));
}

TEST_F(RecordingTest, AnOutcomeThatCannotBeIsMarked) {
  const std::string begun = std::string(kRecordingMagic) +
                            message(kRunMessage, run_to_text(sample_session(), kCircumstances)) +
                            ready() + end_of_run(0);
  Session impossible = sample_session();
  impossible.outcome.exit_code = 0x7fffffff;
  for (const std::string& outcome :
       {outcome_to_text(impossible, ""), std::string("{}"), std::string("null")}) {
    const auto [session, captured] = replayed(begun + message(kOutcomeMessage, outcome));
    EXPECT_FALSE(captured.health.complete);
    EXPECT_EQ(session.outcome.exit_code, 0);
  }
}

TEST_F(RecordingTest, TheFileIsForItsOwnerAlone) {
  folder_.write("recording", std::string(100'000, 'o'));
  std::filesystem::permissions(path_, std::filesystem::perms(0666));
  recorded("", sample_session());

  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_LT(status.st_size, 100'000) << "the old content is gone";
}

TEST_F(RecordingTest, AFileThatCannotBeWrittenIsAnErrorAtOnce) {
  const auto why = [](const std::string& path) {
    const Result<Recording> recording = Recording::create(path, {}, {});
    return recording ? "created" : recording.error().message;
  };
  EXPECT_THAT(why(folder_.path() + "/no/such/folder"), HasSubstr("No such file"));
  EXPECT_THAT(why(folder_.path()), HasSubstr(folder_.path()));
  EXPECT_THAT(why("/dev/full"), HasSubstr("is not a regular file"));
  ASSERT_EQ(::mkfifo((folder_.path() + "/fifo").c_str(), 0600), 0);
  EXPECT_THAT(why(folder_.path() + "/fifo"), HasSubstr("cannot create"));
}

TEST_F(RecordingTest, ADiskThatFillsUpIsToldAtTheEndAndEndsNobody) {
  Result<Recording> recording = Recording::create(path_, sample_session(), kCircumstances);
  ASSERT_TRUE(recording);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 2000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  for (int i = 0; i < 100; ++i) {
    recording->append(process_record());
  }
  const Result<void> ended = recording->end(sample_session(), "");
  ::setrlimit(RLIMIT_FSIZE, &before);

  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().message, HasSubstr("the recording is cut: cannot write " + path_));
  const Captured captured = replayed(*read_file(path_)).captured;
  EXPECT_FALSE(captured.health.complete);
  EXPECT_THAT(captured.crashes, SizeIs(1)) << "what had been written";
}

TEST_F(RecordingTest, OneThatKeepsNothingNeverFails) {
  Recording nothing;
  nothing.append(process_record());
  EXPECT_TRUE(nothing.end(sample_session(), ""));
}

}  // namespace
}  // namespace crashcrawler
