#include "runner/classify/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// One crash whose stack is written as names, top first. "libx.so.1+12ab" is a frame without a name
// at that offset,
// "?" one without a module, "a/b/c" is c with b and a inlined into it, a innermost.
class Crash {
 public:
  explicit Crash(const std::vector<std::string>& stack) {
    raw_.signal.number = SIGSEGV;
    raw_.executable = "/home/user/program";
    backtrace_.modules.resize(1);
    backtrace_.modules[0].path = "/home/user/program";
    ThreadBacktrace& thread = backtrace_.threads.emplace_back();
    thread.crashed = true;
    for (const std::string& name : stack) {
      thread.frames.push_back(frame(name));
    }
  }

  Crash& with_signal(int number) {
    raw_.signal.number = number;
    return *this;
  }
  Crash& moved_by(uint64_t slide) {
    for (Module& module : backtrace_.modules) {
      module.base += slide;
    }
    for (Frame& moved : backtrace_.threads[0].frames) {
      moved.instruction_addr += slide;
    }
    return *this;
  }

  Signature signature() const { return sign(raw_, backtrace_); }
  std::vector<std::string> frames() const { return signature().frames; }

  RawCrash raw_;
  Backtrace backtrace_;

 private:
  Frame frame(std::string name) {
    Frame made;
    made.instruction_addr = 0x55550000 + backtrace_.threads[0].frames.size() * 16;
    if (name == "?") {
      return made;
    }
    if (const size_t plus = name.rfind("+0x"); plus != std::string::npos) {
      made.module = module("/usr/lib/" + name.substr(0, plus));
      made.module_offset = std::stoull(name.substr(plus + 3), nullptr, 16);
      return made;
    }
    made.module = 0;
    if (const size_t at = name.find(" @ "); at != std::string::npos) {
      made.module = module("/usr/lib/" + name.substr(at + 3));
      name.resize(at);
    }
    for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/')) {
      made.inlines.push_back({name.substr(0, slash), "", {}});
      name.erase(0, slash + 1);
    }
    made.function = name;
    return made;
  }

  size_t module(const std::string& path) {
    for (size_t i = 0; i < backtrace_.modules.size(); ++i) {
      if (backtrace_.modules[i].path == path) {
        return i;
      }
    }
    backtrace_.modules.emplace_back().path = path;
    return backtrace_.modules.size() - 1;
  }
};

