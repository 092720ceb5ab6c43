#include "runner/launch/engine_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using Words = std::vector<std::string>;

TEST(EngineCommand, TheClientsRunIsFoundBehindItsOwnOptions) {
  const struct {
    Words arguments;
    size_t options;
    std::string cidfile;
  } cases[] = {
      {{"docker", "run", "image"}, 2, ""},
      {{"/usr/bin/docker", "run", "--rm", "-it", "image", "ctest"}, 2, ""},
      {{"docker", "container", "run", "image"}, 3, ""},
      {{"docker", "--context", "x", "run", "image"}, 4, ""},
      {{"docker", "--context=x", "-D", "run", "image"}, 4, ""},
      {{"docker", "-H", "unix:///run/x.sock", "container", "run", "image"}, 5, ""},
      {{"podman", "--root", "/srv", "run", "image"}, 4, ""},
      {{"docker", "run", "--cidfile=/x/id", "image"}, 2, "/x/id"},
      {{"docker", "run", "--rm", "-e", "A=B", "--cidfile", "id", "image"}, 2, "id"},
      {{"docker", "run", "-itv", "/a:/b", "--cidfile", "id", "image"}, 2, "id"},
      {{"docker", "run", "-uroot", "--cidfile", "id", "image"}, 2, "id"},
      {{"docker", "run", "--name", "--cidfile", "--rm", "image"}, 2, ""},
      {{"docker", "run", "--rm", "image", "prog", "--cidfile=x"}, 2, ""},
      {{"docker", "run", "--init", "image", "--cidfile", "x"}, 2, ""},
      {{"docker", "run", "--", "image", "--cidfile=x"}, 2, ""},
      {{"docker", "run", "--cidfile"}, 2, ""},
      {{"docker", "run"}, 2, ""},
  };
  for (const auto& c : cases) {
    const auto run = engine_run_in(c.arguments);
    ASSERT_TRUE(run) << ::testing::PrintToString(c.arguments);
    EXPECT_EQ(run->options, c.options) << ::testing::PrintToString(c.arguments);
    EXPECT_EQ(run->cidfile, c.cidfile) << ::testing::PrintToString(c.arguments);
  }
}

TEST(EngineCommand, EverythingElseStartsNoContainer) {
  for (const Words& arguments : {Words{}, Words{"docker"}, Words{"docker", "exec", "x", "run"},
                                 Words{"docker", "build", "."}, Words{"docker", "container", "ls"},
                                 Words{"docker", "--context", "run"}, Words{"docker", "-H"},
                                 Words{"sh", "-c", "docker run image"}, Words{"dockerd", "run"},
                                 Words{"docker-compose", "run", "x"}}) {
    EXPECT_FALSE(engine_run_in(arguments)) << ::testing::PrintToString(arguments);
  }
}

TEST(EngineCommand, TheCidfileComesFirstOfTheOptionsOfRun) {
  const Words arguments{"docker", "--debug", "run", "--rm", "image", "run"};
  EXPECT_THAT(with_cidfile(arguments, *engine_run_in(arguments), "/t/cid"),
              ElementsAre("docker", "--debug", "run", "--cidfile=/t/cid", "--rm", "image", "run"));
}

}  // namespace
}  // namespace crashcrawler
