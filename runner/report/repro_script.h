// crashes/<id>.repro.sh: what it takes to run a crash again, for people who have a shell and nothing of ours.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/model/session.h"

namespace crashcrawler {

// How the script begins: by that it is known as ours.
inline constexpr const char* kReproScriptMark = "#!/bin/sh\n# crashcrawler: ";

// One word for a shell, whatever its bytes are: none of them is executed.
std::string shell_quoted(const std::string& word);

// The text of the script, for sh(1).
std::string repro_script(const CrashReport& report, const Session& session);

// Writes the scripts of all crashes below `directory` and puts them into CrashReport::artifacts, or says in its soft_errors
// why there is none.
void write_repro_scripts(Session& session, const std::string& directory);

}  // namespace crashcrawler
