# Run by CPack over the staged files, before it packs them: what Debian's policy wants otherwise than other systems, and
# what makes two packages of one commit the same bytes.
set(usr ${CPACK_TEMPORARY_DIRECTORY}/usr)
set(documentation ${usr}/share/doc/crashcrawler)

file(COPY ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION ${documentation})
file(REMOVE ${documentation}/LICENSE) # its text is in copyright
file(RENAME ${documentation}/CHANGELOG.md ${documentation}/changelog)
file(MAKE_DIRECTORY ${usr}/share/zsh)
file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions) # where Debian's zsh looks

if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  message(FATAL_ERROR "SOURCE_DATE_EPOCH is not set; packaging/make-archives does that")
endif()
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH
file(WRITE ${documentation}/changelog.Debian
  "crashcrawler (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium\n\n"
  "  * See changelog.gz.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
file(GLOB compressed ${documentation}/changelog ${documentation}/changelog.Debian ${usr}/share/man/man1/*)
execute_process(COMMAND gzip -9 -n ${compressed} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND chmod -R u=rwX,go=rX ${CPACK_TEMPORARY_DIRECTORY} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND find ${CPACK_TEMPORARY_DIRECTORY} -exec touch --no-dereference --date=@$ENV{SOURCE_DATE_EPOCH} {} +
  COMMAND_ERROR_IS_FATAL ANY)
