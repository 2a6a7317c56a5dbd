# headrace_install_tool(<target>): into the prefix with its manual page, or into a
# wheel, whose scripts get onto the PATH.
function(headrace_install_tool name)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  if(SKBUILD)
    install(TARGETS ${name} RUNTIME DESTINATION ${SKBUILD_SCRIPTS_DIR}
      COMPONENT python EXCLUDE_FROM_ALL)
    return()
  endif()
  find_package(Python3 COMPONENTS Interpreter)
  if(NOT Python3_FOUND)
    message(STATUS "no Python: ${name} gets no manual page")
    return()
  endif()
  set(page ${CMAKE_BINARY_DIR}/man/${name}.1)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/man)
  add_custom_command(OUTPUT ${page}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/man.py
            $<TARGET_FILE:${name}> ${name} ${page}
    DEPENDS ${name} ${CMAKE_SOURCE_DIR}/tools/man.py VERBATIM)
  add_custom_target(${name}-man ALL DEPENDS ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endfunction()
