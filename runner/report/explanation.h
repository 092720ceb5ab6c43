// The instruction that faulted, the source lines and the memory around it: for the reader who wants to know why.
#pragma once

#include <string>

#include "runner/model/crash_report.h"

namespace crashcrawler {

// What the faulting instruction wanted to do at the fault address.
enum class FaultAccess { unknown, read, write, read_and_write };

// Unknown unless the signal names an address, and one operand of the instruction, or several that agree, lies there.
FaultAccess fault_access(const CrashReport& report);

// Sections of crashes/<id>.txt, each with its title and an empty line before it; empty: nothing is known.
std::string source_section(const CrashReport& report, const std::string& directory);
std::string instructions_section(const CrashReport& report);
std::string memory_section(const CrashReport& report);

}  // namespace crashcrawler
