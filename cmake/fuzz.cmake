# SPDX-License-Identifier: Apache-2.0
#
# METATRAIN_FUZZ (clang): tests/fuzz/fuzz_NAME.c becomes the libFuzzer target fuzz_NAME. The program's
# library, where the parsers are, gets AddressSanitizer and UndefinedBehaviorSanitizer; liblopt and
# libtasks, whose vector code takes minutes to compile so, do not. scripts/fuzz builds and runs them.

target_compile_options(metatrain_lib PUBLIC -fsanitize=fuzzer-no-link,address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
target_link_options(metatrain_lib PUBLIC -fsanitize=address,undefined)
file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(source IN LISTS fuzz_sources)
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(${name} PRIVATE metatrain_lib)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endforeach()
