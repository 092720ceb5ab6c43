// A command that starts a container itself: `docker run ...`.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace crashcrawler {

struct EngineRun {
  std::string engine;   // "docker", "podman"
  size_t options = 0;   // index of the word behind "run"
  std::string cidfile;  // of its own --cidfile; empty: it has none
};

// What `arguments` start with the client of a container engine. None: anything else, a shell that does so further down, too.
std::optional<EngineRun> engine_run_in(const std::vector<std::string>& arguments);

// The same command with --cidfile, which has the client write the container's id to that new file before it starts the
// container (docker-run(1)).
std::vector<std::string> with_cidfile(std::vector<std::string> arguments, const EngineRun& run,
                                      const std::string& file);

}  // namespace crashcrawler
