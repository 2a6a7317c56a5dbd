# Writes OUTPUT, a C++ initializer list of {name, text} for each of INPUTS, in
# order of name.
list(SORT INPUTS)
set(result "")
foreach(input ${INPUTS})
  get_filename_component(name ${input} NAME_WLE)
  file(READ ${input} text)
  string(APPEND result "{\"${name}\", R\"headrace(${text})headrace\"},\n")
endforeach()
file(WRITE ${OUTPUT} "${result}")
