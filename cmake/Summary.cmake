message(STATUS "crashcrawler ${PROJECT_VERSION}: ${CMAKE_BUILD_TYPE}, ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, "
               "sanitizers: '${CRASHCRAWLER_SANITIZERS}', tests: ${CRASHCRAWLER_TESTS}")
message(STATUS "  libbpf ${LIBBPF_VERSION}, elfutils ${LIBDW_VERSION}, Boost ${Boost_VERSION}, BPF by ${BPF_CLANG}")
