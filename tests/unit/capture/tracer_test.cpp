// The tracer in a process of its own, the test as its wrapper and as the parent of those that it follows. What programs
// see of it and what becomes of their deaths is tests/integration's.
#include "runner/capture/tracer/tracer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "runner/base/unique_fd.h"
#include "runner/capture/bpf_source.h"
#include "runner/capture/tracer/serve_tracer.h"

namespace crashcrawler {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A child that runs `body` when it is let go.
class Held {
 public:
  explicit Held(const std::function<void()>& body) {
    int go[2];
    EXPECT_EQ(::pipe(go), 0);
    const UniqueFd waits(go[0]);
    go_.reset(go[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      go_.reset();
      char byte = 0;
      while (::read(waits.get(), &byte, 1) < 0 && errno == EINTR) {
      }
      body();
      ::_exit(0);
    }
  }
  ~Held() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      finish();
    }
  }
  Held(const Held&) = delete;

  pid_t pid() const { return pid_; }
  int finish() {
    go_.reset();
    int status = -1;
    while (::waitpid(std::exchange(pid_, -1), &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd go_;
};

class TracerTest : public testing::Test {
 protected:
  TracerTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours_.reset(ends[0]);
    const UniqueFd its(ends[1]);
    tracer_ = ::fork();
    if (tracer_ == 0) {
      ours_.reset();
      sigset_t all;
      sigfillset(&all);
      ::sigprocmask(SIG_SETMASK, &all, nullptr);
      serve_tracer(its.get(), "BPF is out of order");
      ::_exit(0);
    }
  }
  ~TracerTest() override {
    source_.reset();
    ours_.reset();
    if (tracer_ > 0) {
      ::waitpid(tracer_, nullptr, 0);
    }
  }

  Result<void> begin(const Held& held) {
    Result<BpfSource> source =
        BpfSource::begin(std::move(ours_), held.pid(), {}, circumstances_now(), recording_);
    if (!source) {
      return source.error();
    }
    source_ = std::make_unique<BpfSource>(std::move(*source));
    return {};
  }

  pid_t tracer_ = -1;
  UniqueFd ours_;
  Recording recording_;
  std::unique_ptr<BpfSource> source_;
};

TEST_F(TracerTest, TellsADeathAndWhyItIsNotBpf) {
  Held held([] {
    ::signal(SIGSEGV, SIG_DFL);  // AddressSanitizer has a handler
    ::raise(SIGSEGV);
  });
  ASSERT_TRUE(begin(held));
  const pid_t pid = held.pid();
  EXPECT_TRUE(WIFSIGNALED(held.finish()));
  const Captured captured = source_->finish();
  EXPECT_TRUE(captured.health.complete);
  EXPECT_EQ(captured.probe_pid, tracer_);
  EXPECT_THAT(captured.health.degraded, ElementsAre("BPF is out of order"));
  EXPECT_THAT(captured.soft_errors, IsEmpty());
  ASSERT_THAT(captured.crashes, SizeIs(1));
  const RawCrash& crash = captured.crashes[0];
  EXPECT_EQ(crash.pid, pid);
  EXPECT_EQ(crash.signal.number, SIGSEGV);
  EXPECT_EQ(crash.signal.sender_pid, pid);
  EXPECT_EQ(crash.cause, Cause::core_signal);
  EXPECT_THAT(crash.soft_errors, IsEmpty());
}

TEST_F(TracerTest, KnowsWhoLives) {
  Held held([] {});
  ASSERT_TRUE(begin(held));
  EXPECT_THAT(source_->list_tree(), ElementsAre(held.pid()));
  ::kill(held.pid(), SIGKILL);
  held.finish();
  EXPECT_THAT(source_->list_tree(), IsEmpty());
  EXPECT_THAT(source_->finish().crashes, IsEmpty()) << "nobody knows who has sent the SIGKILL";
}

TEST_F(TracerTest, LooksAtTheLiving) {
  Held held([] {});
  ASSERT_TRUE(begin(held));
  EXPECT_THAT(source_->look_at_tree(), IsEmpty());
  EXPECT_EQ(held.finish(), 0) << "it went on as if nothing had been";
  const Captured captured = source_->finish();
  ASSERT_THAT(captured.crashes, SizeIs(1));
  EXPECT_EQ(captured.crashes[0].cause, Cause::timeout);
}

TEST_F(TracerTest, WhatHasATracerIsRefused) {
  Held held([] {});
  ASSERT_EQ(::ptrace(PTRACE_SEIZE, held.pid(), nullptr, nullptr), 0);
  const Result<void> begun = begin(held);
  ASSERT_FALSE(begun);
  EXPECT_THAT(begun.error().message,
              AllOf(HasSubstr("ptrace(2)"),
                    HasSubstr("process " + std::to_string(::getpid()) + " is tracing it")));
}

TEST_F(TracerTest, WhoeverHangsUpLeavesTheRunAsItIs) {
  Held held([] {});
  ASSERT_TRUE(begin(held));
  source_.reset();
  int status = -1;
  ASSERT_EQ(::waitpid(std::exchange(tracer_, -1), &status, 0) > 0, true);
  EXPECT_EQ(held.finish(), 0);
}

}  // namespace
}  // namespace crashcrawler
