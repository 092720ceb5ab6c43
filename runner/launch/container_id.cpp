// The client makes the file, perhaps loads the image, has the container made, writes its id, closes the file, and only then
// has the container started. A file that is there already makes it refuse (docker-run(1)); so what is in one then is not ours.
#include "runner/launch/container_id.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"
#include "runner/launch/attached.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> id_in(const std::string& file) {
  Result<std::string> text = read_file(file, 4096);
  while (text && !text->empty() && text->back() == '\n') {
    text->pop_back();
  }
  const bool is_id = text && !text->empty() && container_id_in(*text) == *text;
  return is_id ? std::optional(*text) : std::nullopt;
}

}  // namespace

struct ContainerId::State {
  Command command;
  std::string file;    // empty: none is to be waited for
  std::string folder;  // of ours; empty: the command has named the file
  bool expected = false;
  bool descendant = false;
  UniqueFd news, stop;
  std::function<void(const std::string&)> known;
  std::mutex lock;  // of `id`
  std::optional<std::string> id;
  std::thread waiting;

  ~State() {
    end();
    if (!folder.empty()) {
      std::error_code ignored;
      fs::remove_all(folder, ignored);
    }
  }

  void look() {
    const std::lock_guard guard(lock);
    if (!id && !file.empty()) {
      id = id_in(file);
      if (id && known) {
        known(*id);
      }
    }
  }

  void wait() {
    pollfd polled[] = {{news.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};
    while (!id && ::poll(polled, 2, -1) >= 0 && polled[1].revents == 0) {
      char events[4096];
      if (::read(news.get(), events, sizeof events) <= 0) {
        break;
      }
      look();
    }
  }

  void end() {
    if (waiting.joinable()) {
      const uint64_t one = 1;
      if (::write(stop.get(), &one, sizeof one) != sizeof one) {
        waiting
            .detach();  // cannot be: the counter of an eventfd that was never written to has room
      } else {
        waiting.join();
      }
    }
  }
};

ContainerId::ContainerId(std::unique_ptr<State> state) : state_(std::move(state)) {}
ContainerId::ContainerId(ContainerId&&) noexcept = default;
ContainerId& ContainerId::operator=(ContainerId&&) noexcept = default;
ContainerId::~ContainerId() = default;

Result<ContainerId> ContainerId::prepare(const Command& command) {
  auto state = std::make_unique<State>();
  state->command = command;
  const std::optional<EngineRun> run = engine_run_in(command.arguments);
  if (!run) {
    return ContainerId(std::move(state));
  }
  state->expected = true;
  state->descendant = run->engine == "podman";
  if (run->cidfile.empty()) {
    const char* const chosen = std::getenv("TMPDIR");
    state->folder =
        std::string(chosen && *chosen == '/' ? chosen : "/tmp") + "/crashcrawler-XXXXXX";
    if (::mkdtemp(state->folder.data()) == nullptr) {
      const Error error =
          errno_error("cannot make a folder for the id of the container, " + state->folder);
      state->folder.clear();
      return error;
    }
    state->file = state->folder + "/cid";
    state->command.arguments = with_cidfile(command.arguments, *run, state->file);
  } else if (std::error_code error;
             !fs::exists(fs::path(command.working_directory) / run->cidfile, error)) {
    state->file = fs::path(command.working_directory) / run->cidfile;
  }
  return ContainerId(std::move(state));
}

bool ContainerId::is_expected() const {
  return state_->expected;
}

bool ContainerId::is_descendant() const {
  return state_->descendant;
}

const Command& ContainerId::command() const {
  return state_->command;
}

// Where the folder cannot be watched the id is read at the end, and what died meanwhile has been held back until then.
void ContainerId::wait_for(std::function<void(const std::string& id)> known) {
  state_->known = std::move(known);
  if (state_->file.empty()) {
    return;
  }
  state_->news.reset(::inotify_init1(IN_CLOEXEC));
  state_->stop.reset(::eventfd(0, EFD_CLOEXEC));
  const std::string folder = fs::path(state_->file).parent_path();
  if (state_->news && state_->stop &&
      ::inotify_add_watch(state_->news.get(), folder.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) >= 0) {
    state_->waiting = std::thread(&State::wait, state_.get());
  }
}

std::optional<std::string> ContainerId::id() const {
  const std::lock_guard guard(state_->lock);
  return state_->id;
}

std::optional<std::string> ContainerId::end() {
  state_->end();
  state_->look();
  return state_->id;
}

}  // namespace crashcrawler