std::vector<std::string> times(size_t count, const std::vector<std::string>& cycle) {
  std::vector<std::string> all;
  for (size_t i = 0; i < count; ++i) {
    all.push_back(cycle[i % cycle.size()]);
  }
  return all;
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Signature, NamesItsAlgorithmAndHashesInHex) {
  const Signature signature = Crash({"write_null", "main"}).signature();
  EXPECT_EQ(signature.algorithm, "crashcrawler-2");
  EXPECT_THAT(signature.hash, ::testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_THAT(signature.frames, ElementsAre("write_null", "main"));
}

TEST(Signature, IsStableAcrossReleases) {
  // Stored baselines depend on this value: a change of rules needs a new name for the algorithm.
  EXPECT_EQ(Crash({"write_null", "main"}).signature().hash, "9f86ae0e79fe29b4");
}

TEST(Signature, TakesTheTopFive) {
  EXPECT_THAT(Crash({"a", "b", "c", "d", "e", "f", "main"}).frames(),
              ElementsAre("a", "b", "c", "d", "e"));
}

TEST(Signature, DependsOnTheSignal) {
  EXPECT_NE(Crash({"a"}).with_signal(SIGSEGV).signature().hash,
            Crash({"a"}).with_signal(SIGBUS).signature().hash);
}

TEST(Signature, DoesNotDependOnAddresses) {
  EXPECT_EQ(Crash({"a", "libx.so.1+0x10", "main"}).signature().hash,
            Crash({"a", "libx.so.1+0x10", "main"}).moved_by(0x7f0000001000).signature().hash);
}

TEST(Signature, ReadsTheCrashedThreadWhereverItStands) {
  Crash crash({"a", "main"});
  crash.backtrace_.threads.insert(crash.backtrace_.threads.begin(), ThreadBacktrace{});
  EXPECT_THAT(crash.frames(), ElementsAre("a", "main"));
}

TEST(Signature, CountsInlinedFunctions) {
  EXPECT_EQ(Crash({"inner/middle/outer", "main"}).signature().hash,
            Crash({"inner", "middle", "outer", "main"}).signature().hash);
}

TEST(Signature, WritesNamelessFramesAsModuleAndOffset) {
  EXPECT_THAT(Crash({"libx.so.1.2+0x12ab", "?", "main"}).frames(),
              ElementsAre("libx.so+0x12ab", "[no module]", "main"));
}

TEST(Signature, UsesTheLinkageNameWhenThereIsNoOther) {
  Crash crash({"a"});
  crash.backtrace_.threads[0].frames[0].function.clear();
  crash.backtrace_.threads[0].frames[0].raw_function = "_ZN2ns1aEv";
  EXPECT_THAT(crash.frames(), ElementsAre("ns::a"));
}

TEST(SignatureMachinery, IsSkippedAtTheTop) {
  EXPECT_THAT(Crash({"__pthread_kill_implementation", "__GI_raise", "__GI_abort", "check", "main"})
                  .frames(),
              ElementsAre("check", "main"));
  EXPECT_THAT(
      Crash({"raise", "abort", "__assert_fail_base", "__assert_fail", "check", "main"}).frames(),
      ElementsAre("check", "main"));
  EXPECT_THAT(
      Crash({"raise", "abort", "__gnu_cxx::__verbose_terminate_handler()",
             "__cxxabiv1::__terminate(void (*)())", "std::terminate()", "__cxa_throw", "parse"})
          .frames(),
      ElementsAre("parse"));
  EXPECT_THAT(Crash({"raise", "abort", "__libc_message", "malloc_printerr", "_int_free", "free",
                     "release", "main"})
                  .frames(),
              ElementsAre("free", "release", "main"));
  EXPECT_THAT(Crash({"abort", "std::__throw_out_of_range_fmt(char const*, ...)", "at"}).frames(),
              ElementsAre("at"));
}

TEST(SignatureMachinery, IsKeptFurtherDown) {
  Crash crash({"raise", "abort", "on_segv", "__restore_rt", "write_null", "abort", "main"});
  EXPECT_THAT(crash.frames(),
              ElementsAre("on_segv", "__restore_rt", "write_null", "abort", "main"));
}

TEST(SignatureMachinery, IncludesTheKernelsTrampolineWhateverItsName) {
  Crash crash({"libc.so.6+0x3c050", "write_null", "main"});
  crash.backtrace_.threads[0].frames[0].signal_frame = true;
  EXPECT_THAT(crash.frames(), ElementsAre("write_null", "main"));
}

TEST(SignatureMachinery, IsTheSameWithoutTheSymbolsOfTheCLibrary) {
  const Crash stripped({"libc.so.6+0x8aeec", "gsignal @ libc.so.6", "abort @ libc.so.6",
                        "libc.so.6+0x7f4b0", "libc.so.6+0x94aba", "free @ libc.so.6", "release"});
  const Crash symbols({"__pthread_kill_implementation @ libc.so.6", "__GI_raise @ libc.so.6",
                       "__GI_abort @ libc.so.6", "__libc_message @ libc.so.6",
                       "malloc_printerr @ libc.so.6", "free @ libc.so.6", "release"});
  EXPECT_EQ(stripped.signature().hash, symbols.signature().hash);
}

TEST(SignatureMachinery, DoesNotSwallowNamelessFramesOfOthers) {
  EXPECT_THAT(Crash({"raise @ libc.so.6", "abort @ libc.so.6", "plugin.so+0x10", "main"}).frames(),
              ElementsAre("plugin.so+0x10", "main"));
  // a handler of a stripped program that crashed itself
  EXPECT_THAT(Crash({"plugin.so+0x10", "__restore_rt @ libc.so.6", "work", "main"}).frames(),
              ElementsAre("plugin.so+0x10", "__restore_rt", "work", "main"));
}

TEST(SignatureMachinery, IsAllThereIsWhenTheStackEndsInIt) {
  EXPECT_THAT(Crash({"raise", "abort"}).frames(), ElementsAre("raise", "abort"));
}

TEST(SignatureStart, IsLeftOut) {
  EXPECT_THAT(Crash({"a", "main", "libc.so.6+0x27249", "__libc_start_main", "_start"}).frames(),
              ElementsAre("a", "main"));
  EXPECT_THAT(Crash({"worker", "start_thread", "clone3"}).frames(), ElementsAre("worker"));
  EXPECT_THAT(Crash({"_start"}).frames(), ElementsAre("_start"));
}

TEST(SignatureStart, IsLeftOutWithoutTheSymbolsOfTheCLibrary) {
  const Signature with_symbols =
      Crash({"put", "work", "start_thread @ libc.so.6", "clone3 @ libc.so.6"}).signature();
  EXPECT_THAT(with_symbols.frames, ElementsAre("put", "work"));
  EXPECT_EQ(Crash({"put", "work", "libc.so.6+0x891f5", "libc.so.6+0x1098ec"}).signature().hash,
            with_symbols.hash);
  EXPECT_EQ(Crash({"put", "work", "libc.so.6+0x891f5", "clone @ libc.so.6"}).signature().hash,
            with_symbols.hash);
  EXPECT_EQ(
      Crash({"put", "work", "libpthread-2.31.so+0x8ea7", "clone @ libc.so.6"}).signature().hash,
      with_symbols.hash);
  EXPECT_THAT(Crash({"put", "libx.so+0x10", "clone @ libc.so.6"}).frames(),
              ElementsAre("put", "libx.so+0x10"));
  EXPECT_THAT(Crash({"libc.so.6+0x891f5", "libc.so.6+0x1098ec"}).frames(), SizeIs(1));
}

TEST(SignatureRecursion, OfAnyDepthIsOneFrame) {
  const std::vector<std::string> bottom = {"main", "_start"};
  const std::string five = Crash(times(300, {"recurse"}) + bottom).signature().hash;
  EXPECT_EQ(Crash(times(1024, {"recurse"})).signature().hash, five);
  EXPECT_THAT(Crash(times(1024, {"recurse"})).frames(), ElementsAre("recurse"));
}

TEST(SignatureRecursion, DoesNotDependOnWhichFunctionOfTheCycleHitTheEnd) {
  const std::vector<std::string> cycle = {"c", "a", "d", "b"};
  for (size_t length = 1; length <= 4; ++length) {
    std::vector<std::string> turn(cycle.begin(), cycle.begin() + static_cast<ptrdiff_t>(length));
    const Signature first = Crash(times(400, turn)).signature();
    EXPECT_THAT(first.frames, SizeIs(length));
    for (size_t i = 0; i < length; ++i) {
      std::rotate(turn.begin(), turn.begin() + 1, turn.end());
      EXPECT_EQ(Crash(times(777 + i, turn) + std::vector<std::string>{"main"}).signature().hash,
                first.hash);
    }
  }
}

TEST(SignatureRecursion, KeepsWhatTheDeepestCallDid) {
  EXPECT_THAT(Crash(std::vector<std::string>{"memset", "fill"} + times(500, {"f", "g"})).frames(),
              ElementsAre("memset", "fill", "f", "g"));
}

TEST(SignatureRecursion, ThatIsShallowKeepsItsCallers) {
  EXPECT_EQ(Crash({"leaf", "walk", "walk", "walk", "start", "main"}).signature().hash,
            Crash({"leaf", "walk", "start", "main"}).signature().hash);
  EXPECT_THAT(Crash({"leaf", "f", "g", "f", "g", "f", "main"}).frames(),
              ElementsAre("leaf", "f", "g", "main"));
}

TEST(SignatureFallback, NamesTheProgramWhenTheStackSaysNothing) {
  EXPECT_THAT(Crash({}).frames(), ElementsAre("program"));
  EXPECT_THAT(Crash({"?"}).frames(), ElementsAre("program", "[no module]"));
  Crash no_thread({});
  no_thread.backtrace_.threads.clear();
  EXPECT_THAT(no_thread.frames(), ElementsAre("program"));
}

TEST(SignatureFallback, AcceptsAModuleIndexOutOfRange) {
  Crash crash({"libx.so+0x10"});
  crash.backtrace_.threads[0].frames[0].module = 77;
  EXPECT_THAT(crash.frames(), ElementsAre("program", "[no module]"));
}

TEST(Signature, WhatAScanFindsBelowAWalkedStackIsChance) {
  Crash crash({"read_element", "read_list", "read_value", "check_match", "main"});
  crash.backtrace_.threads[0].frames[3].trust = Trust::scan;
  EXPECT_EQ(crash.frames(), (std::vector<std::string>{"read_element", "read_list", "read_value"}));
}

TEST(Signature, WhatAScanFindsBelowADamagedTopCounts) {
  Crash crash({"put", "flush", "close", "main"});
  crash.backtrace_.threads[0].frames[1].trust = Trust::scan;
  EXPECT_EQ(crash.frames(), (std::vector<std::string>{"put", "flush", "close", "main"}));
}

}  // namespace
}  // namespace crashcrawler
