// Compilers give functions of internal linkage (static, anonymous namespace) no DW_AT_linkage_name,
// and those are just the helpers tests are full of. Their readable name is put together from the
// scopes around their declaration. A DIE does not know its parent, so the way down to it is
// searched: among siblings the last one that begins before it.
#include "runner/unwind/die_name.h"

#include <dwarf.h>

#include <vector>

#include "runner/unwind/demangle.h"

namespace crashcrawler {

namespace {

constexpr int kMostOrigins = 16;  // a chain of origins can be a ring
constexpr int kMostScopes = 64;

// Where the function is declared: what the chain of DW_AT_abstract_origin and DW_AT_specification
// ends in.
Dwarf_Die declaration_of(const Dwarf_Die& die) {
  Dwarf_Die current = die;
  for (int i = 0; i < kMostOrigins; ++i) {
    Dwarf_Attribute attribute;
    Dwarf_Die next;
    Dwarf_Attribute* found = dwarf_attr(&current, DW_AT_abstract_origin, &attribute);
    if (found == nullptr) {
      found = dwarf_attr(&current, DW_AT_specification, &attribute);
    }
    if (found == nullptr || dwarf_formref_die(found, &next) == nullptr) {
      break;
    }
    current = next;
  }
  return current;
}

// "app::(anonymous namespace)::Store::" for what lies at `target`.
std::string scopes_around(Dwarf_Die* unit, Dwarf_Off target) {
  std::string scopes;
  Dwarf_Die level = *unit;
  for (int depth = 0; depth < kMostScopes; ++depth) {
    Dwarf_Die child;
    if (dwarf_child(&level, &child) != 0) {
      break;
    }
    Dwarf_Off offset = dwarf_dieoffset(&child);
    while (offset < target) {
      Dwarf_Die next;
      if (dwarf_siblingof(&child, &next) != 0) {
        break;
      }
      const Dwarf_Off next_offset = dwarf_dieoffset(&next);
      if (next_offset <= offset || next_offset > target) {
        break;
      }
      child = next;
      offset = next_offset;
    }
    if (offset >= target) {
      break;
    }
    const char* name = dwarf_diename(&child);
    switch (dwarf_tag(&child)) {
      case DW_TAG_namespace:
        scopes += std::string(name != nullptr ? name : "(anonymous namespace)") + "::";
        break;
      case DW_TAG_class_type:
      case DW_TAG_structure_type:
      case DW_TAG_union_type:
      case DW_TAG_module:
        scopes += name != nullptr ? std::string(name) + "::" : "";
        break;
      default:
        break;  // a function or block around a local class adds nothing people would look for
    }
    level = child;
  }
  return scopes;
}

const char* linkage_name_of(Dwarf_Die* die) {
  for (const unsigned code : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name}) {
    Dwarf_Attribute attribute;
    const char* name = dwarf_formstring(dwarf_attr_integrate(die, code, &attribute));
    if (name != nullptr) {
      return name;
    }
  }
  return nullptr;
}

}  // namespace

FunctionName function_name(Dwarf_Die* die) {
  FunctionName name;
  const char* linkage = linkage_name_of(die);
  const char* plain = dwarf_diename(die);
  if (linkage != nullptr) {
    name.linkage = linkage;
  } else if (plain != nullptr) {
    name.linkage = plain;
  }
  name.mangled = is_mangled(name.linkage);
  if (name.mangled || plain == nullptr) {
    name.readable = readable_name(name.linkage);
    return name;
  }
  Dwarf_Die declaration = declaration_of(*die);
  Dwarf_Die unit;
  if (dwarf_diecu(&declaration, &unit, nullptr, nullptr) != nullptr) {
    name.readable = scopes_around(&unit, dwarf_dieoffset(&declaration));
  }
  name.readable += plain;
  return name;
}

}  // namespace crashcrawler
