#include "runner/capture/crash_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/capture/records.h"

namespace crashcrawler {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> whole_train() {
  return {process_record(),
          path_record(CC_PATH_EXE, "victim\0bin\0usr\0"s),
          path_record(CC_PATH_CWD, ""),
          bytes_record(CC_BYTES_ARGV, 0, 0x7000, "victim\0x"s),
          thread_record(4711, true, 0x7ffe1010),
          bytes_record(CC_BYTES_STACK, 4711, 0x7ffe1000, std::string(4096, 'a')),
          bytes_record(CC_BYTES_STACK, 4711, 0x7ffe2000, std::string(4096, 'b')),
          thread_record(4712, false, 0x7f001000),
          bytes_record(CC_BYTES_STACK, 4712, 0x7f001000, "other"),
          path_record(CC_PATH_MAPPING, "victim\0bin\0usr\0"s, 8 << 20 | 1, 77, CC_PATH_DELETED),
          mapping_record(0x401000, 0x402000, 8 << 20 | 1, 77),
          mapping_record(0x400000, 0x401000, 8 << 20 | 1, 77),
          exit_record()};
}

std::vector<RawCrash> assemble(const std::vector<std::string>& records) {
  CrashAssembler assembler([](RawCrash&) {}, {});
  for (const std::string& record : records) {
    assembler.feed(record);
  }
  return assembler.take();
}

TEST(CrashAssembler, AWholeTrainBecomesOneCrashWithNothingMissing) {
  const std::vector<RawCrash> crashes = assemble(whole_train());

  ASSERT_EQ(crashes.size(), 1u);
  const RawCrash& crash = crashes[0];
  EXPECT_THAT(crash.soft_errors, IsEmpty());
  EXPECT_EQ(crash.pid, 4711);
  EXPECT_EQ(crash.name, "victim");
  EXPECT_EQ(crash.signal.number, 11);
  EXPECT_EQ(crash.signal.code, 1);
  EXPECT_EQ(crash.signal.fault_address, 0xbeefu);
  EXPECT_EQ(crash.executable, "/usr/bin/victim");
  EXPECT_EQ(crash.working_directory, "/");
  EXPECT_THAT(crash.arguments, ElementsAre("victim", "x"));
  EXPECT_THAT(crash.auxv, ElementsAre(std::pair<uint64_t, uint64_t>(3, 0x400040)));
  EXPECT_TRUE(crash.has_exit);
  EXPECT_EQ(crash.wait_status, 0x8b);
  ASSERT_EQ(crash.threads.size(), 2u);
  EXPECT_TRUE(crash.threads[0].crashed);
  ASSERT_EQ(crash.threads[0].stack.size(), 1u) << "pages that touch are joined";
  EXPECT_EQ(crash.threads[0].stack[0].address, 0x7ffe1000u);
  EXPECT_EQ(crash.threads[0].stack[0].bytes.size(), 8192u);
  EXPECT_EQ(crash.threads[1].stack[0].bytes, "other");
  ASSERT_EQ(crash.mappings.size(), 2u);
  EXPECT_EQ(crash.mappings[0].start, 0x400000u) << "ascending";
  EXPECT_EQ(crash.mappings[1].path, "/usr/bin/victim");
  EXPECT_TRUE(crash.mappings[1].deleted);
  EXPECT_EQ(crash.mappings[1].device_major, 8u);
  EXPECT_EQ(crash.mappings[1].device_minor, 1u);
}

TEST(CrashAssembler, TheMapMayBeWalkedBeforeTheProcessIsDescribed) {
  std::vector<std::string> train = whole_train();
  std::rotate(train.begin(), train.end() - 4, train.end() - 1);

  const std::vector<RawCrash> crashes = assemble(train);

  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_THAT(crashes[0].soft_errors, IsEmpty());
  EXPECT_EQ(crashes[0].mappings.size(), 2u);
}

TEST(CrashAssembler, TheProcessAroundTheCrash) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.time_ns = 3'000'000;
  process.session = 42;
  process.inner_tgid = 2;
  process.pid_level = 1;
  process.mnt_ns = 4026531841;
  process.uid = 1000;
  auto exit = record_of<cc_exit>(CC_RECORD_EXIT);
  exit.environment = CC_ENVIRONMENT_LIVE;
  CrashAssembler assembler([](RawCrash&) {}, std::chrono::seconds(1000));
  for (const std::string& record :
       {bytes_of(process), path_record(CC_PATH_CGROUP, "inner\0run\0"s),
        variable_record("TZ=UTC=0"), variable_record("EMPTY="), bytes_of(exit)}) {
    assembler.feed(record);
  }
  const RawCrash crash = assembler.take().at(0);

