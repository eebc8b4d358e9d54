# SPDX-License-Identifier: Apache-2.0
#
# Libraries from the system. A missing one stops configure with the Debian package to install.

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "pkg-config not found: apt-get install pkg-config")
endif()

# Target PkgConfig::NAME from a pkg-config module.
macro(require_module name module package)
    pkg_check_modules(${name} QUIET IMPORTED_TARGET ${module})
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "${module} not found: apt-get install ${package}")
    endif()
endmacro()

include(CheckIncludeFileCXX)
check_include_file_cxx(pcg_random.hpp HAVE_PCG)
if(NOT HAVE_PCG)
    unset(HAVE_PCG CACHE)
    message(FATAL_ERROR "pcg_random.hpp not found: apt-get install libpcg-cpp-dev")
endif()

# zlib, and `gemm`: matrix products by libxsmm where it exists (amd64), else, and for what libxsmm
# declines, by CBLAS. libxsmm.a itself calls a BLAS, so it comes before OpenBLAS on the command line.
macro(find_tasks_dependencies)
    find_package(ZLIB QUIET)
    if(NOT ZLIB_FOUND)
        message(FATAL_ERROR "zlib not found: apt-get install zlib1g-dev")
    endif()
    require_module(PNG libpng libpng-dev)
    require_module(OPENBLAS openblas libopenblas-dev)
    find_package(Threads REQUIRED)
    find_library(LIBXSMM_LIBRARY xsmm)
    find_path(LIBXSMM_INCLUDE libxsmm.h)
    add_library(gemm INTERFACE)
    if(LIBXSMM_LIBRARY AND LIBXSMM_INCLUDE)
        set(GEMM_DEFINITIONS TASK_WITH_LIBXSMM)
        target_link_libraries(gemm INTERFACE ${LIBXSMM_LIBRARY} PkgConfig::OPENBLAS Threads::Threads rt dl m)
    else()
        message(STATUS "libxsmm not found: matrix products through CBLAS (on amd64: apt-get install libxsmm-dev)")
        target_link_libraries(gemm INTERFACE PkgConfig::OPENBLAS m)
    endif()
endmacro()

macro(find_program_dependencies)
    set(MPI_CXX_SKIP_MPICXX ON)
    find_package(MPI QUIET COMPONENTS C)
    if(NOT MPI_C_FOUND)
        message(FATAL_ERROR "MPI not found: apt-get install libopenmpi-dev")
    endif()
    require_module(HDF5 hdf5-serial libhdf5-dev) # serial on purpose: one shard a rank, no MPI-IO
    require_module(YAML yaml-0.1 libyaml-dev)
    require_module(JANSSON jansson libjansson-dev)
    require_module(XXHASH libxxhash libxxhash-dev)
    require_module(MSGPACK msgpack libmsgpack-dev)
endmacro()
