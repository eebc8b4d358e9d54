# SPDX-License-Identifier: Apache-2.0
#
# cmake --install build/release [--prefix DIR]: library, header, pkg-config and CMake package for those
# who link liblopt; program and configurations for those who meta-train.

include(CMakePackageConfigHelpers)
set(lopt_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lopt)

install(TARGETS lopt lopt_shared EXPORT lopt)
install(FILES include/lopt.h TYPE INCLUDE)
install(EXPORT lopt NAMESPACE lopt:: DESTINATION ${lopt_cmake_dir} FILE lopt-config.cmake)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/lopt-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/lopt-config-version.cmake DESTINATION ${lopt_cmake_dir})
# Paths relative to lopt.pc, so that --prefix at install time is right too.
cmake_path(SET pc_prefix NORMALIZE "/${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(RELATIVE_PATH pc_prefix BASE_DIRECTORY / OUTPUT_VARIABLE pc_folder)
string(REGEX REPLACE "[^/]+" ".." pc_to_prefix "${pc_folder}")
configure_file(cmake/lopt.pc.in lopt.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/lopt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET metatrain)
    install(TARGETS metatrain)
    install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/metatrain)
endif()
