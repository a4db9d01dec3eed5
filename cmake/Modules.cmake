# Every target is declared with one of these functions. Each call makes the CMake target and records one line of the
# build graph, from which bazel/generate.py writes the BUILD.bazel files and tests/lint checks the layering.
define_property(GLOBAL PROPERTY FABRO_BUILD_GRAPH)

function(_fabro_record kind name)
  cmake_parse_arguments(A "" "" "SRCS;HDRS;DEPS;PROGRAMS" ${ARGN})
  file(RELATIVE_PATH dir ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  list(JOIN A_SRCS "," s)
  list(JOIN A_HDRS "," h)
  list(JOIN A_DEPS "," d)
  list(JOIN A_PROGRAMS "," p)
  set_property(GLOBAL APPEND PROPERTY FABRO_BUILD_GRAPH "${kind}|${dir}|${name}|${s}|${h}|${d}|${p}")
endfunction()

function(_fabro_link target)
  foreach(dep ${ARGN})
    if(dep MATCHES "^@(.*)")
      if(NOT DEFINED FABRO_THIRD_PARTY_${CMAKE_MATCH_1})
        message(FATAL_ERROR "${target}: no third-party library is called ${dep}; see cmake/ThirdParty.cmake")
      endif()
      target_link_libraries(${target} PUBLIC ${FABRO_THIRD_PARTY_${CMAKE_MATCH_1}})
    else()
      string(REPLACE "/" "_" t ${dep})
      target_link_libraries(${target} PUBLIC ${t})
    endif()
  endforeach()
endfunction()

# A folder's library: core/engine declares the target core_engine.
function(fabro_library name)
  cmake_parse_arguments(A "" "" "SRCS;HDRS;DEPS" ${ARGN})
  file(RELATIVE_PATH dir ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "_" target ${dir})
  add_library(${target} STATIC ${A_SRCS})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${A_HDRS})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  _fabro_link(${target} ${A_DEPS})
  _fabro_record(library ${name} ${ARGN})
endfunction()

# A program, built to ${CMAKE_BINARY_DIR}/bin.
function(fabro_program name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${A_SRCS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  _fabro_link(${name} ${A_DEPS})
  _fabro_record(program ${name} ${ARGN})
endfunction()

# What every test gets in its environment. Debian names the symbolizer with its version, where a sanitizer does not look.
set(FABRO_TEST_ENVIRONMENT)
if(FABRO_SANITIZE)
  set(symbolizer "external_symbolizer_path=/usr/bin/llvm-symbolizer-19")
  list(APPEND FABRO_TEST_ENVIRONMENT
    "ASAN_OPTIONS=${symbolizer}"
    "LSAN_OPTIONS=print_suppressions=0 suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp"
    "UBSAN_OPTIONS=print_stacktrace=1 ${symbolizer}"
    "TSAN_OPTIONS=ignore_noninstrumented_modules=1 second_deadlock_stack=1 ${symbolizer} suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp")
endif()

# A GoogleTest program. It runs in the source tree's root, so that data files are named from there. PROGRAMS are built before
# it, and their paths are macros: cli/fabro is FABRO_PROGRAM, core/sandbox/fabro-stage is FABRO_STAGE_PROGRAM (relative under
# Bazel).
function(fabro_test name)
  cmake_parse_arguments(A "" "" "SRCS;HDRS;DEPS;PROGRAMS" ${ARGN})
  add_executable(${name} ${A_SRCS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  _fabro_link(${name} ${A_DEPS} @gtest)
  foreach(program ${A_PROGRAMS})
    get_filename_component(program ${program} NAME)
    string(TOUPPER ${program} macro)
    string(REPLACE "-" "_" macro ${macro})
    add_dependencies(${name} ${program})
    target_compile_definitions(${name} PRIVATE ${macro}_PROGRAM="${CMAKE_BINARY_DIR}/bin/${program}")
  endforeach()
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 ENVIRONMENT "${FABRO_TEST_ENVIRONMENT}")
  _fabro_record(test ${name} ${ARGN})
endfunction()

# A libFuzzer target with a corpus in tests/fuzz/corpus/NAME; built only with FABRO_FUZZ. Without it the same source is
# linked with a small driver that replays the corpus, and that runs as a test.
function(fabro_fuzz name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  if(FABRO_FUZZ)
    add_executable(${name} ${A_SRCS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzzers)
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)
    endif()
    add_dependencies(fuzzers ${name})
  else()
    add_executable(${name} ${A_SRCS} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME ${name} COMMAND ${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120 ENVIRONMENT "${FABRO_TEST_ENVIRONMENT}")
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  _fabro_link(${name} ${A_DEPS})
endfunction()

function(fabro_write_build_graph)
  get_property(lines GLOBAL PROPERTY FABRO_BUILD_GRAPH)
  list(JOIN lines "\n" text)
  file(WRITE ${CMAKE_BINARY_DIR}/build_graph.txt "${text}\n")
endfunction()
