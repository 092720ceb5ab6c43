// What happened, in one sentence, the same one in every report.
#pragma once

#include <string>

#include "runner/model/crash_report.h"

namespace crashcrawler {

// The signal and its address in words: "nothing is mapped at address 0x0 (null pointer)".
// Printable, one line.
std::string cause_in_words(const CrashReport& report);

// "SIGSEGV", or what else ended the process: "AddressSanitizer", "hang".
std::string event_name(const CrashReport& report);

// "SIGSEGV: " and the cause; the cause alone where there was no signal.
std::string signal_in_words(const CrashReport& report);

// "Suite.Name", printable.
std::string test_in_words(const TestCase& test);

// "null_write died of SIGSEGV: nothing is mapped at address 0x0 (null pointer), in write_null at
// null_write.cpp:12, in test Suite.Name"; paths as seen from `directory`. Without a pid and without a time: the next
// run says the same.
std::string headline(const CrashReport& report, const std::string& directory);

// The program's name: of its file, else of the process, else "process PID"; "" when not even that is known. Printable.
std::string program_name(const RawCrash& crash);

}  // namespace crashcrawler
