// A cgroup of others that a run is attached to: finding it, and waiting until it is empty.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/run.h"

namespace crashcrawler {

// The directory of a cgroup2: `path` itself, or where a path as in /proc/PID/cgroup lies below a cgroup2 that is mounted
// here. Error: it is neither, or the root of them all.
Result<std::string> find_cgroup(const std::string& path);

// That of a running container, by its name, its id or the beginning of that. Asked are docker(1) and podman(1), and where neither
// answers the names of the cgroups, which have the id (for 12 digits and more). Error: which one is meant is not clear, it
// does not run, or not below a cgroup2 of this machine.
Result<std::string> find_cgroup_of_container(const std::string& name);

// That of a container with this id, by the names of the cgroups. Error: there is none any more.
Result<std::string> find_cgroup_of_id(const std::string& id);

// The cgroups below the directory whose name has an id that begins with these digits, and no other of those above them:
// docker/ID, docker-ID.scope, libpod-ID.scope, cri-containerd-ID.scope.
std::vector<std::string> cgroups_named(const std::string& digits, const std::string& directory);

// The id of a container in the name of a cgroup: 64 hexadecimal digits in a row. Empty: it has none.
std::string container_id_in(const std::string& name);

// "/docker/ID/init.scope" -> "/docker/ID": what belongs to the container whose id begins with `id`. None: nothing does.
std::optional<std::string> container_part(const std::string& cgroup, const std::string& id);

// Waits until the last process of the cgroup has ended, or it was removed; until SIGINT, SIGTERM or SIGHUP comes, or for this
// time at most, which is then no time-out: nobody is ended. block_supervised_signals() has been called before.
Result<RunOutcome> watch_attached(const std::string& cgroup,
                                  std::optional<std::chrono::milliseconds> at_most);

}  // namespace crashcrawler
