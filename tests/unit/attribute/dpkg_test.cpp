// The database of this machine, when it has one, against what dpkg itself says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "runner/attribute/dpkg_database.h"
#include "tests/unit/attribute/sample_crash.h"

namespace crashcrawler {
namespace {

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> piece;
  while (pipe && ::fgets(piece.data(), piece.size(), pipe.get())) {
    text += piece.data();
  }
  return text;
}

// The files mapped into this very process: libc, libstdc++, the loader, and the test itself.
std::vector<Module> own_modules() {
  std::set<std::string> paths;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (const size_t slash = line.find('/'); slash != std::string::npos) {
      paths.insert(line.substr(slash));
    }
  }
  paths.insert({"/usr/bin/bash", "/usr/bin/sh", "/usr/bin/dpkg"});
  std::vector<Module> modules;
  for (const std::string& path : paths) {
    modules.emplace_back().path = path;
  }
  return modules;
}

class DpkgOfThisMachine : public ::testing::Test {
 protected:
  void SetUp() override {
    struct stat status {};
    if (::stat("/var/lib/dpkg/status", &status) != 0 || ::stat("/usr/bin/dpkg", &status) != 0) {
      GTEST_SKIP() << "this machine has no dpkg";
    }
  }
};

TEST_F(DpkgOfThisMachine, SaysTheSameAsDpkgItself) {
  tests::SampleRun run("/");
  run.add_crash(own_modules());
  ASSERT_THAT(run.attribute(), ::testing::IsEmpty());
  const std::vector<Module>& modules = run.crashes[0].backtrace.modules;
  size_t owned = 0;
  for (const Module& module : modules) {
    const std::string alias = merged_usr_alias(module.path);
    std::string answer =
        output_of("dpkg -S '" + module.path + "' 2>/dev/null | grep -v ^diversion");
    if (answer.empty() && !alias.empty()) {
      answer = output_of("dpkg -S '" + alias + "' 2>/dev/null | grep -v ^diversion");
    }
    const std::string key = answer.substr(0, answer.find(": /"));
    EXPECT_EQ(module.package.name, parse_package_key(key).name) << module.path;
    if (!module.package.name.empty()) {
      ++owned;
      EXPECT_EQ(module.package.version + " " + module.package.architecture,
                output_of("dpkg-query -W -f '${Version} ${Architecture}' " + key))
          << module.path;
    }
  }
  EXPECT_GE(owned, 3u);
}

TEST_F(DpkgOfThisMachine, AnswersInMillisecondsForAThousandCrashes) {
  tests::SampleRun run("/");
  for (int i = 0; i < 1000; ++i) {
    run.add_crash(own_modules());
  }
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> problems = run.attribute();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  ASSERT_THAT(problems, ::testing::IsEmpty());
  RecordProperty("milliseconds", std::to_string(took.count()));
  std::printf("1000 crashes of %zu modules: %.1f ms\n", run.crashes[0].backtrace.modules.size(),
              took.count());
  // Reading every list per crash would take 10 s; the bound leaves room for sanitizers and busy
  // machines.
  EXPECT_LT(took.count(), 2000);
}

}  // namespace
}  // namespace crashcrawler
