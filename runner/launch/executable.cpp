// Which file a command name means, found the way execvp(3) does, but before anything is started: a
// wrong name is a message and 126 or 127, not a crash capture of nothing.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runner/launch/held_command.h"

namespace crashcrawler {
namespace {

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

struct Look {
  int error = 0;         // 0 when execve(2) has a chance, else the errno it would give
  bool is_seen = false;  // there is a file
};

Look look_at(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return {errno, false};
  }
  if (!S_ISREG(status.st_mode)) {
    return {S_ISDIR(status.st_mode) ? EISDIR : EACCES, true};
  }
  return {::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno, true};
}

// The errors after which execvp(3) goes on to the next folder of PATH.
bool means_look_further(int error) {
  return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV ||
         error == ETIMEDOUT;
}

std::string search_path() {
  if (const char* path = std::getenv("PATH")) {
    return path;
  }
  std::string standard(::confstr(_CS_PATH, nullptr, 0), '\0');
  ::confstr(_CS_PATH, standard.data(), standard.size());
  standard.resize(standard.size() - 1);
  return standard;
}

Error not_executable(const std::string& path, int error) {
  return {"cannot execute " + path + ": " +
              (error == EISDIR
                   ? "it is a directory"
                   : std::string(std::strerror(error)) + "; is it a program, and its x bit set?"),
          kNotExecutable};
}

}  // namespace

Result<std::string> resolve_executable(const Command& command) {
  const std::string& name = command.arguments.front();
  if (name.find('/') != std::string::npos) {
    const int error = look_at(name).error;
    if (error == 0) {
      return name;
    }
    if (error == ENOENT || error == ENOTDIR) {
      return Error{"command not found: " + name + ": " + std::strerror(error), kNotFound};
    }
    return not_executable(name, error);
  }

  const std::string path = search_path();
  std::string refused, closed;
  int refusal = 0;
  for (size_t start = 0; !name.empty() && start <= path.size();) {
    const size_t end = std::min(path.find(':', start), path.size());
    const std::string folder = path.substr(start, end - start);
    const std::string candidate =
        folder.empty() ? name : folder + "/" + name;  // empty: the current directory
    const Look look = look_at(candidate);
    if (look.error == 0) {
      return candidate;
    }
    // A folder of the command's name in PATH refuses with EACCES there, too. One of PATH that others keep for themselves is
    // passed over, as a shell does.
    if (look.error == EACCES && !look.is_seen) {
      closed += "; " + folder + " may not be searched";
    } else if (!means_look_further(look.error) && refused.empty()) {
      refused = candidate;
      refusal = look.error;
    }
    start = end + 1;
  }
  if (!refused.empty()) {
    return not_executable(refused, refusal);
  }
  return Error{"command not found: '" + name + "' is in no folder of PATH (" + path + ")" + closed,
               kNotFound};
}

}  // namespace crashcrawler
