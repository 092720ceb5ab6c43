#include "runner/repro/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

// PATH of the image is replaced by that of the command: crashcrawler-run must still be found.
constexpr std::string_view kUsualFolders =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Beside those of the image: files are found in them by build-id.
constexpr const char* kDebugFiles = "/usr/lib/debug";
constexpr const char* kDebugFilesInside = "/run/crashcrawler/debug";

bool lies_in(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder == "/" ? folder : folder + "/");
}

bool is_systems(const std::string& path) {
  static constexpr std::array kFolders = {"/usr",    "/bin", "/sbin", "/lib", "/lib32", "/lib64",
                                          "/libx32", "/etc", "/proc", "/sys", "/dev",   "/run"};
  return path == "/" ||
         std::ranges::any_of(kFolders, [&](const char* folder) { return lies_in(path, folder); });
}

// "/build/parser_test" -> "/build"; of files in /tmp, /home and their like, where much else lies, the file alone.
std::string place_of_file(const std::string& file) {
  const fs::path folder = fs::path(file).parent_path();
  const bool is_near_root = folder == "/" || folder.parent_path() == "/";
  return is_near_root ? file : folder.string();
}

// The folder with the .git of `folder`; "" when it is in no checkout.
std::string checkout_of(const std::string& folder, const Places& places) {
  for (fs::path here = folder; here.has_relative_path(); here = here.parent_path()) {
    if (places.is_folder(here / ".git") || places.is_file(here / ".git")) {
      return here;
    }
  }
  return "";
}

class Mounts {
 public:
  explicit Mounts(const Places& places) : places_(places) {}

  void add_folder(const std::string& folder, bool writable) {
    if (folder.starts_with('/') && places_.is_folder(folder)) {
      add(fs::path(folder).lexically_normal(), writable);
    }
  }

  void add_file(const std::string& file) {
    if (file.starts_with('/') && places_.is_file(file)) {
      add(place_of_file(fs::path(file).lexically_normal()), false);
    }
  }

  std::vector<BindMount> take() { return std::move(mounts_); }

 private:
  void add(std::string path, bool writable) {
    if (path.size() > 1 && path.ends_with('/')) {
      path.pop_back();
    }
    const bool is_there = std::ranges::any_of(mounts_, [&](const BindMount& mount) {
      return lies_in(path, mount.path) && (mount.writable || !writable);
    });
    if (!is_there && !is_systems(path)) {
      std::erase_if(mounts_, [&](const BindMount& mount) {
        return lies_in(mount.path, path) && (writable || !mount.writable);
      });
      mounts_.push_back({std::move(path), writable});
    }
  }

  const Places& places_;
  std::vector<BindMount> mounts_;
};

// --mount takes a line of CSV.
std::string csv_field(const std::string& field) {
  if (field.find_first_of(",\"\n\r") == std::string::npos) {
    return field;
  }
  std::string text = "\"";
  for (const char letter : field) {
    text += letter == '"' ? "\"\"" : std::string(1, letter);
  }
  return text + "\"";
}

std::string mount_word(const BindMount& mount, const std::string& target = "") {
  return "type=bind," + csv_field("source=" + mount.path) + "," +
         csv_field("target=" + (target.empty() ? mount.path : target)) +
         (mount.writable ? "" : ",readonly");
}

// A limit that is not there is what the engine gives; "as" cannot be told to it.
std::optional<std::string> limit_word(const ResourceLimit& limit) {
  if (!limit.soft || limit.name == "as") {
    return std::nullopt;
  }
  return fmt::format("{}={}:{}", limit.name, *limit.soft, limit.hard.value_or(*limit.soft));
}

std::string variable_word(const EnvironmentVariable& variable) {
  const std::string value =
      variable.name == "PATH" ? variable.value + ":" + std::string(kUsualFolders) : variable.value;
  return variable.name + "=" + value;
}

}  // namespace

std::vector<BindMount> mounts_of(const RecordedCrash& crash, const std::string& output,
                                 const Places& places) {
  Mounts mounts(places);
  mounts.add_folder(crash.working_directory, true);
  mounts.add_folder(crash.process_directory, true);
  mounts.add_folder(output, true);
  mounts.add_folder(checkout_of(crash.working_directory, places), false);
  for (const RecordedModule& module : crash.modules) {
    if (!module.is_packaged) {
      mounts.add_file(module.path);
    }
  }
  mounts.add_file(crash.program);
  for (const std::string& argument : crash.command) {
    const std::string path =
        argument.starts_with('/') ? argument : argument.substr(argument.find('=') + 1);
    mounts.add_folder(path, false);
    mounts.add_file(path);
  }
  return mounts.take();
}

std::vector<std::string> docker_command(const Container& container, const RecordedCrash& crash) {
  std::vector<std::string> words = {"docker", "run", "--rm", "--name", container.name};
  const auto add = [&](std::initializer_list<std::string> more) {
    words.insert(words.end(), more);
  };
  if (container.captures_with_bpf) {
    add({"--cap-add", "BPF", "--cap-add", "PERFMON"});
    if (container.has_cgroup2) {
      add({"--cgroupns", "host", "--mount", mount_word({"/sys/fs/cgroup", true})});
    }
  }
  if (crash.chaos && !container.user) {
    add({"--cap-add", "SYS_NICE"});  // competitors take processors away by priority
  }
  const bool fixed_addresses = !crash.inherited.randomizes_addresses;
  if (fixed_addresses || (crash.chaos && !crash.chaos->randomizes_addresses)) {
    add({"--security-opt", "seccomp=unconfined"});  // Docker's own filter is against personality(2)
  }
  if (container.user) {
    add({"--user", fmt::format("{}:{}", container.user->first, container.user->second)});
  }
  for (const BindMount& mount : container.mounts) {
    add({"--mount", mount_word(mount)});
  }
  if (container.has_debug_files) {
    add({"--mount", mount_word({kDebugFiles}, kDebugFilesInside)});
  }
  add({"--workdir", crash.working_directory});
  for (const EnvironmentVariable& variable : crash.inherited.environment) {
    if (variable.name != "PWD") {
      add({"--env", variable_word(variable)});
    }
  }
  for (const ResourceLimit& limit : crash.inherited.limits) {
    if (const std::optional<std::string> word = limit_word(limit)) {
      add({"--ulimit", *word});
    }
  }
  if (fixed_addresses) {
    add({"--entrypoint", "setarch", container.image, "x86_64", "-R", "--", "crashcrawler-run"});
  } else {
    add({"--entrypoint", "crashcrawler-run", container.image});
  }
  if (container.has_debug_files) {
    add({"--debug-dir", kDebugFilesInside});
  }
  return words;
}

}  // namespace crashcrawler
