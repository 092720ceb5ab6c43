// Names of functions in debug information.
#pragma once

#include <elfutils/libdw.h>

#include <string>

namespace crashcrawler {

struct FunctionName {
  std::string readable;  // demangled, or with its namespaces and classes in front
  std::string linkage;   // DW_AT_linkage_name, else the plain name
  bool mangled = false;  // `linkage` is a mangled name
};

// Of a DW_TAG_subprogram or DW_TAG_inlined_subroutine; all empty when it has no name.
FunctionName function_name(Dwarf_Die* die);

}  // namespace crashcrawler
