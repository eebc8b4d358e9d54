# SPDX-License-Identifier: Apache-2.0
#
# cmake -DOUT=FILE.c "-DSOURCES=/x/src/core/state.c;..." -P embed_sources.cmake
#
# Writes the sources of liblopt as a table of C (metatrain/formats/amalgamation.h), for the export of a C header.

set(arrays "")
set(table "")
set(i 0)
foreach(source IN LISTS SOURCES)
    file(READ ${source} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const unsigned char text_${i}[] = {${bytes}0};\n")
    string(REGEX REPLACE "^.*/(src|include)/" "" name ${source})
    string(APPEND table "    {\"${name}\", (const char *)text_${i}},\n")
    math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "#include \"formats/amalgamation.h\"\n\n${arrays}\n"
    "const mt_source mt_lopt_sources[] = {\n${table}    {NULL, NULL}};\n")
