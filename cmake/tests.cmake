# SPDX-License-Identifier: Apache-2.0
#
# Tests are found, not listed, in tests/ and its folders, which mirror those of the sources. Each runs in the source
# folder (so "tests/golden/x.h5" and "configs/quickstart.yaml" open) with the environment
#   METATRAIN    path of the program          BUILD_DIR    where liblopt.a and liblopt.so are
#   SOURCE_DIR   the clone                    SCRATCH      an empty folder of the test's own
#   SANITIZE     address,undefined; thread; or empty    CC, CXX    the compilers
#   METATRAIN_CACHE   where data sets are shared: not the user's folder
# C tests link everything: the libraries, and the tasks compiled in double (with other names of their
# symbols: cmake/double_names.sh); test_NAME_double.c is itself compiled with TASK_REAL_DOUBLE,
# test_NAME_both.c with and without (tests/tasks/layer_check.h).
#
# With METATRAIN_ONLY_LOPT: the C tests that include nothing but liblopt's headers (and worked.h), linked with
# liblopt alone; tests/plain stands in for Criterion. An emulator for other processors runs them.
#
# OpenBLAS gets one thread: a short command may end while its others still start, which LeakSanitizer
# reports now and then.
#
# A C test may take 60 seconds and a shell test 300, or what it says in a line "# Timeout: N s" (C: " * Timeout: N s");
# eight times as long under sanitizers.
#
# A test that cannot run here exits with 77, which CTest counts as skipped; a case of a C test calls cr_skip_test, and
# Criterion prints that at this verbosity. scripts/test lists both.
#
# A C test (Criterion) that leaks or overflows under a sanitizer fails even if its assertions pass:
# LeakSanitizer reports after Criterion has sent its result.

file(GLOB_RECURSE c_tests CONFIGURE_DEPENDS tests/test_*.c)
file(GLOB_RECURSE shell_tests CONFIGURE_DEPENDS tests/test_*.sh)
if(NOT c_tests AND NOT shell_tests)
    message(FATAL_ERROR "no tests found in ${CMAKE_SOURCE_DIR}/tests")
endif()

# Removes from c_tests what needs more than liblopt.
function(keep_tests_of_lopt)
    foreach(source IN LISTS c_tests)
        file(STRINGS ${source} includes REGEX "^#include (\"|<jansson)")
        foreach(line IN LISTS includes)
            string(REGEX REPLACE "^#include .([^\">]*).*" "\\1" header ${line})
            if(NOT header STREQUAL worked.h AND NOT EXISTS ${CMAKE_SOURCE_DIR}/src/${header}
               AND NOT EXISTS ${CMAKE_SOURCE_DIR}/include/${header})
                list(REMOVE_ITEM c_tests ${source})
            endif()
        endforeach()
    endforeach()
    set(c_tests ${c_tests} PARENT_SCOPE)
endfunction()
if(METATRAIN_ONLY_LOPT)
    keep_tests_of_lopt()
    set(shell_tests "")
    set(test_libraries lopt)
    set(test_folders tests tests/plain src)
else()
    require_module(CRITERION criterion libcriterion-dev)
    set(test_libraries metatrain_lib tasks_double PkgConfig::CRITERION m)
    set(test_folders tests)
endif()

set(sanitizer_findings "LeakSanitizer|AddressSanitizer|ThreadSanitizer|runtime error:")
set(lsan_file ${CMAKE_SOURCE_DIR}/cmake/lsan.supp)

