# The same programs again, linked of the same object files and archives, so that nothing is compiled twice:
#
#   TARGET-static   for the tarball: no shared library at all, for systems that have none of ours, or older ones.
#                   Position-independent, because compilers of today make all objects so. The linker warns of getpwnam,
#                   initgroups and dlopen, which is_static_program() (runner/base/program_output.h) is there for
#   TARGET-package  for the .deb: those libraries are shared that have the same name in Debian 12, Debian 13 and Ubuntu
#                   24.04; fmt, spdlog and Capstone, which have not, are in it

# Debian has these two as shared libraries only; their headers hold all that an archive needs.
add_library(crashcrawler_static_fmt STATIC EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/packaging/static/fmt.cpp)
target_link_libraries(crashcrawler_static_fmt PRIVATE crashcrawler_settings fmt::fmt)
add_library(crashcrawler_static_spdlog STATIC EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/packaging/static/spdlog.cpp)
target_link_libraries(crashcrawler_static_spdlog PRIVATE crashcrawler_settings spdlog::spdlog)

# Appends to `out` what `item` of a target's link libraries, and all that it needs, is on the command line of a static
# link: our archives by their files, what lies elsewhere by name (-lNAME), so that the linker finds the archive. Targets that were
# seen are in the global property CRASHCRAWLER_STATIC_SEEN.
function(crashcrawler_static_item item out)
  set(words ${${out}})
  string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" item "${item}")
  if(NOT TARGET "${item}")
    if(item MATCHES "/lib([^/]+)\\.(so|a)[0-9.]*$")
      set(item -l${CMAKE_MATCH_1})
    endif()
    set(${out} ${words} ${item} PARENT_SCOPE)
    return()
  endif()
  get_target_property(original ${item} ALIASED_TARGET)
  if(original)
    set(item ${original})
  endif()
  get_property(seen GLOBAL PROPERTY CRASHCRAWLER_STATIC_SEEN)
  if(item IN_LIST seen)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY CRASHCRAWLER_STATIC_SEEN ${item})

  get_target_property(type ${item} TYPE)
  get_target_property(imported ${item} IMPORTED)
  if(item MATCHES "^(fmt|spdlog)::")
    list(APPEND words $<TARGET_FILE:crashcrawler_static_${CMAKE_MATCH_1}>)
  elseif(imported AND NOT type STREQUAL INTERFACE_LIBRARY)
    foreach(suffix "" _NONE _RELEASE _RELWITHDEBINFO)
      get_target_property(file ${item} IMPORTED_LOCATION${suffix})
      if(file)
        crashcrawler_static_item(${file} words)
        break()
      endif()
    endforeach()
  elseif(type STREQUAL STATIC_LIBRARY)
    list(APPEND words $<TARGET_FILE:${item}>)
  endif()
  get_target_property(needed ${item} INTERFACE_LINK_LIBRARIES)
  if(needed)
    foreach(library IN LISTS needed)
      crashcrawler_static_item("${library}" words)
    endforeach()
  endif()
  set(${out} ${words} PARENT_SCOPE)
endfunction()

# crashcrawler_packaged_program(TARGET): TARGET-static and TARGET-package, whose files have the name of TARGET, in static/
# and package/.
function(crashcrawler_packaged_program program)
  set_property(GLOBAL PROPERTY CRASHCRAWLER_STATIC_SEEN)
  set(archives)
  get_target_property(libraries ${program} LINK_LIBRARIES)
  foreach(library IN LISTS libraries)
    crashcrawler_static_item("${library}" archives)
  endforeach()
  # What the archives of the system need themselves, which their shared libraries would bring along.
  foreach(library IN LISTS LIBDW_STATIC_LIBRARIES LIBELF_STATIC_LIBRARIES LIBBPF_STATIC_LIBRARIES)
    list(APPEND archives -l${library})
  endforeach()
  list(REMOVE_DUPLICATES archives)
  set(files ${archives})
  list(FILTER files INCLUDE REGEX "TARGET_FILE")

  foreach(kind static package)
    add_executable(${program}-${kind} $<TARGET_OBJECTS:${program}>)
    set_target_properties(${program}-${kind} PROPERTIES
      OUTPUT_NAME ${program} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${kind} LINKER_LANGUAGE CXX
      LINK_DEPENDS "${files}")
    add_dependencies(${program}-${kind} ${program} crashcrawler_static_fmt crashcrawler_static_spdlog)
  endforeach()
  target_link_options(${program}-static PRIVATE -static-pie)
  target_link_libraries(${program}-static PRIVATE -Wl,--start-group ${archives} -Wl,--end-group)
  string(REGEX REPLACE "-l(capstone|boost_filesystem)(;|$)" "-l:lib\\1.a\\2" archives "${archives}")
  target_link_libraries(${program}-package PRIVATE
    -Wl,--as-needed -Wl,--start-group ${archives} -Wl,--end-group)
endfunction()
