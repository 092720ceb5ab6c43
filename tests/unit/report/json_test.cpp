#include "runner/report/json_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using nlohmann::json;

json record(const CrashReport& report) {
  return json::parse(crash_json(report, quiet_session()));
}

json whole(const Session& session) {
  std::vector<std::string> crashes;
  for (const CrashReport& crash : session.crashes) {
    crashes.push_back(crash_json(crash, session));
  }
  return json::parse(report_json(session, crashes));
}

TEST(CrashJson, TellsTheSignal) {
  const json info = record(null_write())["crash_info"];
  EXPECT_EQ(info["kind"], "signal");
  EXPECT_EQ(info["signal"],
            json::parse(R"({"number": 11, "name": "SIGSEGV", "code": 1, "code_name": "SEGV_MAPERR",
                            "fault_address": "0x0"})"));
  EXPECT_EQ(info["crashing_thread"], 0);
  EXPECT_EQ(info["exit"], json::parse(R"({"signal": 11})"));
  EXPECT_EQ(info["cause"], "nothing is mapped at address 0x0 (null pointer)");
}

TEST(CrashJson, TellsTheSenderOnlyWhenThereIsOne) {
  const json sent = record(failed_check())["crash_info"]["signal"];
  EXPECT_EQ(sent["sender_pid"], 4711);
  EXPECT_EQ(sent["sender_uid"], 1000);
  EXPECT_EQ(sent["sender_command"], "check");
  EXPECT_FALSE(sent.contains("fault_address"));
  EXPECT_FALSE(record(null_write())["crash_info"]["signal"].contains("sender_pid"));
}

TEST(CrashJson, TellsTheSenderOfWhatTheProcessDiedOf) {
  CrashReport report = null_write();
  report.raw.sender = Sender{};
  report.raw.sender->pid = 4711;
  report.raw.sender->name = "null_write";
  EXPECT_EQ(record(report)["crash_info"]["signal"]["sender_pid"], 4711);

  report.kind = CrashKind::handled_signal;
  report.followed_by = RawSignal{SIGABRT, SI_TKILL, 0, 0, 4711, 1000};
  const json info = record(report)["crash_info"];
  EXPECT_FALSE(info["signal"].contains("sender_pid")) << "a fault";
  EXPECT_FALSE(info["first_signal"].contains("sender_pid"));
  EXPECT_EQ(info["followed_by"]["sender_pid"], 4711);
  EXPECT_EQ(info["followed_by"]["sender_in_tree"], false);

  report.followed_by.reset();  // its handler exited
  EXPECT_FALSE(record(report)["crash_info"].contains("followed_by"));
  EXPECT_FALSE(record(report)["crash_info"]["signal"].contains("sender_pid"));
}

TEST(CrashJson, TellsWhoDiedOfTheSameOnPurpose) {
  CrashReport report = null_write();
  EXPECT_FALSE(record(report)["crash_info"].contains("relayed_by"));
  report.relayed_by = {{4710, "timeout", {"timeout", "60", "./null_write"}}};
  EXPECT_EQ(record(report)["crash_info"]["relayed_by"],
            json::parse(R"([{"pid": 4710, "name": "timeout",
                             "command_args": ["timeout", "60", "./null_write"]}])"));
}

TEST(CrashJson, TellsTheExit) {
  CrashReport report = null_write();
  report.raw.wait_status = 3 << 8;
  EXPECT_EQ(record(report)["crash_info"]["exit"], json::parse(R"({"code": 3})"));
  report.raw.has_exit = false;
  EXPECT_FALSE(record(report)["crash_info"].contains("exit"));
  report.raw.has_exit = report.raw.alive = true;
  EXPECT_FALSE(record(report)["crash_info"].contains("exit"));
}

TEST(CrashJson, TellsTheProcess) {
  const json process = record(null_write())["process"];
  EXPECT_EQ(process["pid"], 4711);
  EXPECT_EQ(process["parent_pid"], 4710);
  EXPECT_EQ(process["executable"]["path"], "/home/user/project/build/null_write");
  EXPECT_EQ(process["executable"]["build_id"], "d1704d25fbbb72fa95d517b883131828c0883fe9");
  EXPECT_EQ(process["command_args"], json({"./null_write", "--case", "two words"}));
  EXPECT_EQ(process["ancestors"][1]["name"], "ctest");
}

