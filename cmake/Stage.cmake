# crashcrawler_stage(NAME SOURCES file... LINK target...)
#
# One static library per stage of the pipeline, crashcrawler_NAME. A stage may link only base, model and outside
# libraries: that a call into another stage does not link is the rule of ARCHITECTURE.md, enforced.
function(crashcrawler_stage name)
  cmake_parse_arguments(PARSE_ARGV 1 STAGE "" "" "SOURCES;LINK")
  add_library(crashcrawler_${name} STATIC ${STAGE_SOURCES})
  target_link_libraries(crashcrawler_${name} PUBLIC crashcrawler_settings ${STAGE_LINK})
  if(NOT name STREQUAL "base")
    target_link_libraries(crashcrawler_${name} PUBLIC crashcrawler_base)
  endif()
endfunction()

# crashcrawler_unit_test(NAME SOURCES file... LINK target...)
#
# unit_NAME: the tests of one stage, linked with that stage alone. Sanitizers make them several times slower.
function(crashcrawler_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 TEST "" "" "SOURCES;LINK")
  add_executable(unit_${name} ${TEST_SOURCES})
  target_link_libraries(unit_${name} PRIVATE crashcrawler_${name} ${TEST_LINK} GTest::gtest_main GTest::gmock)
  add_test(NAME unit_${name} COMMAND unit_${name})
  set(seconds 120)
  if(CRASHCRAWLER_SANITIZERS)
    set(seconds 600)
  endif()
  set_tests_properties(unit_${name} PROPERTIES LABELS unit TIMEOUT ${seconds})
endfunction()
