#include "runner/capture/probe/relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "bpf/crash_event.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kOurs(64, 'a');

struct Kernel {
  std::vector<uint32_t> sent;  // tgids
  std::vector<uint32_t> containers_beyond_us;
  std::vector<uint32_t> chosen, held, roots;
  uint32_t number_of_ours = 0;  // 0: it has not begun

  Relay relay(size_t most = 1 << 20) {
    return Relay({[this](std::string_view record) {
                    cc_record header{};
                    std::memcpy(&header, record.data(), sizeof header);
                    sent.push_back(header.key.tgid);
                    containers_beyond_us.push_back(header.key.container);
                  },
                  [this](const std::string& id) { return id == kOurs ? number_of_ours : 0; },
                  [this](uint32_t number) { chosen.push_back(number); },
                  [this](int32_t, uint32_t inode) { held.push_back(inode); },
                  [](uint32_t inode) { return UniqueFd(inode == 77 ? ::dup(0) : -1); },
                  [this](uint32_t inode, int) { roots.push_back(inode); }},
                 most);
  }
};

template <typename Record>
std::string record_of(Record record, uint16_t type, uint32_t tgid, uint32_t container) {
  record.header = {type, CC_RECORD_VERSION, sizeof record, {tgid, container, 1}};
  return {reinterpret_cast<const char*>(&record), sizeof record};
}

std::string exit_of(uint32_t tgid, uint32_t container) {
  return record_of(cc_exit{}, CC_RECORD_EXIT, tgid, container);
}

TEST(Relay, WhatBelongsToTheCommandPassesAtOnce) {
  Kernel kernel;
  Relay relay = kernel.relay();
  relay.take(exit_of(1, 0));
  EXPECT_THAT(kernel.sent, ElementsAre(1));
}

TEST(Relay, OfContainersOnlyTheNamedOnePassesAndLosesItsNumber) {
  Kernel kernel;
  Relay relay = kernel.relay();
  relay.take(exit_of(1, 1));
  relay.take(exit_of(2, 2));
  EXPECT_THAT(kernel.sent, IsEmpty());
  kernel.number_of_ours = 2;
  relay.name_container(kOurs);
  EXPECT_THAT(kernel.sent, ElementsAre(2)) << "held back until then";
  relay.take(exit_of(3, 2));
  relay.take(exit_of(4, 1));
  EXPECT_THAT(kernel.sent, ElementsAre(2, 3));
  EXPECT_THAT(kernel.containers_beyond_us, ElementsAre(0, 0));
  EXPECT_THAT(kernel.chosen, ElementsAre(2));
  EXPECT_EQ(relay.what_is_missing(), "");
}

TEST(Relay, AContainerMayBeginAfterItWasNamed) {
  Kernel kernel;
  Relay relay = kernel.relay();
  relay.name_container(kOurs);
  relay.take(exit_of(1, 1));
  EXPECT_THAT(relay.what_is_missing(), HasSubstr("aaaaaaaaaaaa"));
  kernel.number_of_ours = 2;
  relay.take(exit_of(2, 2));
  relay.name_container(std::string(64, 'b'));  // nobody can change his mind
  relay.take(exit_of(3, 1));
  EXPECT_THAT(kernel.sent, ElementsAre(2));
}

TEST(Relay, WhatWasNeverNamedIsNeverSent) {
  Kernel kernel;
  Relay relay = kernel.relay();
  relay.take(exit_of(1, 1));
  EXPECT_EQ(relay.what_is_missing(), "");
  EXPECT_THAT(kernel.sent, IsEmpty());
}

TEST(Relay, WhatHasNoRoomIsCounted) {
  Kernel kernel;
  Relay relay = kernel.relay(2 * sizeof(cc_exit));
  for (const uint32_t tgid : {1, 2, 3, 4}) {
    relay.take(exit_of(tgid, 1));
  }
  EXPECT_EQ(relay.lost(), 2u);
}

TEST(Relay, ARootGoesBeforeTheFirstProcessThatNeedsIt) {
  Kernel kernel;
  kernel.number_of_ours = 1;
  Relay relay = kernel.relay();
  cc_namespace told{};
  told.ns_tgid = 4711;
  told.mnt_ns = 77;
  relay.take(record_of(told, CC_RECORD_NAMESPACE, 1, 1));
  EXPECT_THAT(kernel.held, ElementsAre(77)) << "before anybody knows whose it is";
  EXPECT_THAT(kernel.sent, IsEmpty());
  relay.name_container(kOurs);
  cc_process process{};
  process.mnt_ns = 77;
  relay.take(record_of(process, CC_RECORD_PROCESS, 1, 1));
  relay.take(record_of(process, CC_RECORD_PROCESS, 2, 1));
  EXPECT_THAT(kernel.roots, ElementsAre(77));
  EXPECT_THAT(kernel.sent, ElementsAre(1, 2));
  told.mnt_ns = 78;
  relay.take(record_of(told, CC_RECORD_NAMESPACE, 9, 5));
  EXPECT_THAT(kernel.held, ElementsAre(77)) << "not of somebody else's container";
}

TEST(Relay, WhatIsTooShortIsNothing) {
  Kernel kernel;
  Relay relay = kernel.relay();
  relay.take("");
  relay.take(std::string(sizeof(cc_record) - 1, '\0'));
  relay.take(exit_of(1, 0).substr(0, sizeof(cc_record)));
  EXPECT_THAT(kernel.sent, ElementsAre(1)) << "the reader judges the rest";
}

}  // namespace
}  // namespace crashcrawler
