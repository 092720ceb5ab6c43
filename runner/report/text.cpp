// Names, arguments and paths of a crashed program are chosen by whoever wrote it, and a program
// that dies of memory corruption writes anything. They end in files that CI servers parse and in
// logs that terminals interpret, so every one of them passes through here, once, before it meets a
// format.
//
// What is dangerous, by authority: XML 1.0 (section 2.2) forbids most control characters even as
// references, U+FFFE, U+FFFF and surrogates; ECMA-48 gives ESC and, in UTF-8 terminals,
// U+0080..U+009F their power; Unicode's bidirectional controls let a file name read as another.
// Escape sequences are removed whole, because what remains without the ESC ("[31m") is noise. An
// unfinished one costs its ESC alone: the rest may be the message.
#include "runner/report/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace crashcrawler {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kEllipsis = "\xe2\x80\xa6";     // U+2026
constexpr size_t kLongestStringSequence = 512;             // OSC, DCS ...: longer is not one

struct Decoded {
  uint32_t code_point = 0;
  size_t length = 1;  // bytes it takes; of a broken sequence those to replace by one U+FFFD
  bool valid = false;
};

// Table 3-7 of the Unicode standard; a broken sequence is cut as its "maximal subpart".
Decoded decode(std::string_view text) {
  const auto byte = [&](size_t i) -> uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const uint32_t first = byte(0);
  if (first < 0x80) {
    return {first, 1, true};
  }
  if (first < 0xc2 || first > 0xf4) {
    return {};
  }
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const uint32_t lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint32_t highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < lowest || byte(1) > highest) {
    return {};
  }
  uint32_t code_point = ((first & (0x7fu >> length)) << 6) | (byte(1) & 0x3f);
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) {
      return {0, i, false};
    }
    code_point = (code_point << 6) | (byte(i) & 0x3f);
  }
  return {code_point, length, true};
}

bool is_in(char c, unsigned char low, unsigned char high) {
  return static_cast<unsigned char>(c) >= low && static_cast<unsigned char>(c) <= high;
}

// The length of the terminal sequence at the start of `text`, which begins with ESC; 0 when it is
// none (ECMA-48, sections 5.3 to 5.6; BEL as the end of an OSC is xterm's).
size_t escape_sequence(std::string_view text) {
  if (text.size() < 2) {
    return 0;
  }
  const char kind = text[1];
  size_t i = 2;
  if (kind == '[') {
    while (i < text.size() && is_in(text[i], 0x30, 0x3f)) {
      ++i;
    }
    while (i < text.size() && is_in(text[i], 0x20, 0x2f)) {
      ++i;
    }
    return i < text.size() && is_in(text[i], 0x40, 0x7e) ? i + 1 : 0;
  }
  if (kind == ']' || kind == 'P' || kind == 'X' || kind == '^' || kind == '_') {
    const size_t end = std::min(text.size(), kLongestStringSequence);
    for (; i < end; ++i) {
      if (text[i] == '\a') {
        return i + 1;
      }
      if (text[i] == '\x1b') {  // ends it with a backslash, aborts it with anything else
        return i + 1 < end && text[i + 1] == '\\' ? i + 2 : 0;
      }
    }
    return 0;
  }
  i = 1;
  while (i < text.size() && is_in(text[i], 0x20, 0x2f)) {
    ++i;
  }
  return i < text.size() && is_in(text[i], 0x30, 0x7e) ? i + 1 : 0;
}

bool is_bidirectional_control(uint32_t c) {
  return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

bool is_forbidden_in_xml(uint32_t c) {
  return (c & 0xfffe) == 0xfffe;
}

bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

std::string spelled(uint32_t c) {
  if (c == '\n' || c == '\r') {
    return c == '\n' ? "\\n" : "\\r";
  }
  std::array<char, 16> text;
  std::snprintf(text.data(), text.size(), c < 0x80 ? "\\x%02x" : "\\u%04x", c);
  return text.data();
}

}  // namespace

std::string printable(std::string_view bytes, Lines lines) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Decoded next = decode(bytes);
    const size_t escape = next.code_point == 0x1b ? escape_sequence(bytes) : 0;
    const size_t length = escape != 0 ? escape : next.length;
    if (!next.valid || is_forbidden_in_xml(next.code_point)) {
      text += kReplacement;
    } else if (escape != 0) {
      // removed
    } else if (next.code_point == '\t' || (next.code_point == '\n' && lines == Lines::many)) {
      text += lines == Lines::many ? bytes[0] : ' ';
    } else if (is_control(next.code_point) || is_bidirectional_control(next.code_point)) {
      text += spelled(next.code_point);
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return text;
}

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_in(c, 0x80, 0xbf); }));
}

std::string shortened(std::string_view text, size_t characters) {
  size_t count = 0, last_start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_in(text[i], 0x80, 0xbf)) {
      continue;
    }
    if (++count > characters) {
      return std::string(text.substr(0, last_start)) + std::string(kEllipsis);
    }
    last_start = count == characters ? i : last_start;
  }
  return std::string(text);
}

std::string brief(std::string_view bytes, size_t characters) {
  const std::string_view looked_at = bytes.substr(0, 8 * characters);
  std::string text = printable(looked_at, Lines::one);
  if (looked_at.size() < bytes.size()) {
    text += kEllipsis;
  }
  return shortened(text, characters);
}

std::string clipped(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) {
    return text;
  }
  constexpr size_t kNotice = 64;
  const size_t half = bytes > kNotice ? (bytes - kNotice) / 2 : 0;
  size_t head = half, tail = text.size() - half;
  while (head > 0 && is_in(text[head], 0x80, 0xbf)) {
    --head;
  }
  while (tail < text.size() && is_in(text[tail], 0x80, 0xbf)) {
    ++tail;
  }
  return text.substr(0, head) + "\n[" + std::to_string(tail - head) + " bytes left out]\n" +
         text.substr(tail);
}

}  // namespace crashcrawler
