// A diagnosis for a person and for a program.
#pragma once

#include <string>

#include "runner/doctor/diagnosis.h"

namespace crashcrawler {

// One line per check, the verdict, the lines that mend it. `coloured`: the states, for a terminal.
std::string text_of(const Diagnosis& diagnosis, const std::string& system, bool coloured);

// By docs/doctor.schema.json, with the lines of all places.
std::string json_of(const Diagnosis& diagnosis, const Trials& trials, const World& world,
                    const std::string& system, const std::string& version);

}  // namespace crashcrawler
