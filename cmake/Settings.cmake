# How our own code is compiled: language level, warnings, sanitizers. INTERFACE targets, so that fixtures (which are
# wrong on purpose) and dependencies stay out of it.
set(CRASHCRAWLER_SANITIZERS "" CACHE STRING "Comma-separated list for -fsanitize= of our own programs")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(crashcrawler_settings INTERFACE)
target_compile_features(crashcrawler_settings INTERFACE cxx_std_20 c_std_11)
target_compile_definitions(crashcrawler_settings INTERFACE _GNU_SOURCE)
target_include_directories(crashcrawler_settings INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(crashcrawler_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  -Wno-missing-field-initializers
  $<$<BOOL:${CRASHCRAWLER_WERROR}>:-Werror>)
# A release has the same bytes wherever it is built.
target_compile_options(crashcrawler_settings INTERFACE
  $<$<CONFIG:Release>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>)
set_property(TARGET crashcrawler_settings PROPERTY EXPORT_NAME settings)

if(CRASHCRAWLER_SANITIZERS)
  target_compile_options(crashcrawler_settings INTERFACE
    -fsanitize=${CRASHCRAWLER_SANITIZERS} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(crashcrawler_settings INTERFACE -fsanitize=${CRASHCRAWLER_SANITIZERS})
endif()

# Everything of ours is compiled with the counters that libFuzzer steers by; only its targets link libFuzzer's main().
if(CRASHCRAWLER_FUZZ)
  target_compile_options(crashcrawler_settings INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(crashcrawler_settings INTERFACE -fsanitize=address,undefined)
endif()
