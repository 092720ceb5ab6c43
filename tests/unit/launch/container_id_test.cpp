#include "runner/launch/container_id.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

const std::string kId(64, 'a');

// Of the command with --cidfile.
std::string file_of(const Command& command) {
  return command.arguments[2].substr(std::string("--cidfile=").size());
}

void write(const std::string& file, const std::string& text) {
  std::ofstream(file) << text;
}

TEST(ContainerId, AnyOtherCommandStaysAsItIs) {
  Result<ContainerId> container = ContainerId::prepare({{"ctest"}, "/"});
  ASSERT_TRUE(container);
  EXPECT_FALSE(container->is_expected());
  EXPECT_EQ(container->command().arguments, std::vector<std::string>{"ctest"});
  EXPECT_EQ(container->end(), std::nullopt);
}

TEST(ContainerId, IsKnownAsSoonAsItIsWritten) {
  std::promise<std::string> told;
  std::string file;
  {
    Result<ContainerId> container = ContainerId::prepare({{"docker", "run", "image"}, "/"});
    ASSERT_TRUE(container && container->is_expected());
    file = file_of(container->command());
    EXPECT_FALSE(std::filesystem::exists(file)) << "the client refuses one that is there";
    container->wait_for([&](const std::string& id) { told.set_value(id); });
    write(file, "");  // the client makes it long before it knows what to write
    write(file, kId);
    EXPECT_EQ(told.get_future().get(), kId);
    EXPECT_EQ(container->end(), kId);
    EXPECT_EQ(container->id(), kId);
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(file).parent_path()));
}

TEST(ContainerId, WhatIsNoIdIsNotBelieved) {
  for (const std::string& text :
       {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'G')}) {
    Result<ContainerId> container = ContainerId::prepare({{"docker", "run", "image"}, "/"});
    container->wait_for([](const std::string& id) { ADD_FAILURE() << id; });
    write(file_of(container->command()), text);
    EXPECT_EQ(container->end(), std::nullopt);
  }
}

TEST(ContainerId, AFileOfTheCommandIsReadAndStays) {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/id";
  {
    const std::vector<std::string> arguments{"docker", "run", "--cidfile", "id", "image"};
    Result<ContainerId> container = ContainerId::prepare({arguments, folder.path()});
    EXPECT_EQ(container->command().arguments, arguments);
    container->wait_for([](const std::string&) {});
    write(file, kId + "\n");
    EXPECT_EQ(container->end(), kId);
  }
  EXPECT_TRUE(std::filesystem::exists(file));
  // The client refuses to go on, and the id is that of an earlier container.
  Result<ContainerId> again =
      ContainerId::prepare({{"docker", "run", "--cidfile", "id", "image"}, folder.path()});
  again->wait_for([](const std::string&) {});
  EXPECT_EQ(again->end(), std::nullopt);
}

}  // namespace
}  // namespace crashcrawler
