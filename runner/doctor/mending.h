// The lines that ask for what is missing, in the words of each place. Those of all container places are made from one
// set of options, so that what holds for one of them holds for the others.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "runner/doctor/finding.h"
#include "runner/doctor/place.h"
#include "runner/doctor/world.h"

namespace crashcrawler {

// Lines to copy, each complete; what is in capitals (IMAGE, COMMAND) is the reader's. Empty: nothing can be asked for
// there; the findings' advice then says what to do.
//   docker, podman   a command
//   kubernetes       a line of YAML for the container
//   github           a line of YAML below `container:`
//   gitlab           a line of TOML below `[runners.docker]` or `[runners.kubernetes]` of the runner's config.toml
//   plain            a command
// A command for inside of the container, or for the machine, follows where one is needed.
std::vector<std::string> lines_for(Place place, const std::set<Need>& needs, const World& world);

}  // namespace crashcrawler
