// The wrapper's end of the socket, with the test as the probe at the other end.
#include "runner/capture/bpf_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "runner/base/file.h"
#include "runner/capture/probe_protocol.h"
#include "runner/capture/recorded_source.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/capture/records.h"

namespace crashcrawler {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class FakeProbe {
 public:
  FakeProbe() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near_.reset(ends[0]);
    far_.reset(ends[1]);
  }

  // The source at the other end. What it records goes nowhere, or to `recording`.
  Result<BpfSource> begin() { return begin(nothing_); }
  Result<BpfSource> begin(Recording& recording) {
    return BpfSource::begin(std::move(far_), 42, {}, {4711, {}}, recording);
  }
  void hang_up() { near_.reset(); }

  void send(std::string_view bytes) const {
    ASSERT_EQ(::send(near_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void send_text(ProbeMessage type, std::string_view text) const {
    const MessageHeader header{static_cast<uint16_t>(type), kProtocolVersion,
                               static_cast<uint32_t>(sizeof(MessageHeader) + text.size())};
    send({reinterpret_cast<const char*>(&header), sizeof header});
    send(text);
  }
  void send_end(uint64_t lost_crashes) const {
    EndMessage end{};
    end.header = {static_cast<uint16_t>(ProbeMessage::end), kProtocolVersion, sizeof end};
    end.counters.lost_crashes = lost_crashes;
    send({reinterpret_cast<const char*>(&end), sizeof end});
  }
  template <typename Message>
  Message receive() const {
    Message message{};
    EXPECT_EQ(::recv(near_.get(), &message, sizeof message, MSG_WAITALL),
              static_cast<ssize_t>(sizeof message));
    return message;
  }

 private:
  UniqueFd near_, far_;
  Recording nothing_;
};

TEST(BpfSource, ATracerIsToldWhenAllHasBeenTaken) {
  FakeProbe tracer;
  tracer.send_text(ProbeMessage::ready, "\n4242\n");
  Result<BpfSource> source = tracer.begin();
  ASSERT_TRUE(source) << source.error().message;
  tracer.receive<BeginMessage>();
  tracer.send(process_record());
  tracer.send(exit_record());
  tracer.send_text(ProbeMessage::check, "");
  EXPECT_EQ(tracer.receive<PlainMessage>().header.type, static_cast<uint16_t>(ProbeMessage::taken));
  tracer.send_text(ProbeMessage::note, "it had no more rights");
  tracer.send_end(0);
  const Captured captured = source->finish();
  EXPECT_EQ(captured.crashes.size(), 1u);
  EXPECT_TRUE(captured.health.complete);
  EXPECT_THAT(captured.soft_errors, ElementsAre("it had no more rights"));
}

TEST(BpfSource, ATracerLooksAtTheTree) {
  FakeProbe tracer;
  tracer.send_text(ProbeMessage::ready, "\n4242\n");
  Result<BpfSource> source = tracer.begin();
  ASSERT_TRUE(source) << source.error().message;
  tracer.receive<BeginMessage>();
  std::thread answer([&] {
    EXPECT_EQ(tracer.receive<PlainMessage>().header.type,
              static_cast<uint16_t>(ProbeMessage::look));
    tracer.send_text(ProbeMessage::looked, "one did not stop\nanother neither\n");
  });
  EXPECT_THAT(source->look_at_tree(), ElementsAre("one did not stop", "another neither"));
  answer.join();
  tracer.hang_up();
  EXPECT_THAT(source->look_at_tree(), ElementsAre(HasSubstr("did not look")));
}

TEST(BpfSource, HandsOutTheCrashesOfTheRun) {
  FakeProbe probe;
  probe.send_text(ProbeMessage::ready, "/sys/fs/cgroup/run\n4242\nno map here");
  Result<BpfSource> source = probe.begin();
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ(source->cgroup(), "/sys/fs/cgroup/run");
  EXPECT_EQ(probe.receive<BeginMessage>().held_pid, 42);

  source->kill_tree();
  EXPECT_EQ(probe.receive<PlainMessage>().header.type,
            static_cast<uint16_t>(ProbeMessage::kill_tree));
  probe.send(process_record());
  probe.send(exit_record());
  probe.send_end(2);
  const Captured captured = source->finish();

  ASSERT_EQ(captured.crashes.size(), 1u);
  EXPECT_EQ(captured.probe_pid, 4242);
  EXPECT_EQ(captured.wrapper_pid, 4711);
  EXPECT_TRUE(captured.health.complete);
  EXPECT_EQ(captured.health.lost_crashes, 2u);
  EXPECT_THAT(captured.health.degraded, ElementsAre("no map here"));
}

// They are among the others where they are recorded and where they are assembled.
TEST(BpfSource, TakesRecordsFromElsewhere) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/recording";
  Result<Recording> recording = Recording::create(path, {}, {});
  ASSERT_TRUE(recording) << recording.error().message;
  FakeProbe probe;
  probe.send_text(ProbeMessage::ready, "/cgroup");
  Result<BpfSource> source = probe.begin(*recording);
  ASSERT_TRUE(source);
  constexpr cc_key kOther{4712, 0, 2'000'000};
  source->add(process_record(6, kOther));
  source->add(exit_record(6, kOther));
  probe.send(process_record());
  probe.send(exit_record());
  probe.send_end(0);
  const Captured captured = source->finish();

  ASSERT_EQ(captured.crashes.size(), 2u);
  EXPECT_THAT(*read_file(path), HasSubstr(process_record(6, kOther) + exit_record(6, kOther)));
  for (const RawCrash& crash : captured.crashes) {
    EXPECT_TRUE(crash.soft_errors == captured.crashes[0].soft_errors) << crash.pid;
    EXPECT_TRUE(crash.has_exit);
  }
}

// The records of both sides meet in any order, and a replay must not see another one.
TEST(BpfSource, WhatIsRecordedHasTheOrderOfWhatIsAssembled) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/recording";
  Result<Recording> recording = Recording::create(path, {}, {});
  ASSERT_TRUE(recording) << recording.error().message;
  FakeProbe probe;
  probe.send_text(ProbeMessage::ready, "/cgroup");
  Result<BpfSource> source = probe.begin(*recording);
  ASSERT_TRUE(source);
  constexpr __u32 kEach = 200;
  std::thread elsewhere([&source] {
    for (__u32 i = 0; i < kEach; ++i) {
      source->add(process_record(11, {5000 + i, 0, 1}));
    }
  });
  for (__u32 i = 0; i < kEach; ++i) {
    probe.send(process_record(11, {6000 + i, 0, 1}));
  }
  elsewhere.join();
  probe.send_end(0);
  const Captured captured = source->finish();
  ASSERT_TRUE(recording->end({}, ""));

  Result<RecordedSource> recorded = RecordedSource::open(path);
  ASSERT_TRUE(recorded) << recorded.error().message;
  const Captured replayed = recorded->finish().captured;
  ASSERT_EQ(captured.crashes.size(), 2 * kEach);
  ASSERT_EQ(replayed.crashes.size(), 2 * kEach);
  for (size_t i = 0; i < captured.crashes.size(); ++i) {
    ASSERT_EQ(replayed.crashes[i].pid, captured.crashes[i].pid) << i;
  }
}

TEST(BpfSource, MessagesMayArriveInAnyPieces) {
  FakeProbe probe;
  probe.send_text(ProbeMessage::ready, "/cgroup");
  Result<BpfSource> source = probe.begin();
  ASSERT_TRUE(source);
  const std::string stream = process_record() + exit_record();
  for (size_t i = 0; i < stream.size(); i += 7) {
    probe.send(std::string_view(stream).substr(i, 7));
  }
  probe.send_end(0);

  EXPECT_EQ(source->finish().crashes.size(), 1u);
}

TEST(BpfSource, TheReasonOfTheProbeIsTheError) {
  FakeProbe probe;
  probe.send_text(ProbeMessage::failed, "no cgroup2; mount one");
  const Result<BpfSource> source = probe.begin();

  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().message, "no cgroup2; mount one");
}

