// Where we are: it decides how what is missing is asked for.
#pragma once

#include <array>
#include <string>

#include "runner/doctor/world.h"

namespace crashcrawler {

// github, gitlab: a job in a container. A job on the machine itself is mended as any machine is.
enum class Place { docker, podman, kubernetes, github, gitlab, plain };

inline constexpr std::array kPlaces{Place::docker, Place::podman, Place::kubernetes,
                                    Place::github, Place::gitlab, Place::plain};

// "docker", ...: as --for and the JSON have it.
const char* name_of(Place place);

// "a Docker container", ...
const char* words_for(Place place);

// By the marks that the engines leave: /.dockerenv; /run/.containerenv and the variable `container`
// (podman-run(1)); KUBERNETES_SERVICE_HOST; GITHUB_ACTIONS; GITLAB_CI; names in the paths of cgroups and mounts.
Place find_place(const World& world);

}  // namespace crashcrawler