TEST(CrashJson, KeepsTheParentAtDeathApartFromTheAncestors) {
  CrashReport orphan = null_write();
  orphan.raw.parent_pid = 1;
  EXPECT_EQ(record(orphan)["process"]["parent_pid"], 1);
  EXPECT_EQ(record(orphan)["process"]["ancestors"][0]["pid"], 4710);
  orphan.raw.parent_pid = 0;
  EXPECT_FALSE(record(orphan)["process"].contains("parent_pid"));
}

TEST(CrashJson, TellsTheFrames) {
  const json thread = record(null_write())["threads"][0];
  EXPECT_EQ(thread["thread_id"], 4711);
  EXPECT_EQ(thread["crashed"], true);
  EXPECT_EQ(thread["frame_count"], 6);
  EXPECT_EQ(thread["stop_reason"], "end of stack");
  EXPECT_EQ(thread["registers"]["rip"], "0x555500001139");
  const json top = thread["frames"][0];
  EXPECT_EQ(top["frame"], 0);
  EXPECT_EQ(top["trust"], "context");
  EXPECT_EQ(top["instruction_addr"], "0x55550000100c");
  EXPECT_EQ(top["module"], "/home/user/project/build/null_write");
  EXPECT_EQ(top["module_offset"], "0x100c");
  EXPECT_EQ(top["function"], "write_null(int*)");
  EXPECT_EQ(top["function_offset"], "0x4");
  EXPECT_EQ(top["file"], "/home/user/project/src/null_write.cpp");
  EXPECT_EQ(top["line"], 12);
  EXPECT_EQ(top["column"], 7);
  EXPECT_EQ(top["in_app"], true);
  EXPECT_EQ(top["inlines"][0]["function"], "store");
  EXPECT_EQ(top["inlines"][0]["line"], 3);
  EXPECT_EQ(thread["frames"][3]["in_app"], false);
}

TEST(CrashJson, LeavesOutWhatIsNotKnown) {
  const json nowhere = record(null_write())["threads"][0]["frames"][5];
  EXPECT_EQ(nowhere, json::parse(R"({"frame": 5, "trust": "scan", "in_app": false,
                                     "instruction_addr": "0xdead0000"})"));
  const json vdso = record(null_write())["modules"][2];
  for (const char* absent : {"build_id", "soname", "package"}) {
    EXPECT_FALSE(vdso.contains(absent)) << absent;
  }
}

TEST(CrashJson, CountsElidedFrames) {
  const json other = record(null_write())["threads"][1];
  EXPECT_EQ(other["frame_count"], 14);
  EXPECT_EQ(other["elided_frames"], 12);
  EXPECT_EQ(other["elided_after"], 1);
  EXPECT_EQ(other["frames"].size(), 2u);
}

TEST(CrashJson, TellsModulesAndPackages) {
  const json libc = record(null_write())["modules"][1];
  EXPECT_EQ(libc["filename"], "/usr/lib/x86_64-linux-gnu/libc.so.6");
  EXPECT_EQ(libc["base_addr"], "0x7f0000000000");
  EXPECT_EQ(libc["end_addr"], "0x7f0000010000");
  EXPECT_EQ(libc["soname"], "libc.so.6");
  EXPECT_EQ(libc["package"],
            json::parse(R"({"type": "deb", "name": "libc6", "version": "2.36-9+deb12u10",
                            "architecture": "amd64", "source": "/var/lib/dpkg/status"})"));
}

TEST(CrashJson, TellsEveryWitnessOfAVersion) {
  CrashReport report = null_write();
  Module& module = report.backtrace.modules[0];
  module.versions = {{"1.4.2", "pkg_config", "/opt/shelf.pc"}, {"1.4", "file_name", ""}};
  module.compilers = {"GCC: 12.2"};
  const json shown = record(report)["modules"][0];
  EXPECT_EQ(shown["version"], "1.4.2");
  EXPECT_EQ(shown["version_source"], "pkg_config");
  EXPECT_EQ(shown["versions"],
            json::parse(R"([{"version": "1.4.2", "source": "pkg_config", "detail": "/opt/shelf.pc"},
                            {"version": "1.4", "source": "file_name"}])"));
  EXPECT_EQ(shown["compilers"], json::parse(R"(["GCC: 12.2"])"));
}

