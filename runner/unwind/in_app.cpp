#include "runner/unwind/in_app.h"

#include <algorithm>
#include <string_view>

#include "runner/unwind/source_path.h"

namespace crashcrawler {

namespace {

bool is_system_path(const std::string& path) {
  for (const char* directory : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    if (lies_below(path, directory)) {
      return true;
    }
  }
  return false;
}

// The language runtime, wherever a copy of it lies.
bool is_runtime(const Module& module) {
  static constexpr std::string_view kNames[] = {
      "libc.so.",      "libm.so.",     "libpthread.so.", "libdl.so.",     "librt.so.", "ld-linux",
      "libstdc++.so.", "libgcc_s.so.", "libc++.so.",     "libc++abi.so.", "ld-musl-",  "[vdso]"};
  const std::string name =
      module.soname.empty() ? module.path.substr(module.path.rfind('/') + 1) : module.soname;
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](std::string_view start) { return name.starts_with(start); });
}

// What a static program has of the same runtime; there only the names tell.
bool is_runtime_function(const std::string& name) {
  static constexpr std::string_view kNames[] = {"_start",
                                                "__libc_start_main",
                                                "__libc_start_main_impl",
                                                "__libc_start_call_main",
                                                "start_thread",
                                                "clone",
                                                "clone3",
                                                "__clone",
                                                "__clone3",
                                                "__restore_rt",
                                                "abort",
                                                "__GI_abort",
                                                "raise",
                                                "gsignal",
                                                "__pthread_kill_implementation",
                                                "pthread_kill",
                                                "__assert_fail",
                                                "__assert_fail_base",
                                                "__libc_message"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace

AppFilter::AppFilter(const std::vector<std::string>& directories, const std::string& executable)
    : directories_(directories), executable_(is_system_path(executable) ? "" : executable) {}

bool AppFilter::in_app(const Frame& frame, const Module* module) const {
  if (module == nullptr || is_runtime(*module)) {
    return false;
  }
  const auto holds = [&](const std::string& path) {
    return std::any_of(directories_.begin(), directories_.end(),
                       [&](const std::string& directory) { return lies_below(path, directory); });
  };
  // A function of the system counts when code of the program was inlined into it: a lambda in
  // std::sort.
  std::vector<std::string> sources;
  for (const InlinedFunction& inlined : frame.inlines) {
    sources.push_back(inlined.location.file);
  }
  sources.push_back(frame.location.file);
  std::erase(sources, "");
  if (std::any_of(sources.begin(), sources.end(), holds)) {
    return true;
  }
  // The other way round, a template of a system header that became a function in the program is
  // still the system's.
  const bool system = sources.empty() ? is_runtime_function(frame.function)
                                      : std::all_of(sources.begin(), sources.end(), is_system_path);
  if (system) {
    return false;
  }
  return holds(module->path) || (!executable_.empty() && module->path == executable_);
}

}  // namespace crashcrawler
