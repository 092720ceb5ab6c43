// Bytes from a dead process made fit for terminals, XML and people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crashcrawler {

enum class Lines { one, many };

// Valid UTF-8 that XML 1.0 admits and that moves no cursor: broken sequences become U+FFFD,
// terminal escape sequences go, other control characters are spelled out ("\x01", "\u202e"). With
// Lines::one, newlines are spelled out too and tabs become spaces; with Lines::many both stay.
std::string printable(std::string_view bytes, Lines lines);

// At most `characters` of it, the last one "…" when something was cut. `text` must be valid UTF-8.
std::string shortened(std::string_view text, size_t characters);

// printable() on one line and shortened(), at a cost that does not grow with `bytes`.
std::string brief(std::string_view bytes, size_t characters);

// At most `bytes` of a text of many lines: its head and its tail, with a line between them that
// says what is missing.
std::string clipped(const std::string& text, size_t bytes);

// The number of code points; of valid UTF-8.
size_t count_characters(std::string_view text);

}  // namespace crashcrawler
