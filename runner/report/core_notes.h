// The notes of a core file: what the kernel writes beside the memory.
#pragma once

#include <string>

#include "runner/model/crash_report.h"
#include "runner/report/core_modules.h"

namespace crashcrawler {

// The owner of the first note, by which a core file says that it is ours.
inline constexpr const char* kCoreMark = "CrashCrawler";

// The PT_NOTE of the core, in the layout of fill_note_info() (fs/binfmt_elf.c): the crashing thread
// first. Registers and signal are those that the report shows.
std::string core_notes(const CrashReport& report, const PinnedFiles& files,
                       const CoreModules& modules);

}  // namespace crashcrawler
