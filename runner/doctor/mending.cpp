#include "runner/doctor/mending.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runner/doctor/checks.h"

namespace crashcrawler {
namespace {

using Words = std::vector<std::string>;

// What a container has to be started with.
struct ContainerOptions {
  bool root_user = false, capabilities = false, cgroup = false, unfiltered = false;
  bool first_user_namespace = false, core_limit = false, descriptors = false;

  bool any() const {
    return root_user || capabilities || cgroup || unfiltered || first_user_namespace ||
           core_limit || descriptors;
  }
};

ContainerOptions options_for(const std::set<Need>& needs) {
  ContainerOptions options;
  // Root in a container has none of the two by default, so whoever becomes root is in want of them, too.
  const bool becomes_root = needs.contains(Need::root) || needs.contains(Need::sudo_rule) ||
                            needs.contains(Need::new_privileges);
  options.root_user = becomes_root;
  options.capabilities = becomes_root || needs.contains(Need::capabilities) ||
                         needs.contains(Need::own_user_namespace);
  options.cgroup = needs.contains(Need::cgroup);
  options.unfiltered = needs.contains(Need::system_calls);
  options.first_user_namespace = needs.contains(Need::own_user_namespace);
  options.descriptors = needs.contains(Need::descriptors);
  options.core_limit = needs.contains(Need::core_limit);
  return options;
}

// All that full capture takes, also what is there already: the line replaces the one that started this container.
// `podman`: its unprivileged containers have a cgroup2 of their own, which only has to be unmasked (podman-run(1)); but its filter
// refuses bpf(2) to all that have no CAP_SYS_ADMIN (github.com/containers/common/issues/1988).
Words engine_words(const ContainerOptions& options, bool podman) {
  Words words;
  const auto add = [&words](std::initializer_list<const char*> more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  if (options.root_user) {
    add({"--user", "0"});  // an image may have no names
  }
  add({"--cap-add", "BPF", "--cap-add", "PERFMON"});
  if (options.first_user_namespace) {
    add({"--userns", "host"});
  }
  if (podman) {
    add({"--security-opt", "unmask=/sys/fs/cgroup"});
  } else {
    add({"--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"});
  }
  if (options.unfiltered || podman) {
    add({"--security-opt", "seccomp=unconfined"});
  }
  if (options.descriptors) {
    add({"--ulimit", "nofile=1024"});
  }
  if (options.core_limit) {
    add({"--ulimit", "core=1"});
  }
  return words;
}

// What crashcrawler-run itself is to be given; "": nothing.
std::string run_line(const std::set<Need>& needs, const World& world) {
  const bool output = needs.contains(Need::output), temporary = needs.contains(Need::temporary);
  const std::string folder = output || temporary ? writable_folder(world) : "";
  if (folder.empty()) {
    return "";
  }
  return fmt::format("{}crashcrawler-run{} -- COMMAND", temporary ? "TMPDIR=" + folder + " " : "",
                     output ? fmt::format(" --output-dir {}/crashcrawler-out", folder) : "");
}

std::string as_root(const World& world, const std::string& command) {
  return (world.user == 0 ? "" : "sudo ") + command;
}

std::string id_of_system(const World& world) {
  std::string text = "\n" + world.text_of("/etc/os-release");
  if (text.size() == 1) {
    text += world.text_of("/usr/lib/os-release");
  }
  const size_t start = text.find("\nID=");
  if (start == std::string::npos) {
    return "";
  }
  std::string id = text.substr(start + 4, text.find('\n', start + 4) - start - 4);
  std::erase(id, '"');
  return id;
}

// How the C library's debug information is installed; "": there is no package of it.
std::string install_names(const World& world) {
  const std::string id = id_of_system(world);
  if (id == "debian" || id == "ubuntu") {
    return as_root(world, "apt-get install -y --no-install-recommends libc6-dbg");
  }
  if (id == "fedora") {
    return as_root(world, "dnf debuginfo-install -y glibc");
  }
  if (id == "alpine") {
    return as_root(world, "apk add musl-dbg");
  }
  return world.variable("DEBUGINFOD_URLS").empty() ? ""
                                                   : "crashcrawler-run --debuginfod -- COMMAND";
}

bool may_mount(const World& world) {
  constexpr int kSysAdmin = 21;  // linux/capability.h
  const std::string mask = world.status_field(world.user == 0 ? "CapEff" : "CapBnd");
  return mask.empty() || (std::strtoull(mask.c_str(), nullptr, 16) >> kSysAdmin & 1) != 0;
}

// What is mounted, on a machine or in a container that may.
void add_mounts(const std::set<Need>& needs, const World& world, Words& commands) {
  if (!may_mount(world)) {
    return;
  }
  if (needs.contains(Need::procfs)) {
    commands.push_back(as_root(world, "mount -t proc proc /proc"));
  }
  if (needs.contains(Need::sysfs)) {
    commands.push_back(as_root(world, "mount -t sysfs sysfs /sys"));
  }
  if (needs.contains(Need::types)) {
    commands.push_back(as_root(world, "umount " + hiding_mount(world, "/sys/kernel/btf/vmlinux")));
  }
}

Words plain_lines(const std::set<Need>& needs, const World& world) {
  Words commands;
  add_mounts(needs, world, commands);
  if (needs.contains(Need::cgroup) && may_mount(world)) {
    commands.push_back(as_root(world, "mkdir -p /run/cgroup2") + " && " +
                       as_root(world, "mount -t cgroup2 none /run/cgroup2"));
  }
  if (needs.contains(Need::ptrace_scope)) {
    commands.push_back(as_root(world, "sysctl kernel.yama.ptrace_scope=1"));
  }
  if (needs.contains(Need::descriptors) && world.descriptor_limits().second >= kFewestDescriptors) {
    commands.push_back("ulimit -n $(ulimit -Hn)");
  }
  if (needs.contains(Need::core_limit)) {
    commands.push_back(as_root(world, "prlimit --core=1:1 --pid $$"));
  }
  if (needs.contains(Need::sudo_rule)) {
    commands.push_back(
        fmt::format("echo '{} ALL=(root) NOPASSWD: {}' | sudo tee /etc/sudoers.d/zz-crashcrawler",
                    world.user_name, world.probe));
  }
  Words lines;
  if (!commands.empty()) {
    lines.push_back(fmt::format("{}", fmt::join(commands, " && ")));
  }
  if (needs.contains(Need::root)) {
    lines.push_back(fmt::format("su -c 'crashcrawler-run --user {} -- COMMAND'", world.user_name));
  }
  return lines;
}

std::string kubernetes_line(const ContainerOptions& options) {
  Words fields;
  if (options.cgroup || options.first_user_namespace) {
    fields.push_back("privileged: true");
  } else if (options.capabilities) {
    fields.push_back("capabilities: {add: [BPF, PERFMON]}");
  }
  if (options.root_user) {
    fields.push_back("runAsUser: 0");
  }
  if (options.unfiltered && !options.cgroup) {
    fields.push_back("seccompProfile: {type: Unconfined}");
  }
  return fields.empty() ? "" : fmt::format("securityContext: {{{}}}", fmt::join(fields, ", "));
}

Words gitlab_lines(const ContainerOptions& options) {
  Words lines;
  if (options.capabilities || options.cgroup || options.unfiltered ||
      options.first_user_namespace) {
    lines.push_back("privileged = true");
  }
  if (options.root_user) {
    lines.push_back("user = \"0\"");
  }
  return lines;
}

Words container_lines(Place place, const ContainerOptions& options) {
  const std::string words =
      fmt::format("{}", fmt::join(engine_words(options, place == Place::podman), " "));
  switch (place) {
    case Place::docker:
      return {"docker run " + words + " IMAGE crashcrawler-run -- COMMAND"};
    case Place::podman:
      return {"sudo podman run " + words + " IMAGE crashcrawler-run -- COMMAND"};
    case Place::github:
      return {"options: " + words};
    case Place::gitlab:
      return gitlab_lines(options);
    case Place::kubernetes: {
      const std::string line = kubernetes_line(options);
      return line.empty() ? Words() : Words{line};
    }
    case Place::plain:
      break;
  }
  return {};
}

}  // namespace

std::vector<std::string> lines_for(Place place, const std::set<Need>& needs, const World& world) {
  Words lines;
  if (place == Place::plain) {
    lines = plain_lines(needs, world);
  } else {
    const ContainerOptions options = options_for(needs);
    if (options.any()) {
      lines = container_lines(place, options);
    }
    Words commands;
    add_mounts(needs, world, commands);
    lines.insert(lines.end(), commands.begin(), commands.end());
  }
  if (const std::string line = run_line(needs, world); !line.empty()) {
    lines.push_back(line);
  }
  if (needs.contains(Need::debug_information)) {
    if (const std::string line = install_names(world); !line.empty()) {
      lines.push_back(line);
    }
  }
  return lines;
}

}  // namespace crashcrawler
