// Waits for the id of the container that the command starts.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runner/base/result.h"
#include "runner/launch/engine_command.h"
#include "runner/model/run.h"

namespace crashcrawler {

// Of `docker run` and its like: what is started in place of the command, and the file in which the id will be.
class ContainerId {
 public:
  // Of a command that is none of these: nothing is changed and nobody waits. To be called before the command starts. Error: no
  // folder can be made for the file.
  static Result<ContainerId> prepare(const Command& command);

  ContainerId(ContainerId&&) noexcept;
  ContainerId& operator=(ContainerId&&) noexcept;
  ~ContainerId();  // the file of ours is gone, nobody waits any more

  // False: the command is not the client of a container engine.
  bool is_expected() const;

  // True: the client starts the container itself, so that all in it descends from the command (podman).
  bool is_descendant() const;

  // The command with --cidfile where it had none.
  const Command& command() const;

  // Calls `known` once the id has been written, from a thread of its own, or from end().
  void wait_for(std::function<void(const std::string& id)> known);

  // As far as it is known by now. From any thread.
  std::optional<std::string> id() const;

  // The command has ended. Returns the id; none: the client has not written it.
  std::optional<std::string> end();

 private:
  struct State;
  explicit ContainerId(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crashcrawler
