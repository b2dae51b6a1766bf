# One static library per folder: bulwark_library(base SOURCES a.cc b.cc DEPS bulwark::oci PkgConfig::LIBCAP)
# gives target bulwark_base with alias bulwark::base. Includes are written from the top of the tree.
function(bulwark_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(bulwark_${name} STATIC ${ARG_SOURCES})
  add_library(bulwark::${name} ALIAS bulwark_${name})
  target_include_directories(bulwark_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(bulwark_${name} PUBLIC ${ARG_DEPS} PRIVATE bulwark_flags bulwark_hardening ${ARG_PRIVATE_DEPS})
endfunction()

function(bulwark_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE bulwark_flags bulwark_hardening ${ARG_DEPS})
endfunction()

# One gtest executable per area; every TEST in it is one ctest entry named <area>.<Suite>.<Name>. A test that cannot
# run here calls GTEST_SKIP() with the reason, which ctest then counts as skipped.
include(GoogleTest)
function(bulwark_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT BUILD_TESTING OR BULWARK_FUZZ)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE BULWARK_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             BULWARK_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  target_link_libraries(${name} PRIVATE bulwark_flags ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT 300 LABELS "${ARG_LABELS}")
endfunction()

# A fuzz target defines LLVMFuzzerTestOneInput. With the fuzz preset it is a libFuzzer binary; in every other build it
# is linked with a small driver that runs the corpus and some seeded mutations of it, as a smoke test in ctest.
function(bulwark_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE bulwark_flags ${ARG_DEPS})
  if(BULWARK_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/smoke_driver.cc)
    add_test(NAME fuzz_smoke.${name} COMMAND ${name} --seed 1 --iterations 2000 ${ARG_CORPUS})
    set_tests_properties(fuzz_smoke.${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
  endif()
endfunction()
