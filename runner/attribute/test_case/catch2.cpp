// Catch2: TEST_CASE("name") is a function C_A_T_C_H_T_E_S_T_2 (version 2) or CATCH2_INTERNAL_TEST_2 (version 3), a method
// test() of a struct of that name for TEST_CASE_METHOD, and C_A_T_C_H_T_E_M_P_L_A_T_E_... or CATCH2_INTERNAL_TEMPLATE_... for
// templates. (catch_test_registry.h of both)
#include "runner/attribute/test_case/literal_name.h"

namespace crashcrawler {
namespace {

bool is_test_macro(std::string_view name) {
  if (name.starts_with("CATCH_")) {
    name.remove_prefix(6);
  }
  return name == "SCENARIO" || name == "SCENARIO_METHOD" ||
         name.find("TEST_CASE") != std::string_view::npos;
}

std::optional<Clue> from_stack(const StackFunctions& functions, SourceTexts& sources) {
  for (const StackFunction& function : functions) {
    for (const std::string_view prefix :
         {"C_A_T_C_H_T_E_S_T_", "CATCH2_INTERNAL_TEST_", "C_A_T_C_H_T_E_M_P_L_A_T_E_T_E_S_T_",
          "CATCH2_INTERNAL_TEMPLATE_TEST_"}) {
      if (function.name.find(prefix) != std::string_view::npos) {
        return clue_of_literal(function, sources, is_test_macro, "catch2");
      }
    }
  }
  return std::nullopt;
}

}  // namespace

const Framework kCatch2{nullptr, nullptr, from_stack};

}  // namespace crashcrawler