  EXPECT_EQ(crash.session, 42);
  EXPECT_EQ(crash.inner_pid, 2);
  EXPECT_EQ(crash.pid_namespace_depth, 1);
  EXPECT_EQ(crash.mount_namespace, 4026531841u);
  EXPECT_EQ(crash.uid, 1000u);
  EXPECT_EQ(crash.effective_uid, 0u);
  EXPECT_EQ(crash.cgroup, "/run/inner");
  EXPECT_EQ(crash.time.time_since_epoch(), std::chrono::seconds(1000) + 3ms);
  EXPECT_EQ(crash.started.time_since_epoch(), std::chrono::seconds(1000) + 1ms);
  ASSERT_EQ(crash.environment.size(), 2u);
  EXPECT_EQ(crash.environment[0].name, "TZ");
  EXPECT_EQ(crash.environment[0].value, "UTC=0");
  EXPECT_EQ(crash.environment[1].value, "");
  EXPECT_FALSE(crash.environment_is_initial);
}

TEST(CrashAssembler, MemoryThatExplains) {
  std::vector<std::string> records = whole_train();
  records.pop_back();
  for (const std::string& record :
       {bytes_record(CC_BYTES_MEMORY, 0, 0x9010, "behind"),
        bytes_record(CC_BYTES_MEMORY, 0, 0x9000, std::string(20, 'o')),
        bytes_record(CC_BYTES_ABORT_MESSAGE, 0, 0x8004, "free(): "),
        bytes_record(CC_BYTES_ABORT_MESSAGE, 0, 0x800c, "invalid\0older"s),
        bytes_record(CC_BYTES_EXCEPTION, 0, 0xa000, "type"), exit_record()}) {
    records.push_back(record);
  }
  const RawCrash crash = assemble(records).at(0);

  EXPECT_EQ(crash.abort_message, "free(): invalid");
  EXPECT_EQ(crash.exception, 0xa000u + CC_EXCEPTION_BEFORE);
  ASSERT_EQ(crash.memory.size(), 2u) << "pieces that overlap are joined";
  EXPECT_EQ(crash.memory[0].bytes, std::string(20, 'o') + "nd");
  EXPECT_EQ(crash.memory[1].bytes, "type");
}

std::vector<std::string> exit_over_a_fault(cc_handler handler) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.tid = 4711;
  process.cause = CC_CAUSE_EXIT;
  auto first = record_of<cc_first_signal>(CC_RECORD_FIRST_SIGNAL);
  first.tid = 4711;
  first.signal = 11;
  first.count = 1;
  first.handler = handler;
  first.registers.rip = 0x401234;
  return {bytes_of(process), thread_record(4711, true, 0x7ffe1010), bytes_of(first), exit_record()};
}

TEST(CrashAssembler, AFaultThatWasLeftByAJumpIsUnwoundWithTheThreads) {
  const RawCrash jumped = assemble(exit_over_a_fault(CC_HANDLER_NOT_RETURNED)).at(0);
  EXPECT_EQ(jumped.first_signal->handler, HandlerState::not_returned);
  ASSERT_EQ(jumped.threads.size(), 2u);
  EXPECT_TRUE(jumped.threads[1].at_fault);
  EXPECT_EQ(jumped.threads[1].registers.rip, 0x401234u);

  const RawCrash returned = assemble(exit_over_a_fault(CC_HANDLER_RETURNED)).at(0);
  EXPECT_EQ(returned.first_signal->handler, HandlerState::returned);
  EXPECT_EQ(returned.threads.size(), 1u);

  const RawCrash unknown = assemble(exit_over_a_fault(CC_HANDLER_UNKNOWN)).at(0);
  EXPECT_EQ(unknown.first_signal->handler, HandlerState::unknown);
  EXPECT_EQ(unknown.threads.size(), 1u);
}

