// Names of signals and of siginfo codes, as signal(7) and sigaction(2) spell them.
#pragma once

#include <string>

namespace crashcrawler {

// "SIGSEGV"; "SIG42" for a number without a name.
std::string signal_name(int number);

// "SEGV_MAPERR", "SI_USER" ...; "" when the pair is unknown.
std::string signal_code_name(int number, int code);

// The pair in a few words for a person: "no memory is mapped at the address"; "" when there is
// nothing to add.
std::string signal_code_meaning(int number, int code);

// True for the signals whose default action is a core dump (signal(7)).
bool is_core_signal(int number);

// True when si_addr of this pair is a fault address: a core signal that the kernel raised for an
// instruction.
bool has_fault_address(int number, int code);

// True when si_pid and si_uid are filled: kill(2), tgkill(2), sigqueue(3) and their like.
bool has_sender(int number, int code);

}  // namespace crashcrawler
