#include "runner/unwind/debuginfod.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>

#include "runner/base/unique_fd.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Takes connections (the kernel does, listen(2)) and says nothing.
class SilentServer {
 public:
  SilentServer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_.get(), generic, length), 0);
    EXPECT_EQ(::listen(socket_.get(), 16), 0);
    EXPECT_EQ(::getsockname(socket_.get(), generic, &length), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  const std::string& url() const { return url_; }

 private:
  UniqueFd socket_;
  std::string url_;
};

class Debuginfod : public testing::Test {
 protected:
  Debuginfod() {
    ::setenv("DEBUGINFOD_CACHE_PATH", folder_.path().c_str(), 1);
    ::unsetenv("DEBUGINFOD_URLS");
  }
  ~Debuginfod() override {
    ::unsetenv("DEBUGINFOD_URLS");
    ::unsetenv("DEBUGINFOD_CACHE_PATH");
  }

  tests::TemporaryFolder folder_;
};

const std::vector<std::string> kIds = {"0123456789012345678901234567890123456789",
                                       "1123456789012345678901234567890123456789"};

TEST_F(Debuginfod, says_when_no_server_is_named) {
  const FetchedFiles fetched = fetch_debug_files(kIds, seconds(1), seconds(3));
  EXPECT_THAT(fetched.paths, IsEmpty());
  EXPECT_THAT(fetched.problems, ElementsAre("debuginfod: DEBUGINFOD_URLS is not set"));
}

TEST_F(Debuginfod, waits_for_a_silent_server_no_longer_than_for_one_file) {
  void* library = ::dlopen("libdebuginfod.so.1", RTLD_NOW);
  if (library == nullptr) {
    GTEST_SKIP() << "libdebuginfod.so.1 is not installed";
  }
  ::dlclose(library);
  const SilentServer server;
  ::setenv("DEBUGINFOD_URLS", server.url().c_str(), 1);
  const auto start = std::chrono::steady_clock::now();
  const FetchedFiles fetched = fetch_debug_files(kIds, seconds(1), seconds(60));
  // twice the limit would be two files; the rest of the distance is for a busy machine
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(20));
  EXPECT_THAT(fetched.paths, IsEmpty());
  ASSERT_EQ(fetched.problems.size(), 1u) << "given up after the first";
  EXPECT_THAT(fetched.problems[0], HasSubstr("debuginfod: "));
}

TEST_F(Debuginfod, says_when_the_time_of_all_is_over) {
  const SilentServer server;
  ::setenv("DEBUGINFOD_URLS", server.url().c_str(), 1);
  const FetchedFiles fetched = fetch_debug_files(kIds, seconds(5), seconds(4));
  EXPECT_THAT(fetched.problems,
              ElementsAre("debuginfod: not every missing debug file was asked for"));
}

}  // namespace
}  // namespace crashcrawler