function(declare_test name timeout)
    if(METATRAIN_SANITIZE)
        math(EXPR timeout "8 * ${timeout}")
    elseif(CMAKE_CROSSCOMPILING)
        math(EXPR timeout "10 * ${timeout}")
    endif()
    set(scratch ${CMAKE_BINARY_DIR}/scratch/${name})
    add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E env
        METATRAIN=${CMAKE_BINARY_DIR}/metatrain BUILD_DIR=${CMAKE_BINARY_DIR}
        SOURCE_DIR=${CMAKE_SOURCE_DIR} SCRATCH=${scratch} SANITIZE=${METATRAIN_SANITIZE}
        CC=${CMAKE_C_COMPILER} CXX=${CMAKE_CXX_COMPILER}
        METATRAIN_CACHE=${CMAKE_BINARY_DIR}/data-cache
        LSAN_OPTIONS=suppressions=${lsan_file}:print_suppressions=0 OPENBLAS_NUM_THREADS=1 CRITERION_VERBOSITY_LEVEL=1
        OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
        OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none
        sh -c "rm -rf \"$SCRATCH\"; mkdir -p \"$SCRATCH\"; exec \"$@\"" sh ${ARGN}
        WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} SKIP_RETURN_CODE 77
        FAIL_REGULAR_EXPRESSION "${sanitizer_findings}")
endfunction()

# The libraries with the allocator of tests/test_out_of_memory.c, whose functions are named failing_...
function(link_failing_libraries target)
    foreach(symbol malloc calloc realloc aligned_alloc free strdup strndup open_memstream exit fsync)
        list(APPEND renamed --redefine-sym ${symbol}=failing_${symbol})
    endforeach()
    foreach(library metatrain_lib tasks lopt)
        set(copy ${CMAKE_BINARY_DIR}/failing/lib${library}.a)
        add_custom_command(OUTPUT ${copy} DEPENDS ${library}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/failing
            COMMAND ${CMAKE_OBJCOPY} ${renamed} $<TARGET_FILE:${library}> ${copy})
        list(APPEND copies ${copy})
    endforeach()
    add_custom_target(failing_libraries DEPENDS ${copies})
    add_dependencies(${target} failing_libraries)
    target_link_libraries(${target} PRIVATE ${copies})
endfunction()

# Seconds that a test may take, in timeout.
function(read_timeout source standard)
    set(timeout ${standard} PARENT_SCOPE)
    file(STRINGS ${source} said REGEX "^(#| \\*) Timeout: [0-9]+ s" LIMIT_COUNT 1)
    if(said)
        string(REGEX REPLACE "^[# *]*Timeout: ([0-9]+) s.*" "\\1" said ${said})
        set(timeout ${said} PARENT_SCOPE)
    endif()
endfunction()

foreach(source IN LISTS c_tests)
    string(REGEX REPLACE "^.*/test_(.*)\\.c$" "\\1" name ${source})
    add_executable(test_${name} ${source})
    set_target_properties(test_${name} PROPERTIES LINKER_LANGUAGE C)
    target_include_directories(test_${name} PRIVATE ${test_folders})
    target_compile_definitions(test_${name} PRIVATE _GNU_SOURCE)
    if(name STREQUAL out_of_memory)
        link_failing_libraries(test_${name})
    endif()
    target_link_libraries(test_${name} PRIVATE ${test_libraries})
    if(name MATCHES "_(double|both)$")
        target_compile_definitions(test_${name} PRIVATE TASK_REAL_DOUBLE)
    endif()
    if(name MATCHES "_both$")
        add_library(test_${name}_float OBJECT EXCLUDE_FROM_ALL ${source})
        target_include_directories(test_${name}_float PRIVATE tests)
        target_link_libraries(test_${name}_float PRIVATE tasks PkgConfig::CRITERION)
        target_sources(test_${name} PRIVATE $<TARGET_OBJECTS:test_${name}_float>)
    endif()
    read_timeout(${source} 60)
    declare_test(${name} ${timeout} ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:test_${name}>)
endforeach()

foreach(source IN LISTS shell_tests)
    string(REGEX REPLACE "^.*/test_(.*)\\.sh$" "\\1" name ${source})
    read_timeout(${source} 300)
    declare_test(${name} ${timeout} bash ${source})
endforeach()
