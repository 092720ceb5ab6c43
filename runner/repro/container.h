// The container in which a crash is tried again: what it is given of this machine, and the words for it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/repro/recorded_crash.h"

namespace crashcrawler {

// A folder or file of this machine that the container sees.
struct BindMount {
  std::string path;  // the same inside and outside
  bool writable = false;

  bool operator==(const BindMount&) const = default;
};

// What is asked of this machine's file system.
struct Places {
  std::function<bool(const std::string&)> is_folder, is_file;
};

// The folders that the command needs: those it ran in and `output`, which may be written to; to be read, the checkout around the first,
// the folders of the crashed program's files that came with no package, and what arguments name by absolute paths. What is the system's
// is the image's: nothing of /usr, /etc and their like. What is not here is left out.
std::vector<BindMount> mounts_of(const RecordedCrash& crash, const std::string& output,
                                 const Places& places);

struct Container {
  std::string image, name;
  std::vector<BindMount> mounts;
  std::optional<std::pair<uid_t, gid_t>> user;  // none: root
  bool captures_with_bpf = false;               // else by ptrace(2), which needs no privilege
  bool has_cgroup2 = false;                     // of the engine's machine, at /sys/fs/cgroup
  bool has_debug_files =
      false;  // /usr/lib/debug is there: the image may lack those of the same libraries
};

// `docker run ...` up to the arguments of crashcrawler-run, to which others are to be added.
std::vector<std::string> docker_command(const Container& container, const RecordedCrash& crash);

}  // namespace crashcrawler
