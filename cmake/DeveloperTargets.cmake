# format, check_format, check: what a change has to pass, the same here and in CI.
find_program(CLANG_FORMAT NAMES clang-format clang-format-14)
file(GLOB_RECURSE CRASHCRAWLER_FORMATTED CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/runner/*.cpp ${PROJECT_SOURCE_DIR}/runner/*.h
  ${PROJECT_SOURCE_DIR}/bpf/*.c ${PROJECT_SOURCE_DIR}/bpf/*.h
  ${PROJECT_SOURCE_DIR}/tests/*.cpp ${PROJECT_SOURCE_DIR}/tests/*.h
  ${PROJECT_SOURCE_DIR}/fixtures/*.cpp ${PROJECT_SOURCE_DIR}/fixtures/*.c ${PROJECT_SOURCE_DIR}/fixtures/*.h)
if(CLANG_FORMAT)
  add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${CRASHCRAWLER_FORMATTED} VERBATIM)
  add_custom_target(check_format COMMAND ${CLANG_FORMAT} --dry-run --Werror ${CRASHCRAWLER_FORMATTED} VERBATIM)
endif()
if(CRASHCRAWLER_TESTS)
  add_custom_target(check COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
                    USES_TERMINAL VERBATIM)
endif()
