// Where the client's own options end is not marked, so what has a value must be known. Of `run` it is the other way round:
// of its hundred options few have none, and one that is not known is taken to have one (docker-run(1), podman-run(1)).
#include "runner/launch/engine_command.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace crashcrawler {
namespace {

constexpr std::array<std::string_view, 28> kClientOptionsWithValue{"--config",
                                                                   "--context",
                                                                   "-c",
                                                                   "--host",
                                                                   "-H",
                                                                   "--log-level",
                                                                   "-l",
                                                                   "--tlscacert",
                                                                   "--tlscert",
                                                                   "--tlskey",
                                                                   "--connection",
                                                                   "--cgroup-manager",
                                                                   "--conmon",
                                                                   "--events-backend",
                                                                   "--hooks-dir",
                                                                   "--identity",
                                                                   "--imagestore",
                                                                   "--module",
                                                                   "--namespace",
                                                                   "--out",
                                                                   "--root",
                                                                   "--runroot",
                                                                   "--runtime",
                                                                   "--runtime-flag",
                                                                   "--storage-driver",
                                                                   "--storage-opt",
                                                                   "--tmpdir",
                                                                   "--url"};

constexpr std::array<std::string_view, 24> kRunOptionsWithoutValue{"--detach",
                                                                   "--disable-content-trust",
                                                                   "--env-host",
                                                                   "--help",
                                                                   "--http-proxy",
                                                                   "--init",
                                                                   "--interactive",
                                                                   "--no-healthcheck",
                                                                   "--no-hosts",
                                                                   "--no-hostname",
                                                                   "--oom-kill-disable",
                                                                   "--passwd",
                                                                   "--privileged",
                                                                   "--publish-all",
                                                                   "--quiet",
                                                                   "--read-only",
                                                                   "--read-only-tmpfs",
                                                                   "--replace",
                                                                   "--rm",
                                                                   "--rmi",
                                                                   "--rootfs",
                                                                   "--sig-proxy",
                                                                   "--tls-verify",
                                                                   "--tty"};

// Those with one letter, which may be written together (-it).
constexpr std::string_view kShortWithoutValue = "diPqt";

template <typename Known>
bool is_one_of(const Known& known, std::string_view word) {
  return std::ranges::find(known, word) != known.end();
}

// Whether the value of this option of `run` is the next word.
bool takes_next_word(std::string_view word) {
  if (word.starts_with("--")) {
    return word.find('=') == std::string_view::npos && !is_one_of(kRunOptionsWithoutValue, word);
  }
  word.remove_prefix(1);
  const size_t at = word.find_first_not_of(kShortWithoutValue);
  return at != std::string_view::npos && at + 1 == word.size();  // else the rest is its value
}

}  // namespace

std::optional<EngineRun> engine_run_in(const std::vector<std::string>& arguments) {
  EngineRun run;
  if (arguments.empty()) {
    return std::nullopt;
  }
  run.engine = arguments[0].substr(arguments[0].rfind('/') + 1);
  if (run.engine != "docker" && run.engine != "podman") {
    return std::nullopt;
  }
  size_t at = 1;
  while (at < arguments.size() && arguments[at].starts_with("-")) {
    at += is_one_of(kClientOptionsWithValue, arguments[at]) ? 2 : 1;
  }
  if (at < arguments.size() && arguments[at] == "container") {
    ++at;
  }
  if (at >= arguments.size() || arguments[at] != "run") {
    return std::nullopt;
  }
  run.options = ++at;
  constexpr std::string_view kCidfile = "--cidfile";
  while (at < arguments.size() && arguments[at].size() > 1 && arguments[at].front() == '-' &&
         arguments[at] != "--") {
    const std::string& word = arguments[at];
    if (word == kCidfile && at + 1 < arguments.size()) {
      run.cidfile = arguments[at + 1];
    } else if (word.starts_with(std::string(kCidfile) + "=")) {
      run.cidfile = word.substr(kCidfile.size() + 1);
    }
    at += takes_next_word(word) ? 2 : 1;
  }
  return run;
}

std::vector<std::string> with_cidfile(std::vector<std::string> arguments, const EngineRun& run,
                                      const std::string& file) {
  arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(run.options),
                   "--cidfile=" + file);
  return arguments;
}

}  // namespace crashcrawler