TEST(BpfSource, AProbeThatSaysNothingIsAnError) {
  FakeProbe probe;
  probe.hang_up();

  EXPECT_FALSE(probe.begin());
}

TEST(BpfSource, AProbeThatDiesInTheMiddleOfARecordLosesNothingSilently) {
  FakeProbe probe;
  probe.send_text(ProbeMessage::ready, "/cgroup");
  Result<BpfSource> source = probe.begin();
  ASSERT_TRUE(source);
  probe.send(process_record());
  probe.send(std::string_view(exit_record()).substr(0, 30));
  probe.hang_up();
  const Captured captured = source->finish();

  EXPECT_FALSE(captured.health.complete);
  EXPECT_EQ(captured.crashes.size(), 1u);
  EXPECT_FALSE(captured.crashes[0].soft_errors.empty());
  EXPECT_THAT(captured.health.degraded, Contains(HasSubstr("ended before the run did")));
}

TEST(BpfSource, AnAbsurdSizeEndsTheStreamInsteadOfTheProgram) {
  FakeProbe probe;
  probe.send_text(ProbeMessage::ready, "/cgroup");
  Result<BpfSource> source = probe.begin();
  ASSERT_TRUE(source);
  const MessageHeader absurd{CC_RECORD_PROCESS, CC_RECORD_VERSION, 0xffffffff};
  probe.send({reinterpret_cast<const char*>(&absurd), sizeof absurd});

  EXPECT_FALSE(source->finish().health.complete);
}

TEST(BpfSource, WhatTheProbeSaysIsOnDiskBeforeTheRunIsOver) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/recording";
  Result<Recording> recording = Recording::create(path, {}, {});
  ASSERT_TRUE(recording) << recording.error().message;
  const std::string before = *read_file(path);
  FakeProbe probe;
  probe.send_text(ProbeMessage::ready, "/cgroup");
  {
    Result<BpfSource> source = probe.begin(*recording);
    ASSERT_TRUE(source);
    probe.send(process_record());
    probe.send(exit_record());
    probe.send_end(0);
    EXPECT_EQ(source->finish().crashes.size(), 1u);
  }
  const std::string after = *read_file(path);

  ASSERT_TRUE(after.starts_with(before));
  EXPECT_EQ(after.size() - before.size(), sizeof(MessageHeader) + 7 + process_record().size() +
                                              exit_record().size() + sizeof(EndMessage));
  EXPECT_THAT(after, HasSubstr(process_record() + exit_record()));
}

}  // namespace
}  // namespace crashcrawler
