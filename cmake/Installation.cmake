# What `cmake --install` puts where, and the .deb. The components:
#
#   Programs         the programs as they were linked for this machine
#   Static, Package  those of the tarball and of the .deb (cmake/PackagedPrograms.cmake); not installed unless asked for
#   Support          manual pages, completions, documentation
#
# Nothing of it knows the prefix: crashcrawler-run finds the probe from its own place (runner/launch/start_probe.cpp).
# packaging/make-archives makes the tarball and the .deb of it.

# crashcrawler_install_programs(COMPONENT SUFFIX option...)
function(crashcrawler_install_programs component suffix)
  install(TARGETS crashcrawler-run${suffix} crashcrawler${suffix}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component} ${ARGN})
  install(TARGETS crashcrawler-probe${suffix}
    RUNTIME DESTINATION libexec/crashcrawler COMPONENT ${component} ${ARGN})
endfunction()

crashcrawler_install_programs(Programs "")
if(CRASHCRAWLER_PACKAGES)
  crashcrawler_install_programs(Static -static EXCLUDE_FROM_ALL)
  crashcrawler_install_programs(Package -package EXCLUDE_FROM_ALL)
endif()

set(completions ${PROJECT_BINARY_DIR}/completions)
set(completion_files ${completions}/bash/crashcrawler-run ${completions}/bash/crashcrawler
  ${completions}/zsh/_crashcrawler-run ${completions}/zsh/_crashcrawler
  ${completions}/fish/crashcrawler-run.fish ${completions}/fish/crashcrawler.fish)
add_custom_command(OUTPUT ${completion_files}
  COMMAND ${CMAKE_COMMAND} -DRUN=$<TARGET_FILE:crashcrawler-run> -DSHOW=$<TARGET_FILE:crashcrawler>
          -DOUT=${completions} -P ${PROJECT_SOURCE_DIR}/cmake/Completions.cmake
  DEPENDS crashcrawler-run crashcrawler ${PROJECT_SOURCE_DIR}/cmake/Completions.cmake
  COMMENT "Writing the completions"
  VERBATIM)
add_custom_target(completions ALL DEPENDS ${completion_files})
install(DIRECTORY ${completions}/bash/
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT Support)
install(DIRECTORY ${completions}/zsh/ DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT Support)
install(DIRECTORY ${completions}/fish/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT Support)

foreach(page crashcrawler-run.1 crashcrawler.1)
  configure_file(${PROJECT_SOURCE_DIR}/man/${page}.in ${PROJECT_BINARY_DIR}/man/${page} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/man/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT Support)
endforeach()

# as they lie in the source, so that the links from one to the other work
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT Support)
install(FILES docs/report.schema.json docs/frameworks.md docs/core-dump-cost.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT Support)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME crashcrawler)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "The CrashCrawler authors")
set(CPACK_PACKAGE_CONTACT "The CrashCrawler authors <noreply@github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "crashcrawler-run starts a test command in a cgroup of its own, watches
it through eBPF, and reports every process of it that crashes: stacks of
all threads, registers, last words, and the version of every library, as
JUnit XML, JSON, text and core files.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${PROJECT_BINARY_DIR};crashcrawler;Package;/;${PROJECT_BINARY_DIR};crashcrawler;Support;/")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS sudo)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "debuginfod, gdb")
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/debian/stage.cmake)
include(CPack)
