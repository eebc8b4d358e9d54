# SPDX-License-Identifier: Apache-2.0
#
# METATRAIN_FUZZ (clang): tests/fuzz/fuzz_NAME.c becomes the libFuzzer target fuzz_NAME. The program's
# library and tasks/data, where the parsers are, get AddressSanitizer and UndefinedBehaviorSanitizer; the
# rest, whose vector code takes minutes to compile so, does not. scripts/fuzz builds and runs them.

target_compile_options(metatrain_lib PUBLIC -fsanitize=fuzzer-no-link,address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
target_link_options(metatrain_lib PUBLIC -fsanitize=address,undefined)
file(GLOB data_sources CONFIGURE_DEPENDS tasks/data/*.c)
set_source_files_properties(${data_sources} PROPERTIES COMPILE_OPTIONS
    "-fsanitize=fuzzer-no-link,address,undefined;-fno-sanitize-recover=all;-fno-omit-frame-pointer")
file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(source IN LISTS fuzz_sources)
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(${name} PRIVATE metatrain_lib)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endforeach()
