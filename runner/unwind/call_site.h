// Is a word from the stack a return address?
#pragma once

#include <cstdint>

#include "runner/unwind/address_space.h"
#include "runner/unwind/modules.h"

namespace crashcrawler {

// True when `address` lies in executable memory and the instruction before it is a call. Where the
// bytes before it cannot be read (the file is gone, generated code) being executable has to do.
bool is_return_address(uint64_t address, const ModuleMap& modules, const AddressSpace& memory);

}  // namespace crashcrawler