TEST(CrashJson, SaysWhenThePictureIsNotWhole) {
  EXPECT_EQ(record(null_write())["status"], "OK");
  for (const auto spoil : {+[](CrashReport& r) { r.raw.lost_records = 1; },
                           +[](CrashReport& r) { r.raw.has_exit = false; },
                           +[](CrashReport& r) { r.raw.mappings.clear(); },
                           +[](CrashReport& r) { r.backtrace.threads.clear(); }}) {
    CrashReport report = null_write();
    spoil(report);
    EXPECT_EQ(record(report)["status"], "TRUNCATED");
  }
}

TEST(CrashJson, JoinsTheSoftErrorsOfAllStages) {
  EXPECT_EQ(record(busy_session().crashes[2])["soft_errors"],
            json({"the command line could not be read", "libfoo.so has no .eh_frame"}));
}

TEST(CrashJson, NamesRegistersOf32BitProcessesAsTheyAreCalledThere) {
  CrashReport report = null_write();
  report.raw.architecture = Architecture::i386;
  const json registers = record(report)["threads"][0]["registers"];
  EXPECT_TRUE(registers.contains("eip"));
  EXPECT_FALSE(registers.contains("rip"));
}

TEST(CrashJson, IsUtf8WhateverTheProgramWasCalled) {
  const json hostile = record(hostile_crash());
  EXPECT_THAT(hostile["process"]["command_args"][0].get<std::string>(),
              ::testing::HasSubstr("\xef\xbf\xbd"));
  EXPECT_EQ(hostile["process"]["command_args"][1].get<std::string>().size(), 1u << 20);
  EXPECT_EQ(hostile["process"]["command_args"][3], std::string("nul\0byte", 8));
  EXPECT_FALSE(hostile["threads"][0]["frames"][1]["inlines"][0].contains("line"));
}

TEST(ReportJson, TellsTheRun) {
  const json report = whole(busy_session());
  EXPECT_EQ(report["run"]["command_args"], json({"ctest", "-j4"}));
  EXPECT_EQ(report["run"]["started"], "2025-03-01T12:00:00.125Z");
  EXPECT_EQ(report["run"]["duration_s"], 5.25);
  EXPECT_EQ(report["run"]["exit"], json::parse(R"({"code": 8})"));
  EXPECT_EQ(report["run"]["leftover_processes"][0]["name"], "sleep");
  EXPECT_EQ(report["collector"]["name"], "crashcrawler");
  EXPECT_EQ(report["collector"]["health"]["lost"], 2);
  EXPECT_EQ(report["collector"]["health"]["truncated"], 1);
  EXPECT_EQ(report["soft_errors"].size(), 1u);
}

TEST(ReportJson, CountsBySignature) {
  const json counts = whole(busy_session())["counts"];
  EXPECT_EQ(counts, json::parse(R"({"crashes": 5, "unexpected": 5, "expected": 0, "unique": 4,
                                    "hangs": 0, "lost": 2})"));
}

TEST(ReportJson, HoldsTheVeryRecords) {
  const Session session = busy_session();
  const json report = whole(session);
  ASSERT_EQ(report["crashes"].size(), session.crashes.size());
  for (size_t i = 0; i < session.crashes.size(); ++i) {
    EXPECT_EQ(report["crashes"][i], json::parse(crash_json(session.crashes[i], session)));
  }
}

TEST(ReportJson, OfAKilledCommandTellsTheSignal) {
  Session session = quiet_session();
  session.outcome.signal = SIGTERM;
  session.outcome.interrupted = true;
  const json run = whole(session)["run"];
  EXPECT_EQ(run["exit"], json::parse(R"({"signal": 15})"));
  EXPECT_EQ(run["interrupted"], true);
}

TEST(ReportJson, OfATimeOutTellsTheTime) {
  Session session = quiet_session();
  session.outcome.timed_out = std::chrono::milliseconds(1500);
  const json run = whole(session)["run"];
  EXPECT_EQ(run["timed_out"], true);
  EXPECT_EQ(run["timeout_s"], 1.5);
}

TEST(ReportJson, OfAQuietRunHasAnEmptyList) {
  const json report = whole(quiet_session());
  EXPECT_EQ(report["crashes"], json::array());
  EXPECT_EQ(report["counts"]["crashes"], 0);
  EXPECT_FALSE(report["run"].contains("interrupted"));
  EXPECT_FALSE(report["run"].contains("timed_out"));
}

}  // namespace
}  // namespace crashcrawler
