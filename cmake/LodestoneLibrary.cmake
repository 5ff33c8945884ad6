# The runtime as a library for other programs.
#
#   lodestone::lodestone   liblodestone.so: the C interface of appliance/lodestone.h and nothing else; a stable ABI
#   lodestone::cpp         liblodestone_cpp.a: the C++ interface of appliance/appliance.h and what it stands on; to be
#                          compiled with the same compiler, since its headers promise no ABI
#
# Both hold the objects of the folders as they are: nothing is compiled twice.
include(CMakePackageConfigHelpers)

set(runtime_folders base host numerics text model program kernels executor hardware timing plan appliance)
set(runtime_objects ${runtime_folders})
list(TRANSFORM runtime_objects REPLACE "(.+)" "$<TARGET_OBJECTS:lodestone_\\1>")
set(runtime_needs fmt::fmt PkgConfig::TOMLPLUSPLUS PkgConfig::PCRE2 PkgConfig::UTF8PROC Threads::Threads)

file(STRINGS ${PROJECT_SOURCE_DIR}/src/appliance/lodestone.h api_version REGEX "^#define LODESTONE_API_VERSION ")
string(REGEX MATCH "[0-9]+$" api_version "${api_version}")

set(exports ${PROJECT_SOURCE_DIR}/cmake/lodestone.map)
add_library(lodestone_shared SHARED ${runtime_objects})
target_link_libraries(lodestone_shared PRIVATE lodestone_flags)
target_link_libraries(lodestone_shared PRIVATE "$<BUILD_INTERFACE:${runtime_needs}>")
target_link_options(lodestone_shared PRIVATE LINKER:--version-script=${exports})
set_target_properties(lodestone_shared PROPERTIES OUTPUT_NAME lodestone EXPORT_NAME lodestone LINKER_LANGUAGE CXX
  SOVERSION ${api_version} LINK_DEPENDS ${exports})
target_include_directories(lodestone_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

add_library(lodestone_cpp STATIC ${runtime_objects})
target_link_libraries(lodestone_cpp PUBLIC ${runtime_needs})
target_compile_features(lodestone_cpp PUBLIC cxx_std_20)
set_target_properties(lodestone_cpp PROPERTIES EXPORT_NAME cpp LINKER_LANGUAGE CXX)
target_include_directories(lodestone_cpp INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/lodestone>)

# ---- Installation, as component `library`, by that name alone: who has built only the program installs only that

install(CODE "
  foreach(built \"$<TARGET_FILE:lodestone_shared>\" \"$<TARGET_FILE:lodestone_cpp>\")
    if(NOT EXISTS \"\${built}\")
      message(FATAL_ERROR \"not built yet: \${built}; first: cmake --build ${CMAKE_BINARY_DIR}\")
    endif()
  endforeach()" COMPONENT library EXCLUDE_FROM_ALL)
install(TARGETS lodestone_shared EXPORT lodestone_c_targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library EXCLUDE_FROM_ALL)
install(TARGETS lodestone_cpp EXPORT lodestone_cpp_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/src/appliance/lodestone.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lodestone
  COMPONENT library EXCLUDE_FROM_ALL)
install(CODE "
  set(root \"${PROJECT_SOURCE_DIR}/src\")
  set(destination \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/lodestone\")
  include(\"${PROJECT_SOURCE_DIR}/cmake/InstallHeaders.cmake\")" COMPONENT library EXCLUDE_FROM_ALL)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lodestone)
foreach(interface c cpp)
  install(EXPORT lodestone_${interface}_targets NAMESPACE lodestone:: DESTINATION ${package_dir}
    COMPONENT library EXCLUDE_FROM_ALL)
endforeach()
write_basic_package_version_file(${CMAKE_BINARY_DIR}/lodestone-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/lodestone-config.cmake ${CMAKE_BINARY_DIR}/lodestone-config-version.cmake
  DESTINATION ${package_dir} COMPONENT library EXCLUDE_FROM_ALL)

# Paths from the .pc files' own folder: an installed tree may be moved.
file(RELATIVE_PATH pc_to_include /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix/${CMAKE_INSTALL_INCLUDEDIR})
foreach(name lodestone lodestone-cpp)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT library EXCLUDE_FROM_ALL)
endforeach()
