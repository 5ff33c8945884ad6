# The two kinds of target, so that a folder's CMakeLists.txt is a list of files and nothing else.

# Designated initialisers name what differs from a default, so a member that is left out is no accident.
set(LODESTONE_WARNINGS -Wall -Wextra -Wconversion -Wshadow -Wno-sign-conversion -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms of g++ 12 at -O3: overlap in "literal" + std::string (GCC bug 105651), and members of the inactive
  # alternatives of a moved std::variant or std::optional (GCC bug 105562).
  list(APPEND LODESTONE_WARNINGS -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(LODESTONE_WERROR)
  list(APPEND LODESTONE_WARNINGS -Werror)
endif()

add_library(lodestone_flags INTERFACE)
# -ffp-contract=off: a product and a sum round twice everywhere or a fused multiply-add is written out. The bits of a
# row must not depend on what the compiler fused (DESIGN: batch invariance).
target_compile_options(lodestone_flags INTERFACE ${LODESTONE_WARNINGS} -ffp-contract=off)
if(LODESTONE_SANITIZE)
  target_compile_options(lodestone_flags INTERFACE
    -fsanitize=${LODESTONE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(lodestone_flags INTERFACE -fsanitize=${LODESTONE_SANITIZE})
endif()

# lodestone_folder(NAME SOURCES file... DEPS folder... LINK library...)
#
# One folder of src/ as one library `lodestone_NAME`. Its include root holds this folder alone, and the roots of other
# folders arrive only through DEPS: an include that the architecture does not allow does not compile.
function(lodestone_folder name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LINK" ${ARGN})
  set(root ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  add_library(lodestone_${name} STATIC ${ARG_SOURCES})
  # The same objects make the program and the shared library. Hidden names cost no indirection: g++ 12 gives the kernels
  # the same instructions with and without.
  set_target_properties(lodestone_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(lodestone_${name} PUBLIC $<BUILD_INTERFACE:${root}>)
  target_link_libraries(lodestone_${name} PRIVATE lodestone_flags ${ARG_LINK})
  foreach(dependency ${ARG_DEPS})
    target_link_libraries(lodestone_${name} PUBLIC lodestone_${dependency})
  endforeach()
endfunction()

# lodestone_test(NAME SOURCES file... DEPS folder... LINK library...)
#
# One test binary for one folder. Tests whose suite name contains "Property" carry the label property, the others unit.
# Fixtures beside the checkout are found through LODESTONE_SHARED, which defaults to ../shared of the source tree.
function(lodestone_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LINK" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(test_${name} PRIVATE
    LODESTONE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" LODESTONE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  # Test code runs once: compiling it is most of its cost. GoogleTest's macros are an if without braces.
  target_compile_options(test_${name} PRIVATE -O1 -Wno-dangling-else)
  target_link_libraries(test_${name} PRIVATE lodestone_flags GTest::gtest_main ${ARG_LINK})
  foreach(dependency ${ARG_DEPS})
    target_link_libraries(test_${name} PRIVATE lodestone_${dependency})
  endforeach()
  include(GoogleTest)
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." TEST_FILTER "-*Property*"
    DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit TIMEOUT 300)
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." TEST_FILTER "*Property*" TEST_LIST ${name}_property
    DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES LABELS property TIMEOUT 600)
endfunction()
