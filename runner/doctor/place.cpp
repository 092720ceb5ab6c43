#include "runner/doctor/place.h"

namespace crashcrawler {
namespace {

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

Place engine_of(const World& world) {
  const std::string cgroups = world.text_of("/proc/self/cgroup");
  const std::string mounts = world.text_of("/proc/self/mountinfo");
  if (!world.variable("KUBERNETES_SERVICE_HOST").empty() || has(cgroups, "/kubepods")) {
    return Place::kubernetes;
  }
  if (world.exists("/run/.containerenv") || world.variable("container") == "podman" ||
      has(cgroups, "/libpod-") || has(mounts, "/containers/storage/overlay")) {
    return Place::podman;
  }
  if (world.exists("/.dockerenv") || has(cgroups, "/docker/") || has(cgroups, "/docker-") ||
      has(mounts, "/docker/containers/")) {
    return Place::docker;
  }
  return Place::plain;
}

}  // namespace

const char* name_of(Place place) {
  switch (place) {
    case Place::docker:
      return "docker";
    case Place::podman:
      return "podman";
    case Place::kubernetes:
      return "kubernetes";
    case Place::github:
      return "github";
    case Place::gitlab:
      return "gitlab";
    case Place::plain:
      break;
  }
  return "plain";
}

const char* words_for(Place place) {
  switch (place) {
    case Place::docker:
      return "a Docker container";
    case Place::podman:
      return "a Podman container";
    case Place::kubernetes:
      return "a Kubernetes pod";
    case Place::github:
      return "a GitHub job in a container";
    case Place::gitlab:
      return "a GitLab job in a container";
    case Place::plain:
      break;
  }
  return "a machine without a container";
}

Place find_place(const World& world) {
  const Place engine = engine_of(world);
  if (engine != Place::plain && !world.variable("GITHUB_ACTIONS").empty()) {
    return Place::github;
  }
  if (engine != Place::plain && !world.variable("GITLAB_CI").empty()) {
    return Place::gitlab;
  }
  return engine;
}

}  // namespace crashcrawler