TEST(CrashAssembler, ThePlacesOfAFileAreThoseOfTheNextPath) {
  std::vector<std::string> records = whole_train();
  records.pop_back();
  constexpr __u32 kOverlay = 45, kLayer = 254 << 20 | 3, kOther = 8 << 20 | 2;
  for (const std::string& record :
       {path_record(CC_PATH_IN_FILE_SYSTEM, "program\0"s, kOverlay, 11),
        path_record(CC_PATH_IN_FILE_SYSTEM, "program\0layer\0"s, kLayer, 12),
        path_record(CC_PATH_MAPPING, "program\0"s, kLayer, 12),
        mapping_record(0x500000, 0x501000, kLayer, 12),
        path_record(CC_PATH_MAPPING, "other\0"s, kOther, 13),
        mapping_record(0x600000, 0x601000, kOther, 13), exit_record()}) {
    records.push_back(record);
  }
  const RawCrash crash = assemble(records).at(0);

  EXPECT_THAT(crash.soft_errors, IsEmpty());
  ASSERT_EQ(crash.mappings.size(), 4u);
  EXPECT_THAT(crash.mappings[0].in_file_systems, IsEmpty());
  EXPECT_EQ(crash.mappings[2].path, "/program");
  ASSERT_EQ(crash.mappings[2].in_file_systems.size(), 2u);
  const PathInFileSystem& opened = crash.mappings[2].in_file_systems[0];
  EXPECT_EQ(opened.device_major, 0u);
  EXPECT_EQ(opened.device_minor, 45u);
  EXPECT_EQ(opened.path, "/program");
  const PathInFileSystem& real = crash.mappings[2].in_file_systems[1];
  EXPECT_EQ(real.device_major, 254u);
  EXPECT_EQ(real.device_minor, 3u);
  EXPECT_EQ(real.path, "/layer/program");
  EXPECT_THAT(crash.mappings[3].in_file_systems, IsEmpty());
}

TEST(CrashAssembler, AVariableThatWasCutIsMarked) {
  const std::vector<RawCrash> crashes =
      assemble({process_record(), variable_record("PATH=" + std::string(CC_VARIABLE_SIZE - 6, 'x')),
                exit_record()});
  EXPECT_THAT(crashes.at(0).soft_errors, Contains(HasSubstr("variable PATH is longer")));
}

TEST(CrashAssembler, TheReportOfASanitizerIsJoinedUpToItsEnd) {
  const std::vector<RawCrash> crashes =
      assemble({process_record(), bytes_record(CC_BYTES_TEXT, 0, 0x10000, std::string(4096, '=')),
                bytes_record(CC_BYTES_TEXT, 0, 0x11000, "end\0of another page"s), exit_record()});
  EXPECT_EQ(crashes.at(0).report_text, std::string(4096, '=') + "end");
}

TEST(CrashAssembler, ATrainThatWasCalledOffIsNoDeath) {
  auto exit = record_of<cc_exit>(CC_RECORD_EXIT);
  exit.exit_code = 1 << 8;
  exit.called_off = 1;
  EXPECT_THAT(assemble({thread_record(4712, false, 0), bytes_of(exit)}), IsEmpty());
  EXPECT_THAT(assemble({process_record(), bytes_of(exit)}), testing::SizeIs(1))
      << "PROCESS says it is one";
}

TEST(CrashAssembler, WhatWasHandedOverIsNotCalledOffLater) {
  auto again = record_of<cc_exit>(CC_RECORD_EXIT);
  again.called_off = 1;
  EXPECT_THAT(assemble({exit_record(), bytes_of(again)}), testing::SizeIs(1));
}

TEST(CrashAssembler, AnArgumentBlockWithoutAnEndYetIsNotTooLong) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.arg_start = 0x7000;
  EXPECT_THAT(
      assemble({bytes_of(process), thread_record(4711, true, 0), exit_record()}).at(0).soft_errors,
      IsEmpty());
}

TEST(CrashAssembler, InterleavedProcessesAreKeptApart) {
  constexpr cc_key other{4811, 0, 5};
  const auto crashes =
      assemble({process_record(11), process_record(6, other), exit_record(6, other),
                thread_record(4711, true, 0), exit_record()});

  ASSERT_EQ(crashes.size(), 2u);
  EXPECT_EQ(crashes[0].signal.number, 11);
  EXPECT_EQ(crashes[1].signal.number, 6);
  EXPECT_EQ(crashes[0].threads.size(), 1u);
  EXPECT_THAT(crashes[1].threads, IsEmpty());
}

