// A Backtrace as bytes, for the pipe between the child that makes it and its parent.
//
// The child has parsed hostile files and may not be itself any more: what it sends is checked like
// any other input. Numbers are little-endian base 128 (LEB128); every string is sent once per
// message and referred to by number after that, because the frames of a hundred threads name the
// same few functions.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/result.h"
#include "runner/model/backtrace.h"

namespace crashcrawler {

std::string to_wire(const Backtrace& backtrace);

// Error: the bytes are not what to_wire() makes.
Result<Backtrace> from_wire(std::string_view bytes);

}  // namespace crashcrawler
