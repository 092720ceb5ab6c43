#include "runner/doctor/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runner/doctor/checks.h"
#include "runner/doctor/words.h"
#include "tests/unit/doctor/sample_world.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::SampleWorld;

Trial captured_in(const std::string& cgroup, std::vector<std::string> degraded = {}) {
  return {.tried = true, .captured = true, .cgroup = cgroup, .degraded = std::move(degraded)};
}

Trial failed(const std::string& why) {
  return {.tried = true, .error = why};
}

Diagnosis diagnosis_of(SampleWorld& sample, const Trials& trials) {
  return diagnose(sample.world, Place::plain, run_checks(sample.world), trials);
}

TEST(Diagnosis, FullCapture) {
  SampleWorld sample;
  const Diagnosis full = diagnosis_of(sample, {.bpf = captured_in("/sys/fs/cgroup/x")});
  EXPECT_EQ(full.exit_status, 0);
  EXPECT_EQ(full.capture, Capture::bpf);
  EXPECT_THAT(full.lines, IsEmpty());
  EXPECT_THAT(full.advice, IsEmpty());
}

TEST(Diagnosis, TheTrialOverrulesTheChecks) {
  SampleWorld sample;
  sample.put("/proc/self/uid_map", "0 1000 1\n");
  sample.closed["/sys/fs/cgroup/user.slice"] = sample.closed["/sys/fs/cgroup"] = EACCES;
  EXPECT_EQ(diagnosis_of(sample, {.bpf = captured_in("/cg")}).exit_status, 0);
  SampleWorld closed;
  const Diagnosis without = diagnosis_of(
      closed, {.bpf = captured_in(
                   "", {"the processes of the command are followed from fork to fork, because"})});
  EXPECT_EQ(without.exit_status, 1);
  EXPECT_EQ(without.capture, Capture::bpf_without_cgroup);
  EXPECT_THAT(without.needs, ElementsAre(Need::cgroup));
}

TEST(Diagnosis, WhatTheMachineDoesNotAllowIsALimit) {
  SampleWorld sample;
  const Diagnosis old =
      diagnosis_of(sample, {.bpf = captured_in("/cg", {"no modules, no symbols"})});
  EXPECT_EQ(old.exit_status, 1);
  EXPECT_THAT(old.findings.back().cost, HasSubstr("no modules, no symbols"));
}

TEST(Diagnosis, PtraceAndNothing) {
  SampleWorld sample;
  const Diagnosis traced =
      diagnosis_of(sample, {.bpf = failed("no\nbecause"), .ptrace = captured_in("")});
  EXPECT_EQ(traced.exit_status, 1);
  EXPECT_EQ(traced.capture, Capture::ptrace);
  EXPECT_THAT(traced.findings.back().found, HasSubstr("by BPF not: no"));
  EXPECT_THAT(traced.findings.back().found, Not(HasSubstr("because")));
  const Diagnosis none = diagnosis_of(sample, {.bpf = failed("a"), .ptrace = failed("b")});
  EXPECT_EQ(none.exit_status, 2);
  EXPECT_EQ(none.capture, Capture::none);
}

TEST(Diagnosis, ReportsThatCannotBeWrittenAreNoCapture) {
  SampleWorld sample;
  sample.closed["/"] = EROFS;
  const Diagnosis closed = diagnosis_of(sample, {.bpf = captured_in("/cg")});
  EXPECT_EQ(closed.exit_status, 2);
  EXPECT_THAT(closed.verdict, HasSubstr("would not start the command"));
}

TEST(Diagnosis, WhatNoLineMendsIsAdvice) {
  SampleWorld sample;
  sample.put("/sys/kernel/security/lockdown", "[confidentiality]");
  const Diagnosis locked = diagnosis_of(sample, {.bpf = failed("a"), .ptrace = captured_in("")});
  EXPECT_THAT(locked.lines, IsEmpty());
  EXPECT_THAT(locked.advice, ElementsAre(HasSubstr("lockdown=integrity")));
}

TEST(Words, NothingButPrintableCharacters) {
  SampleWorld sample;
  const Trials trials{.bpf = failed("\x1b[31m\x07"), .ptrace = failed("b")};
  const Diagnosis diagnosis = diagnosis_of(sample, trials);
  const std::string text = text_of(diagnosis, "a\x1b]0;b", false);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text_of(diagnosis, "", true).find("\x1b[31m"), std::string::npos);
  const auto json = nlohmann::json::parse(json_of(diagnosis, trials, sample.world, "\xff", "1"));
  EXPECT_EQ(json["trials"][0]["error"], trials.bpf.error);
}

}  // namespace
}  // namespace crashcrawler
