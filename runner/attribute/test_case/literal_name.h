// Catch2 and doctest name a test by a string; its function has a number. The string is in the source, above the line that
// the function stood at.
#pragma once

#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {

// A clue from `function`, in a test that begins with one of the macros; the name is the file and line where the source
// cannot be read.
Clue clue_of_literal(const StackFunction& function, SourceTexts& sources, IsWanted is_test_macro,
                     const std::string& framework);

}  // namespace crashcrawler
