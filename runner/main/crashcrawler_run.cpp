// crashcrawler-run: parses, runs, and is the one place where an error becomes words on stderr.
#include <fcntl.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "runner/launch/supervise.h"
#include "runner/main/options.h"
#include "runner/pipeline.h"

namespace {

constexpr int kHarnessFailed = 125;

// With one of 0 to 2 closed the next file opened would take its place: our summary could end up in a socket. Opened
// close-on-exec, so that the command finds them closed as it would without us.
void fill_closed_standard_streams() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) {
    fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  }
  if (fd > STDERR_FILENO) {
    ::close(fd);
  }
}

// An exception that nobody catches: memory that cannot be had, above all. By SIGABRT, as std::terminate() has it, we would end like
// a command that has aborted. Nothing is unwound, also in our forked children: the probe takes down what there is when the socket closes.
[[noreturn]] void end_as_the_harness() {
  if (const std::exception_ptr exception = std::current_exception()) {
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "crashcrawler: this run cannot go on: %s\n", error.what());
    } catch (...) {
    }
  }
  ::_exit(kHarnessFailed);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace crashcrawler;
  std::set_terminate(end_as_the_harness);
  fill_closed_standard_streams();
  const auto parsed = parse_options(std::vector<std::string>(argv + 1, argv + argc));
  if (const auto* text = std::get_if<TextToPrint>(&parsed)) {
    std::fputs(text->text.c_str(), text->exit_status == 0 ? stdout : stderr);
    return text->exit_status;
  }
  const RunOptions& options = std::get<RunOptions>(parsed);

  spdlog::set_default_logger(spdlog::stderr_logger_st("crashcrawler"));
  spdlog::set_pattern("crashcrawler: %v");
  spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::warn);

  const bool replays = !options.replay_file.empty();
  if (!replays) {
    block_supervised_signals();
  }
  const Result<int> status = replays ? replay_pipeline(options) : run_pipeline(options);
  if (!status) {
    spdlog::error("{}", status.error().message);
    return status.error().exit_status;
  }
  return *status;
}
