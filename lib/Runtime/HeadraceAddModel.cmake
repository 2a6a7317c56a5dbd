# headrace_add_model(<target> <file>... | <entry>=<file>...
#                    [SHARED] [NAME <name>] [TARGET <description>] [OPT <0-3>]
#                    [OPTIONS <hrcc option>...])
#
# Compiles .pt2 archives when the project is built. <target> is a library to
# link: an object, its header <name>.h (on the include path of who links it), and
# what both need. With SHARED it is the artifact <name>.so, to link or to load:
# $<TARGET_FILE:<target>>. <name>, by default that of <target>, is that of the
# table hr_model_<name>.
#
# Large weights of an object are in <name>.weights beside it, in the folder of
# the target's property HEADRACE_FOLDER; the program finds them in its own folder
# or where hr_open_options.weights_path says.
function(headrace_add_model target)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "SHARED" "NAME;TARGET;OPT" "OPTIONS")
  if(NOT HEADRACE_HRCC)
    message(FATAL_ERROR "headrace_add_model: this installation of Headrace has "
            "no compiler; name one in HEADRACE_HRCC")
  endif()
  if(NOT ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "headrace_add_model(${target}): no .pt2 file is named")
  endif()
  if(NOT ARG_NAME)
    string(MAKE_C_IDENTIFIER "${target}" ARG_NAME)
  endif()
  set(command ${HEADRACE_HRCC} --name=${ARG_NAME} -MD)
  if(ARG_TARGET)
    list(APPEND command --target=${ARG_TARGET})
  endif()
  if(NOT "${ARG_OPT}" STREQUAL "")
    list(APPEND command -O${ARG_OPT})
  endif()
  list(APPEND command ${ARG_OPTIONS})

  set(depends ${HEADRACE_HRCC})
  foreach(input ${ARG_UNPARSED_ARGUMENTS})
    string(REGEX MATCH "^([A-Za-z_][A-Za-z_0-9]*)=(.*)$" entry "${input}")
    set(file "${input}")
    if(entry)
      set(file "${CMAKE_MATCH_2}")
      set(entry "${CMAKE_MATCH_1}=")
    endif()
    get_filename_component(file "${file}" ABSOLUTE)
    list(APPEND command "${entry}${file}")
    list(APPEND depends "${file}")
  endforeach()

  set(folder ${CMAKE_CURRENT_BINARY_DIR})
  set(stem ${folder}/${ARG_NAME})
  if(ARG_SHARED)
    set(output ${stem}.so)
    set(others)
  else()
    set(output ${stem}.o)
    set(others ${stem}.h)
    list(INSERT command 1 -c)
  endif()
  add_custom_command(OUTPUT ${output} ${others}
    COMMAND ${command} -o ${output}
    DEPENDS ${depends} DEPFILE ${stem}.d
    COMMENT "Compiling the model ${ARG_NAME}" VERBATIM)
  add_custom_target(${target}_model DEPENDS ${output} ${others})
  if(ARG_SHARED)
    add_library(${target} SHARED IMPORTED)
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${output})
    target_link_libraries(${target} INTERFACE Headrace::Runtime)
    # The table is protected: it must not be copied into the program.
    target_compile_options(${target} INTERFACE -fPIC)
  else()
    add_library(${target} INTERFACE)
    target_sources(${target} INTERFACE ${output})
    set_source_files_properties(${output} PROPERTIES
      EXTERNAL_OBJECT ON GENERATED ON)
    target_include_directories(${target} INTERFACE ${folder})
    target_link_libraries(${target} INTERFACE Headrace::Runtime Threads::Threads
      m)
  endif()
  set_target_properties(${target} PROPERTIES HEADRACE_FOLDER ${folder})
  add_dependencies(${target} ${target}_model)
endfunction()
