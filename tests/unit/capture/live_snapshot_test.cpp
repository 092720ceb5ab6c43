// Children of the test that live, looked at by the test: the records go through the assembler, as those of the kernel
// side do.
#include "runner/capture/live_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"
#include "runner/capture/crash_assembler.h"

namespace crashcrawler {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int kOwnStatus = 7;

// A child that runs `body` between two pipes: it says that it is ready on one, and waits on the other.
class Child {
 public:
  explicit Child(const std::function<void(const Child&)>& body) {
    int ready[2], go[2];
    EXPECT_EQ(::pipe(ready), 0);
    EXPECT_EQ(::pipe(go), 0);
    ready_.reset(ready[0]);
    says_ready_.reset(ready[1]);
    go_.reset(go[1]);
    awaits_go_.reset(go[0]);
    pid_ = ::fork();
    if (pid_ == 0) {
      go_.reset();
      body(*this);
      ::_exit(kOwnStatus);
    }
    says_ready_.reset();
    char byte = 0;
    EXPECT_EQ(::read(ready_.get(), &byte, 1), 1);
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;

  pid_t pid() const { return pid_; }

  // In the child.
  void say_ready() const { EXPECT_EQ(::write(says_ready_.get(), "", 1), 1); }
  void await_go() const {
    char byte = 0;
    while (::read(awaits_go_.get(), &byte, 1) < 0 && errno == EINTR) {
    }
  }

  // Lets it go on; status as waitpid(2) gives it.
  int finish() {
    go_.reset();
    return wait();
  }

 private:
  int wait() {
    int status = -1;
    while (::waitpid(std::exchange(pid_, -1), &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  pid_t pid_ = -1;
  UniqueFd ready_, says_ready_, go_, awaits_go_;
};

void ready_and_wait(const Child& child) {
  child.say_ready();
  child.await_go();
}

struct Seen {
  std::vector<RawCrash> crashes;
  Result<void> result;
};

Seen look_at(pid_t pid, const SnapshotOptions& options = {}) {
  Seen seen;
  CrashAssembler assembler([](RawCrash&) {}, {});
  seen.result = snapshot_process(pid, options, [&](std::string_view r) { assembler.feed(r); });
  seen.crashes = assembler.take();
  EXPECT_EQ(assembler.malformed_records(), 0u);
  return seen;
}

std::string own_path() {
  return std::filesystem::read_symlink("/proc/self/exe");
}

char state_of(pid_t pid) {
  const Result<std::string> stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat ? (*stat)[stat->rfind(')') + 2] : '-';
}

bool is_on_stack(const RawThread& thread, const std::string& bytes) {
  return std::ranges::any_of(thread.stack, [&](const MemoryRange& range) {
    return range.bytes.find(bytes) != std::string::npos;
  });
}

auto variable(const char* name, const std::string& value) {
  return AllOf(Field(&EnvironmentVariable::name, name), Field(&EnvironmentVariable::value, value));
}

TEST(LiveSnapshot, IsATrainWithNothingMissing) {
  Child child([](const Child& self) {
    char word[] = "words on the ????";
    std::ranges::copy(std::string("stack"), word + 13);  // not to be found in the program itself
    asm volatile("" : : "r"(word) : "memory");
    ready_and_wait(self);
    asm volatile("" : : "r"(word) : "memory");
  });
  const auto [crashes, result] = look_at(child.pid());

  ASSERT_TRUE(result) << result.error().message;
  ASSERT_THAT(crashes, SizeIs(1));
  const RawCrash& crash = crashes[0];
  EXPECT_THAT(crash.soft_errors, IsEmpty());
  EXPECT_EQ(crash.cause, Cause::timeout);
  EXPECT_TRUE(crash.alive);
  EXPECT_EQ(crash.signal.number, 0);
  EXPECT_EQ(crash.pid, child.pid());
  EXPECT_EQ(crash.inner_pid, child.pid());
  EXPECT_EQ(crash.parent_pid, ::getpid());
  EXPECT_EQ(crash.session, ::getsid(0));
  EXPECT_EQ(crash.uid, ::getuid());
  EXPECT_EQ(crash.effective_uid, ::geteuid());
  EXPECT_EQ(crash.gid, ::getgid());
  EXPECT_EQ(crash.pid_namespace_depth, 0);
  EXPECT_NE(crash.mount_namespace, 0u);
  EXPECT_EQ(crash.executable, own_path());
  EXPECT_EQ(crash.working_directory, std::filesystem::current_path());
  EXPECT_THAT(crash.cgroup, testing::StartsWith("/"));
  EXPECT_THAT(crash.arguments, testing::Not(IsEmpty()));
  EXPECT_THAT(crash.arguments[0], HasSubstr("unit_capture"));
  EXPECT_THAT(crash.environment, Contains(variable("PATH", ::getenv("PATH"))));
  EXPECT_GT(crash.time, crash.started);
  EXPECT_LT(crash.time - crash.started, 1h);
  EXPECT_NE(crash.stack_start, 0u);
  EXPECT_GT(crash.environment_start, crash.stack_start);
  EXPECT_GT(crash.environment_end, crash.environment_start);
  EXPECT_GE(crash.heap_end, crash.heap_start);
  EXPECT_THAT(crash.auxv, Contains(Field(&std::pair<uint64_t, uint64_t>::first, 33)))
      << "AT_SYSINFO_EHDR";

  ASSERT_THAT(crash.threads, SizeIs(1));
  EXPECT_TRUE(crash.threads[0].crashed);
  EXPECT_TRUE(is_on_stack(crash.threads[0], "words on the stack"));
  const auto code = std::ranges::find_if(crash.mappings, [&](const Mapping& mapping) {
    return crash.threads[0].registers.rip >= mapping.start &&
           crash.threads[0].registers.rip < mapping.end;
  });
  ASSERT_NE(code, crash.mappings.end());
  EXPECT_TRUE(code->executable && code->readable && !code->writable);
  EXPECT_THAT(crash.mappings, Contains(Field(&Mapping::path, own_path())));
  EXPECT_EQ(child.finish(), kOwnStatus << 8) << "it went on as if nothing had been";
}

TEST(LiveSnapshot, HasTheEnvironmentAsItIsNow) {
  const std::string long_path(5000, 'x');
  Child child([&](const Child& self) {
    ::setenv("PYTEST_CURRENT_TEST", "test_score.py::test_win (call)", 1);
    ::setenv("LD_LIBRARY_PATH", long_path.c_str(), 1);
    ::setenv("SECRET", "not to be told", 1);
    ready_and_wait(self);
  });
  const RawCrash crash = look_at(child.pid()).crashes.at(0);
  EXPECT_FALSE(crash.environment_is_initial);
  EXPECT_THAT(crash.environment,
              Contains(variable("PYTEST_CURRENT_TEST", "test_score.py::test_win (call)")));
  EXPECT_THAT(crash.environment,
              testing::Not(Contains(Field(&EnvironmentVariable::name, "SECRET"))));
  EXPECT_THAT(crash.environment,
              Contains(variable("LD_LIBRARY_PATH", long_path.substr(0, 1023 - 16))));
  EXPECT_THAT(crash.soft_errors, ElementsAre(HasSubstr("LD_LIBRARY_PATH is longer than")));
}

TEST(LiveSnapshot, HasEveryThreadByItsName) {
  Child child([](const Child& self) {
    pthread_barrier_t all_run;
    pthread_barrier_init(&all_run, nullptr, 3);
    for (const char* name : {"first", "second"}) {
      std::thread([&all_run, name] {
        ::pthread_setname_np(::pthread_self(), name);
        ::pthread_barrier_wait(&all_run);
        ::pause();
      }).detach();
    }
    ::pthread_barrier_wait(&all_run);
    ready_and_wait(self);
  });
  const auto [crashes, result] = look_at(child.pid());

  ASSERT_TRUE(result) << result.error().message;
  ASSERT_THAT(crashes, SizeIs(1));
  std::vector<std::string> names;
  for (const RawThread& thread : crashes[0].threads) {
    names.push_back(thread.name);
    EXPECT_EQ(thread.crashed, thread.tid == child.pid());
    ASSERT_THAT(thread.stack, testing::Not(IsEmpty())) << thread.name;
    EXPECT_LE(thread.stack.front().address, thread.registers.rsp);
    EXPECT_GT(thread.stack.front().end(), thread.registers.rsp);
  }
  EXPECT_THAT(names, ElementsAre(crashes[0].name, "first", "second"));
  EXPECT_EQ(child.finish(), kOwnStatus << 8);
}

TEST(LiveSnapshot, KeepsAsMuchOfEachStackAsWasAskedFor) {
  Child child([](const Child& self) {
    char room[4 * 4096];
    asm volatile("" : : "r"(room) : "memory");
    std::thread([] {
      char more_room[4 * 4096];
      asm volatile("" : : "r"(more_room) : "memory");
      ::pause();
    }).detach();
    ready_and_wait(self);
    asm volatile("" : : "r"(room) : "memory");
  });
  SnapshotOptions options;
  options.crash_stack_bytes = 3 * 4096;
  options.thread_stack_bytes = 4096;
  const auto [crashes, result] = look_at(child.pid(), options);
  ASSERT_THAT(crashes, SizeIs(1));
  ASSERT_THAT(crashes[0].threads, SizeIs(2));
  const auto bytes_of = [](const RawThread& thread) {
    size_t bytes = 0;
    for (const MemoryRange& range : thread.stack) {
      bytes += range.bytes.size();
    }
    return bytes;
  };
  EXPECT_EQ(bytes_of(crashes[0].threads[0]), 3 * 4096u);
  EXPECT_EQ(bytes_of(crashes[0].threads[1]), 4096u);
}

TEST(LiveSnapshot, OfTheThreadsThatAreLeftWhenTheLeaderHasEnded) {
  Child child([](const Child& self) {
    std::thread([&self] {
      while (state_of(::getpid()) != 'Z') {
      }
      ready_and_wait(self);
      ::_exit(kOwnStatus);
    }).detach();
    ::syscall(SYS_exit, 0);
  });
  const auto [crashes, result] = look_at(child.pid());
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_THAT(crashes, SizeIs(1));
  ASSERT_THAT(crashes[0].threads, SizeIs(1));
  EXPECT_NE(crashes[0].threads[0].tid, child.pid());
  EXPECT_TRUE(crashes[0].threads[0].crashed);
  EXPECT_EQ(child.finish(), kOwnStatus << 8);
}

TEST(LiveSnapshot, AncestorsAreThoseOfTheTree) {
  Child child(ready_and_wait);
  SnapshotOptions options;
  options.tree = {child.pid()};
  EXPECT_THAT(look_at(child.pid(), options).crashes.at(0).ancestors, IsEmpty());
  options.tree.push_back(::getpid());
  const std::vector<Ancestor> ancestors = look_at(child.pid(), options).crashes.at(0).ancestors;
  ASSERT_THAT(ancestors, SizeIs(1));
  EXPECT_EQ(ancestors[0].pid, ::getpid());
  EXPECT_EQ(ancestors[0].name, look_at(child.pid()).crashes.at(0).name);
  EXPECT_THAT(ancestors[0].arguments.at(0), HasSubstr("unit_capture"));
}

TEST(LiveSnapshot, AStoppedProcessStaysStopped) {
  Child child(ready_and_wait);
  ::kill(child.pid(), SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(child.pid(), &status, WUNTRACED), child.pid());
  const auto [crashes, result] = look_at(child.pid());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_THAT(crashes, SizeIs(1));
  while (state_of(child.pid()) != 'T') {  // let go by us, it is on its way back
  }
  ::kill(child.pid(), SIGCONT);
  EXPECT_EQ(child.finish(), kOwnStatus << 8);
}

TEST(LiveSnapshot, OneThatIsTracedAlreadyIsAnError) {
  Child child(ready_and_wait);
  Child tracer([&child](const Child& self) {
    if (::ptrace(PTRACE_SEIZE, child.pid(), nullptr, nullptr) == 0) {
      ready_and_wait(self);
    }
  });
  const auto [crashes, result] = look_at(child.pid());
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message,
              AllOf(HasSubstr("process " + std::to_string(child.pid()) + " (unit_capture)"),
                    HasSubstr("process " + std::to_string(tracer.pid()) + " is tracing it")));
  EXPECT_THAT(crashes, IsEmpty());
  EXPECT_EQ(tracer.finish(), kOwnStatus << 8);
  EXPECT_EQ(child.finish(), kOwnStatus << 8);
}

TEST(LiveSnapshot, OfOneThatHasEndedThereIsNothing) {
  Child child([](const Child& self) { self.say_ready(); });
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT), 0);
  const auto zombie = look_at(child.pid());
  EXPECT_TRUE(zombie.result) << zombie.result.error().message;
  EXPECT_THAT(zombie.crashes, IsEmpty());
  const pid_t pid = child.pid();
  EXPECT_EQ(child.finish(), kOwnStatus << 8) << "its exit status is not taken away";
  const auto gone = look_at(pid);
  EXPECT_TRUE(gone.result);
  EXPECT_THAT(gone.crashes, IsEmpty());
}

// The parent of a vfork(2) sleeps where nothing but SIGKILL reaches it.
TEST(LiveSnapshot, OneThatDoesNotStopIsAnErrorAfterABoundedTime) {
  Child child([](const Child& self) {
    if (::vfork() == 0) {
      self.say_ready();
      self.await_go();
      ::_exit(0);
    }
  });
  while (state_of(child.pid()) != 'D') {
  }
  SnapshotOptions options;
  options.deadline = std::chrono::steady_clock::now() + 50ms;
  const auto [crashes, result] = look_at(child.pid(), options);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("1 of its threads did not stop"));
  EXPECT_THAT(crashes, IsEmpty());
  EXPECT_EQ(child.finish(), kOwnStatus << 8) << "it was let go";
}

TEST(LiveSnapshot, OfATreeChildrenComeFirst) {
  Child child([](const Child& self) {
    Child grandchild(ready_and_wait);
    ready_and_wait(self);
    grandchild.finish();
  });
  const Result<std::string> children = read_file("/proc/" + std::to_string(child.pid()) + "/task/" +
                                                 std::to_string(child.pid()) + "/children");
  if (!children) {
    GTEST_SKIP() << "this kernel does not list children: " << children.error().message;
  }
  const pid_t grandchild = std::atoi(children->c_str());
  for (const std::vector<pid_t>& tree :
       {std::vector<pid_t>{child.pid(), grandchild}, std::vector<pid_t>{grandchild, child.pid()}}) {
    CrashAssembler assembler([](RawCrash&) {}, {});
    SnapshotOptions options;
    options.tree = tree;
    EXPECT_THAT(snapshot_tree(options, [&](std::string_view r) { assembler.feed(r); }), IsEmpty());
    const std::vector<RawCrash> crashes = assembler.take();
    ASSERT_THAT(crashes, SizeIs(2));
    EXPECT_EQ(crashes[0].pid, grandchild);
    EXPECT_EQ(crashes[1].pid, child.pid());
    EXPECT_EQ(crashes[0].ancestors.at(0).pid, child.pid());
  }
  EXPECT_EQ(child.finish(), kOwnStatus << 8);
}

TEST(LiveSnapshot, WhatThereWasNoTimeForIsSaid) {
  Child child(ready_and_wait);
  SnapshotOptions options;
  options.tree = {child.pid()};
  options.deadline = std::chrono::steady_clock::now();
  const auto missing = snapshot_tree(options, [](std::string_view) { FAIL(); });
  EXPECT_THAT(missing, ElementsAre("there was no time to look at 1 of the processes"));
}

}  // namespace
}  // namespace crashcrawler