TEST(CrashAssembler, OnePidUsedTwiceIsTwoCrashes) {
  constexpr cc_key again{kKey.tgid, 0, kKey.start_ns + 1};
  EXPECT_EQ(
      assemble({process_record(), exit_record(), process_record(11, again), exit_record(11, again)})
          .size(),
      2u);
}

TEST(CrashAssembler, TheHookSeesEachCrashOnceAndComplete) {
  std::vector<std::string> executables;
  CrashAssembler assembler([&](RawCrash& crash) { executables.push_back(crash.executable); }, {});
  for (const std::string& record : whole_train()) {
    EXPECT_THAT(executables, IsEmpty());
    assembler.feed(record);
  }
  assembler.take();

  EXPECT_THAT(executables, ElementsAre("/usr/bin/victim"));
}

TEST(CrashAssembler, ARunThatEndsBeforeTheExitRecordSaysSo) {
  auto records = whole_train();
  records.pop_back();
  const auto crashes = assemble(records);

  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_FALSE(crashes[0].has_exit);
  EXPECT_EQ(crashes[0].threads[0].stack.size(), 1u) << "what came is in place";
  EXPECT_THAT(crashes[0].soft_errors, Contains(HasSubstr("its last record is missing")));
}

TEST(CrashAssembler, AMissingFirstRecordLeavesTheSignalOfTheExitStatus) {
  const auto crashes = assemble({thread_record(4711, true, 0), exit_record(0x8b)});

  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_EQ(crashes[0].pid, 4711);
  EXPECT_EQ(crashes[0].signal.number, 11);
  EXPECT_THAT(crashes[0].soft_errors, Contains(HasSubstr("first record of this crash is missing")));
}

TEST(CrashAssembler, RecordsAfterTheLastAreTakenAndSaid) {
  const auto crashes = assemble({process_record(), exit_record(), thread_record(4711, true, 0)});

  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_EQ(crashes[0].threads.size(), 1u);
  EXPECT_THAT(crashes[0].soft_errors,
              Contains(HasSubstr("after the one that should have been the last")));
}

TEST(CrashAssembler, LossAndTruncationAreSaid) {
  auto exit = record_of<cc_exit>(CC_RECORD_EXIT);
  exit.lost_records = 3;
  exit.mappings = 9000;
  exit.mappings_left_out = 5;
  exit.mappings_state = CC_MAPPINGS_NONE;
  const auto crashes =
      assemble({process_record(), path_record(CC_PATH_EXE, "deep\0"s, 0, 0, CC_PATH_TRUNCATED),
                bytes_of(exit)});

  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_EQ(crashes[0].lost_records, 3u);
  EXPECT_THAT(crashes[0].soft_errors, Contains(HasSubstr("3 records of this crash did not fit")));
  EXPECT_THAT(crashes[0].soft_errors, Contains(HasSubstr("5 of 9000 regions of the memory map")));
  EXPECT_THAT(crashes[0].soft_errors, Contains(HasSubstr("memory map could not be walked")));
  EXPECT_THAT(crashes[0].soft_errors, Contains(HasSubstr("a path was too long")));
  EXPECT_THAT(crashes[0].soft_errors, Contains(HasSubstr("argument list could not be read")));
}

TEST(CrashAssembler, AnArgumentListThatWasCutIsNoUnreadableOne) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.arg_start = 0x7000;
  process.arg_end = process.arg_start + CC_ARGV_PAGES * CC_PAGE_SIZE + 1;
  std::vector<std::string> records{bytes_of(process)};
  for (__u64 page = 0; page < CC_ARGV_PAGES; ++page) {
    records.push_back(bytes_record(CC_BYTES_ARGV, 0, process.arg_start + page * CC_PAGE_SIZE,
                                   std::string(CC_PAGE_SIZE, 'a')));
  }
  records.push_back(exit_record());
  EXPECT_THAT(assemble(records).at(0).soft_errors, Contains(HasSubstr("argument list is longer")));
}

TEST(CrashAssembler, AncestorsKeepTheirCommandLines) {
  auto parent = record_of<cc_parent>(CC_RECORD_PARENT);
  parent.parent.tgid = 900;
  parent.ns_tgid = 9;
  std::memcpy(parent.comm, "ctest", 6);
  std::memcpy(parent.command, "ctest\0-j4\0", 10);
  parent.command_length = 10;
  auto grandparent = record_of<cc_parent>(CC_RECORD_PARENT);
  grandparent.parent.tgid = 800;
  grandparent.command_length = 0xffffffff;  // nonsense stays inside the record
  const auto crashes =
      assemble({process_record(), bytes_of(parent), bytes_of(grandparent), exit_record()});

  ASSERT_EQ(crashes[0].ancestors.size(), 2u);
  EXPECT_EQ(crashes[0].ancestors[0].pid, 9);
  EXPECT_EQ(crashes[0].ancestors[0].name, "ctest");
  EXPECT_THAT(crashes[0].ancestors[0].arguments, ElementsAre("ctest", "-j4"));
  EXPECT_EQ(crashes[0].ancestors[1].pid, 800);
}

