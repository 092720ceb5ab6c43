// What a user says of deaths that are on purpose, where evidence cannot show it.
#pragma once

#include <string>

namespace crashcrawler {

// In patterns * is any text and ? any character; an empty one is not asked for.
struct ExpectRule {
  std::string executable;  // of the whole path
  std::string test;        // of "Suite.Name", of what the runner calls it, of any candidate
  std::string signal;      // of "SIGABRT"
  std::string frame;       // of a function of the crashed thread, with or without its parameters
  std::string text;  // as the user wrote it, and where: "--expect exe=*/victim", "rules:3: ..."
};

}  // namespace crashcrawler
