// Streams of messages, whole and broken, through a file.
#include "runner/capture/messages.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "runner/base/unique_fd.h"
#include "runner/capture/outbox.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string header(uint32_t size) {
  const MessageHeader header{7, 1, size};
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

std::string message(std::string_view text) {
  return header(static_cast<uint32_t>(sizeof(MessageHeader) + text.size())).append(text);
}

// The texts of all messages that are read from `bytes`.
std::vector<std::string> texts_in(const std::string& bytes) {
  const TemporaryDirectory folder;
  const UniqueFd file(::open(folder.write("stream", bytes).c_str(), O_RDONLY | O_CLOEXEC));
  MessageReader reader(file.get());
  std::vector<std::string> texts;
  for (auto batch = reader.next_batch(); !batch.empty(); batch = reader.next_batch()) {
    while (!batch.empty()) {
      texts.emplace_back(text_of(take_message(batch)));
    }
  }
  EXPECT_THAT(reader.next_batch(), IsEmpty()) << "the end is the end";
  return texts;
}

TEST(MessageReader, DescriptorsComeWithTheirMessagesInOrder) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]), others(ends[1]);
  const TemporaryDirectory folder;
  {
    Outbox outbox(others.get());
    for (const uint32_t number : {1u, 2u}) {
      const std::string path = folder.write(std::to_string(number), std::string(number, 'x'));
      outbox.add_text(ProbeMessage::note, "before");
      outbox.send_root(number, UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)).get());
    }
    ::shutdown(others.get(), SHUT_WR);
  }
  MessageReader reader(ours.get());
  std::vector<off_t> sizes;
  for (auto batch = reader.next_batch(); !batch.empty(); batch = reader.next_batch()) {
    while (!batch.empty()) {
      if (is(ProbeMessage::root, take_message(batch))) {
        struct stat status {};
        EXPECT_EQ(::fstat(reader.take_descriptor().get(), &status), 0);
        sizes.push_back(status.st_size);
      }
    }
  }
  EXPECT_THAT(sizes, ElementsAre(1, 2));
  EXPECT_FALSE(reader.take_descriptor());
}

TEST(MessageReader, GivesOutWholeMessagesInOrder) {
  EXPECT_THAT(texts_in(""), IsEmpty());
  EXPECT_THAT(texts_in(message("")), ElementsAre(""));
  EXPECT_THAT(texts_in(message("a") + message("") + message("bc")), ElementsAre("a", "", "bc"));
}

TEST(MessageReader, AStreamLargerThanItsBufferLosesNothing) {
  std::string stream;
  std::vector<std::string> sent;
  for (size_t i = 0; i < 100; ++i) {
    sent.emplace_back(kMaxMessageBytes - sizeof(MessageHeader) - i,
                      static_cast<char>('a' + i % 26));
    stream += message(sent.back());
  }
  EXPECT_EQ(texts_in(stream), sent);
}

TEST(MessageReader, ASizeThatCannotBeEndsTheStream) {
  for (const uint32_t size : {0u, 7u, kMaxMessageBytes + 1, 0xffffffffu}) {
    EXPECT_THAT(texts_in(message("a") + header(size) + message("b")), ElementsAre("a"));
  }
}

TEST(MessageReader, WhatWasCutIsNotGivenOut) {
  const std::string whole = message("a") + message("bc");
  for (size_t cut = message("a").size(); cut < whole.size(); ++cut) {
    EXPECT_THAT(texts_in(whole.substr(0, cut)), ElementsAre("a"));
  }
}

}  // namespace
}  // namespace crashcrawler