TEST(CrashAssembler, WithheldMemoryIsSaid) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.arg_end = 100;
  process.memory_withheld = 1;
  const auto crashes = assemble({bytes_of(process), thread_record(4711, true, 0), exit_record()});

  ASSERT_EQ(crashes[0].soft_errors.size(), 1u);
  EXPECT_THAT(crashes[0].soft_errors[0], HasSubstr("other credentials"));
}

TEST(CrashAssembler, MemoryThatTheKernelRefusesIsSaid) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.memory_withheld = CC_MEMORY_REFUSED;
  const auto crashes = assemble({bytes_of(process), thread_record(4711, true, 0), exit_record()});

  ASSERT_EQ(crashes[0].soft_errors.size(), 1u);
  EXPECT_THAT(crashes[0].soft_errors[0], HasSubstr("CAP_SYS_PTRACE"));
}

TEST(CrashAssembler, AStackThatIsThereAndWasNotReadIsMissing) {
  const auto missing = [](__u64 stack_pointer, const std::string& stack) {
    std::vector<std::string> records = {bytes_of(record_of<cc_process>(CC_RECORD_PROCESS)),
                                        thread_record(4711, true, stack_pointer)};
    if (!stack.empty()) {
      records.push_back(bytes_record(CC_BYTES_STACK, 4711, stack_pointer, stack));
    }
    records.push_back(mapping_record(0x7000, 0x9000, 0, 0));
    records.push_back(exit_record());
    const auto crashes = assemble(records);
    EXPECT_EQ(crashes[0].no_stack, !crashes[0].soft_errors.empty());
    return crashes[0].no_stack;
  };
  EXPECT_TRUE(missing(0x8000, ""));
  EXPECT_FALSE(missing(0x8000, "bytes"));
  EXPECT_FALSE(missing(0xdead0000, ""))
      << "the stack pointer was wild: there is nothing to be read";
}

std::string sender_record(int signal) {
  auto sender = record_of<cc_sender>(CC_RECORD_SENDER);
  sender.sender.tgid = 77;
  sender.ns_tgid = 7;
  sender.uid = 1000;
  sender.signal = static_cast<__u32>(signal);
  sender.in_tree = 1;
  std::memcpy(sender.comm, "ctest", 6);
  return bytes_of(sender);
}

TEST(CrashAssembler, AKilledProcessHasTheSignalOfItsExitAndItsSender) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.signal = 9;
  process.cause = CC_CAUSE_KILLED;
  const auto crashes = assemble({bytes_of(process), sender_record(15), exit_record(15)});

  EXPECT_EQ(crashes[0].cause, Cause::killed);
  EXPECT_EQ(crashes[0].signal.number, 15);
  ASSERT_TRUE(crashes[0].sender);
  EXPECT_EQ(crashes[0].sender->pid, 7);
  EXPECT_EQ(crashes[0].sender->name, "ctest");
  EXPECT_TRUE(crashes[0].sender->in_tree);
  EXPECT_FALSE(crashes[0].sender->kernel);
}

TEST(CrashAssembler, TheSenderOfAnEarlierSignalIsNotBlamed) {
  EXPECT_FALSE(assemble({process_record(11), sender_record(10), exit_record()})[0].sender);
}

