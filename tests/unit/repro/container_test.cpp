#include "runner/repro/container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace crashcrawler {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

// A file system of these files and all folders above them.
Places places_of(const std::set<std::string>& files) {
  return {[=](const std::string& path) {
            return std::ranges::any_of(
                files, [&](const std::string& file) { return file.starts_with(path + "/"); });
          },
          [=](const std::string& path) { return files.contains(path); }};
}

RecordedCrash crash() {
  RecordedCrash crash;
  crash.command = {"ctest"};
  crash.working_directory = "/src/build";
  crash.process_directory = "/src/build/tests";
  crash.program = "/src/build/tests/x";
  return crash;
}

TEST(Mounts, AreTheFoldersItRanInAndTheCheckout) {
  const Places places = places_of({"/src/.git/HEAD", "/src/build/tests/x", "/out/report.json"});
  EXPECT_THAT(mounts_of(crash(), "/out", places),
              UnorderedElementsAre(BindMount{"/src/build", true}, BindMount{"/out", true},
                                   BindMount{"/src", false}));
}

TEST(Mounts, AreReadOnlyWhereOnlyFilesCameFrom) {
  RecordedCrash elsewhere = crash();
  elsewhere.modules = {{"/opt/ours/lib/liby.so", "", false}, {"/opt/theirs/lib/z.so", "", true}};
  elsewhere.command = {"/opt/tools/run", "--data=/opt/data", "--list",
                       "/tmp/list",      "relative",         "--x=/nowhere"};
  const Places places =
      places_of({"/src/build/tests/x", "/opt/ours/lib/liby.so", "/opt/theirs/lib/z.so",
                 "/opt/tools/run", "/opt/data/file", "/tmp/list"});
  EXPECT_THAT(mounts_of(elsewhere, "/src/build/out", places),
              UnorderedElementsAre(BindMount{"/src/build", true}, BindMount{"/opt/ours/lib", false},
                                   BindMount{"/opt/tools", false}, BindMount{"/opt/data", false},
                                   BindMount{"/tmp/list", false}));  // not all of /tmp
}

TEST(Mounts, LeaveTheSystemToTheImage) {
  RecordedCrash of_system = crash();
  of_system.working_directory = "/";
  of_system.process_directory = "/usr/share/x";
  of_system.program = "/usr/local/bin/x";
  of_system.command = {"/bin/sh", "/etc/x", "/dev/null", "/"};
  of_system.modules = {{"/lib/x.so", "", false}};
  const Places places = places_of({"/usr/share/x/y", "/usr/local/bin/x", "/bin/sh", "/etc/x",
                                   "/dev/null", "/lib/x.so", "/out/report.json"});
  EXPECT_THAT(mounts_of(of_system, "/out", places), ElementsAre(BindMount{"/out", true}));
}

TEST(Mounts, OfWhatIsNotHereAreNone) {
  EXPECT_THAT(mounts_of(crash(), "/out", places_of({"/out/report.json"})),
              ElementsAre(BindMount{"/out", true}));
}

TEST(Mounts, OfAFolderInAnotherAreOne) {
  RecordedCrash nested = crash();
  nested.working_directory = "/a/b/c";
  nested.process_directory = "/a/b";
  nested.program = "/a/b/c/d/x";
  EXPECT_THAT(mounts_of(nested, "/a/b/out", places_of({"/a/b/c/d/x", "/a/b/out/y"})),
              ElementsAre(BindMount{"/a/b", true}));
}

std::vector<std::string> words(const Container& container, const RecordedCrash& crash) {
  return docker_command(container, crash);
}

TEST(DockerCommand, OfAUserHasNoPrivilege) {
  Container container;
  container.image = "image";
  container.name = "name";
  container.user = {1000, 100};
  EXPECT_THAT(words(container, crash()),
              ElementsAre("docker", "run", "--rm", "--name", "name", "--user", "1000:100",
                          "--workdir", "/src/build", "--entrypoint", "crashcrawler-run", "image"));
}

TEST(DockerCommand, OfRootHasWhatBpfNeedsAndNoMore) {
  Container container;
  container.captures_with_bpf = container.has_cgroup2 = true;
  EXPECT_THAT(words(container, crash()),
              IsSupersetOf({"--cap-add", "BPF", "PERFMON", "--cgroupns", "host",
                            "type=bind,source=/sys/fs/cgroup,target=/sys/fs/cgroup"}));
  EXPECT_THAT(words(container, crash()), Not(Contains("--privileged")));
  container.has_cgroup2 = false;
  EXPECT_THAT(words(container, crash()), Not(Contains("--cgroupns")));
}

TEST(DockerCommand, ConfinesPersonalityOnlyWhereItIsNotNeeded) {
  RecordedCrash race = crash();
  EXPECT_THAT(words({}, race), Not(Contains("--security-opt")));
  race.chaos = {1, 1, true};
  EXPECT_THAT(words({}, race), Not(Contains("--security-opt")));
  EXPECT_THAT(words({}, race), Contains("SYS_NICE"));
  race.chaos->randomizes_addresses = false;
  EXPECT_THAT(words({}, race), Contains("seccomp=unconfined"));
}

TEST(DockerCommand, FixesAddresses) {
  RecordedCrash fixed = crash();
  fixed.inherited.randomizes_addresses = false;
  const auto command = words({}, fixed);
  EXPECT_THAT(std::vector<std::string>(command.end() - 7, command.end()),
              ElementsAre("--entrypoint", "setarch", "", "x86_64", "-R", "--", "crashcrawler-run"));
}

TEST(DockerCommand, HandsOnVariablesAndLimits) {
  RecordedCrash rich = crash();
  rich.inherited.environment = {{"PATH", "/opt/bin"}, {"PWD", "/src"}, {"LANG", "C"}};
  rich.inherited.limits = {{"nofile", 1024, 4096},
                           {"stack", 4096, std::nullopt},
                           {"cpu", std::nullopt, 5},
                           {"as", 7, 7}};
  EXPECT_THAT(
      words({}, rich),
      IsSupersetOf({"PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "LANG=C", "nofile=1024:4096", "stack=4096:4096"}));
  for (const std::string& word : words({}, rich)) {
    EXPECT_FALSE(word.starts_with("PWD=") || word.starts_with("as=") || word.starts_with("cpu="))
        << word;
  }
}

TEST(DockerCommand, WritesMountsAsALineOfCsv) {
  Container container;
  container.mounts = {{"/a b", true}, {"/c,d", false}, {"/e\"f", true}};
  EXPECT_THAT(words(container, crash()),
              IsSupersetOf({"type=bind,source=/a b,target=/a b",
                            "type=bind,\"source=/c,d\",\"target=/c,d\",readonly",
                            "type=bind,\"source=/e\"\"f\",\"target=/e\"\"f\""}));
}

TEST(DockerCommand, BringsDebugFiles) {
  Container container;
  container.image = "image";
  container.has_debug_files = true;
  const auto command = words(container, crash());
  EXPECT_THAT(command,
              Contains("type=bind,source=/usr/lib/debug,target=/run/crashcrawler/debug,readonly"));
  EXPECT_THAT(std::vector<std::string>(command.end() - 3, command.end()),
              ElementsAre("image", "--debug-dir", "/run/crashcrawler/debug"));
}

}  // namespace
}  // namespace crashcrawler
