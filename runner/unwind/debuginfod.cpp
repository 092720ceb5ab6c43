// libdebuginfod has limits of its own, but they are the user's to set (DEBUGINFOD_TIMEOUT, DEBUGINFOD_MAXTIME) and their
// defaults are longer than anybody waits for a report. So each request is made in a bounded child: it cannot take longer,
// whatever server, resolver or proxy do. The parent never touches the network.
//
// Where there is no libdebuginfod, or none that can be loaded (a static program has another C library than the machine's),
// the program debuginfod-find(1) does the same.
#include "runner/unwind/debuginfod.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "runner/base/program_output.h"
#include "runner/unwind/bounded_child.h"

namespace crashcrawler {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostFiles = 64;
constexpr char kPath = 'p', kProblem = '!';  // first letter of what the child says

// Of elfutils' debuginfod.h: part of the ABI of libdebuginfod.so.1.
using Begin = void* (*)();
using FindDebuginfo = int (*)(void* client, const unsigned char* build_id, int length, char** path);

constexpr int kNoSuchProgram = 127;

std::string ask_program_for(const std::string& build_id) {
  const Result<ProgramOutput> found = output_of({"debuginfod-find", "debuginfo", build_id});
  if (!found) {
    return kProblem + found.error().message;
  }
  if (found->exit_status == kNoSuchProgram) {
    return kProblem + std::string(is_static_program()
                                      ? "the program debuginfod-find is not installed"
                                      : "neither libdebuginfod.so.1 nor the program "
                                        "debuginfod-find is installed");
  }
  // it does not tell a server without the file from one that is down
  return found->exit_status == 0 ? kPath + found->text.substr(0, found->text.find('\n')) : "";
}

// What became of the request, its first letter says what it is; "": no server has the file.
std::string ask_for(const std::string& build_id) {
  void* library = is_static_program() ? nullptr : ::dlopen("libdebuginfod.so.1", RTLD_NOW);
  if (library == nullptr) {
    return ask_program_for(build_id);
  }
  const auto begin = reinterpret_cast<Begin>(::dlsym(library, "debuginfod_begin"));
  const auto find = reinterpret_cast<FindDebuginfo>(::dlsym(library, "debuginfod_find_debuginfo"));
  void* client = begin != nullptr && find != nullptr ? begin() : nullptr;
  if (client == nullptr) {
    return kProblem + std::string("libdebuginfod.so.1 cannot be used");
  }
  char* path = nullptr;
  // length 0: the build-id is text
  const int fd = find(client, reinterpret_cast<const unsigned char*>(build_id.c_str()), 0, &path);
  if (fd >= 0 && path != nullptr) {
    ::close(fd);
    return kPath + std::string(path);
  }
  return fd == -ENOENT ? "" : kProblem + std::string(std::strerror(-fd));
}

}  // namespace

FetchedFiles fetch_debug_files(const std::vector<std::string>& build_ids,
                               std::chrono::seconds per_file, std::chrono::seconds in_all) {
  FetchedFiles fetched;
  const char* servers = std::getenv("DEBUGINFOD_URLS");
  if (servers == nullptr || *servers == '\0') {
    fetched.problems.push_back("debuginfod: DEBUGINFOD_URLS is not set");
    return fetched;
  }
  ChildLimits limits;
  limits.per_item = per_file;
  const Clock::time_point latest_start = Clock::now() + in_all - per_file;
  const size_t count = std::min(build_ids.size(), kMostFiles);
  bool given_up = false;
  bool out_of_time = false;
  const auto work = [&](size_t i) {
    return given_up || Clock::now() > latest_start ? std::string(1, '\0') : ask_for(build_ids[i]);
  };
  const auto deliver = [&](size_t i, const Result<std::string>& answer) {
    if (!answer) {
      given_up = true;
      fetched.problems.push_back("debuginfod: " + answer.error().message);
    } else if (answer->starts_with(kPath)) {
      fetched.paths[build_ids[i]] = answer->substr(1);
    } else if (answer->starts_with(kProblem)) {
      const std::string problem = "debuginfod: " + answer->substr(1);
      if (fetched.problems.empty() || fetched.problems.back() != problem) {
        fetched.problems.push_back(problem);
      }
    } else if (!answer->empty()) {
      out_of_time = true;
    }
  };
  work_in_child(count, limits, work, deliver);
  if ((out_of_time && !given_up) || count < build_ids.size()) {
    fetched.problems.push_back("debuginfod: not every missing debug file was asked for");
  }
  return fetched;
}

}  // namespace crashcrawler