TEST(CrashAssembler, TheFirstSignalAndItsStackAreKeptBesideTheDeath) {
  auto first = record_of<cc_first_signal>(CC_RECORD_FIRST_SIGNAL);
  first.tid = 4711;
  first.signal = 11;
  first.count = 3;
  first.registers.rip = 0x401234;
  const std::string page(4096, 's');
  const auto crashes = assemble({process_record(6), thread_record(4711, true, 0x10000),
                                 bytes_record(CC_BYTES_STACK, 4711, 0x10000, page),
                                 bytes_record(CC_BYTES_STACK, 4711, 0x11000, page), bytes_of(first),
                                 bytes_record(CC_BYTES_STACK, 4711, 0x11000, page),
                                 bytes_record(CC_BYTES_STACK, 4711, 0x12000, page), exit_record()});

  ASSERT_TRUE(crashes[0].first_signal);
  EXPECT_EQ(crashes[0].first_signal->signal.number, 11);
  EXPECT_EQ(crashes[0].first_signal->count, 3u);
  EXPECT_EQ(crashes[0].first_signal->registers.rip, 0x401234u);
  ASSERT_EQ(crashes[0].threads[0].stack.size(), 1u) << "two snapshots of one stack are one stack";
  EXPECT_EQ(crashes[0].threads[0].stack[0].bytes.size(), 3u * 4096);
}

TEST(CrashAssembler, ThirtyTwoBitProcessesAreKnownByTheirCodeSegment) {
  auto thread = record_of<cc_thread>(CC_RECORD_THREAD);
  thread.flags = CC_THREAD_CRASHED;
  thread.registers.cs = 0x23;
  EXPECT_EQ(assemble({process_record(), bytes_of(thread), exit_record()})[0].architecture,
            Architecture::i386);
}

TEST(CrashAssembler, TheAuxiliaryVectorOfA32BitProcessHasTwoWordsInEachOfOurs) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.auxv[0] = uint64_t{0x56555034} << 32 | 3;  // AT_PHDR
  process.auxv[1] = uint64_t{0xf7fc0000} << 32 | 33;
  process.auxv_words = CC_AUXV_WORDS;
  auto thread = record_of<cc_thread>(CC_RECORD_THREAD);
  thread.flags = CC_THREAD_CRASHED;
  thread.registers.cs = 0x23;
  EXPECT_THAT(assemble({bytes_of(process), bytes_of(thread), exit_record()})[0].auxv,
              ElementsAre(std::pair<uint64_t, uint64_t>(3, 0x56555034),
                          std::pair<uint64_t, uint64_t>(33, 0xf7fc0000)));
}

TEST(CrashAssembler, EveryLengthOfEveryRecordIsSurvivedAndMarked) {
  for (const std::string& record : whole_train()) {
    for (size_t length = 0; length < record.size(); length += length < 64 ? 1 : 61) {
      CrashAssembler assembler([](RawCrash&) {}, {});
      assembler.feed(std::string_view(record).substr(0, length));
      const auto crashes = assembler.take();
      if (length < sizeof(cc_record)) {
        EXPECT_EQ(assembler.malformed_records(), 1u) << length;
        EXPECT_THAT(crashes, IsEmpty());
      } else {
        ASSERT_EQ(crashes.size(), 1u) << length;
        EXPECT_THAT(crashes[0].soft_errors, Contains("a record was cut short")) << length;
      }
    }
  }
}

TEST(CrashAssembler, AnotherVersionIsCountedAndNotMisread) {
  std::string record = process_record();
  record[2] = 99;
  CrashAssembler assembler([](RawCrash&) {}, {});
  assembler.feed(record);

  EXPECT_EQ(assembler.malformed_records(), 1u);
  EXPECT_THAT(assembler.take(), IsEmpty());
}

TEST(CrashAssembler, RandomBytesInEveryFieldAreSurvived) {
  std::mt19937 random(20220701);
  for (int round = 0; round < 300; ++round) {
    CrashAssembler assembler([](RawCrash&) {}, {});
    for (std::string record : whole_train()) {
      for (size_t i = sizeof(cc_record); i < record.size(); i += 1 + random() % 97) {
        record[i] = static_cast<char>(random());
      }
      assembler.feed(record);
    }
    EXPECT_EQ(assembler.take().size(), 1u);
  }
}

TEST(CrashAssembler, WhatWasLookedAtAliveHasNoExitStatus) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS);
  process.cause = CC_CAUSE_TIMEOUT;
  const std::vector<RawCrash> crashes =
      assemble({bytes_of(process), thread_record(4711, true, 0x7ffe1010), exit_record(0)});

  ASSERT_EQ(crashes.size(), 1u);
  EXPECT_TRUE(crashes[0].alive);
  EXPECT_EQ(crashes[0].cause, Cause::timeout);
  EXPECT_THAT(crashes[0].soft_errors, IsEmpty());
  EXPECT_FALSE(assemble(whole_train()).at(0).alive);
}

}  // namespace
}  // namespace crashcrawler
