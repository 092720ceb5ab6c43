// /proc/PID/mountinfo -> mounts, and where files are visible through them.
#include "runner/base/mount_info.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const Mount& mount : mounts_of(std::string(fuzz::text_of(data, size)))) {
    for (const char* path : {"/", "/usr/lib/libshelf.so.1", ""}) {
      const std::optional<std::string> place = path_through(mount, path);
      fuzz::require(!place ||
                    place->starts_with(mount.mount_point == "/" ? "" : mount.mount_point));
    }
  }
  return 0;
}
