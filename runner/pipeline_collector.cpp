#include "runner/pipeline_collector.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "runner/capture/tracer/serve_tracer.h"

namespace crashcrawler {
namespace {

// Of a command that is run many times: crashes of one place that are kept whole, about 10 MB.
constexpr size_t kAlike = 100;

Result<ProbeProcess> find_and_start_probe() {
  const Result<std::string> path = find_probe();
  if (!path) {
    return path.error();
  }
  return start_probe(*path);
}

// The first sentence of the first two lines, for the first may say no more than that it did not work.
std::string in_one_line(const std::string& text) {
  std::string line = text;
  if (const size_t first = line.find('\n'); first != std::string::npos) {
    line.replace(first, 1, ": ");
  }
  line.resize(std::min(line.find('\n'), line.size()));
  line.resize(std::min(line.find(". "), line.size()));
  return line;
}

}  // namespace

Collector::Collector(CollectorChoice choice)
    : choice_(choice),
      process_(choice == CollectorChoice::ptrace ? Result<ProbeProcess>(Error{""})
                                                 : find_and_start_probe()) {}

Result<BpfSource> Collector::begin(pid_t held, const RunOptions& options,
                                   const Circumstances& circumstances, Recording& recording,
                                   const Outside& outside) {
  std::string why_not_bpf;
  if (choice_ == CollectorChoice::ptrace && outside.any()) {
    return Error{
        "ptrace(2) does not reach processes that the command has not started itself, like those of "
        "a "
        "container; it takes --collector=bpf"};
  }
  if (choice_ != CollectorChoice::ptrace) {
    Result<BpfSource> source = begin_with_current(held, options, circumstances, recording, outside);
    if (source || choice_ == CollectorChoice::bpf || outside.any()) {
      return source;
    }
    why_not_bpf = source.error().message;
    spdlog::warn("crashes are captured by ptrace(2), because BPF cannot be had: {}",
                 in_one_line(why_not_bpf));
  }
  backend_ = "ptrace";
  const std::string said =
      why_not_bpf.empty() ? "" : "BPF cannot be had (" + in_one_line(why_not_bpf) + ")";
  process_ = start_tracer([&](int socket) { serve_tracer(socket, said); });
  ended_ = false;
  Result<BpfSource> source = begin_with_current(held, options, circumstances, recording, outside);
  if (!source && !why_not_bpf.empty()) {
    return Error{why_not_bpf + "\n" + source.error().message};
  }
  return source;
}

Result<BpfSource> Collector::begin_with_current(pid_t held, const RunOptions& options,
                                                const Circumstances& circumstances,
                                                Recording& recording, const Outside& outside) {
  if (!process_) {
    return process_.error();
  }
  CaptureOptions capture;
  capture.crash_stack_bytes = options.crash_stack_bytes;
  capture.thread_stack_bytes = options.thread_stack_bytes;
  capture.ring_bytes = options.ring_bytes;
  capture.delegate = options.repeats;
  capture.alike = options.repeats ? kAlike : 0;
  capture.only_attached = outside.no_command;
  capture.watch_containers = outside.containers;
  capture.attached_cgroup = outside.cgroup;
  Result<BpfSource> source =
      BpfSource::begin(std::move(process_->socket), held, capture, circumstances, recording);
  if (source) {
    return source;
  }
  ended_ = true;
  const std::string words = wait_for_probe(*process_);
  return Error{source.error().message + (words.empty() ? "" : "\n" + words)};
}

void Collector::end() {
  if (process_ && !std::exchange(ended_, true)) {
    process_->socket.reset();
    wait_for_probe(*process_);
  }
}

}  // namespace crashcrawler
