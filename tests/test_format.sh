#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every C and C++ file is laid out as clang-format does it with .clang-format (clang-format -i FILE mends it).
source tests/lib.sh
[[ "$(clang-format --version 2>/dev/null)" = *"version 14."* ]] || skip "no clang-format 14, which Debian 12 has; others differ"
[ -z "${SANITIZE-}" ] || skip "the layout is the same for every build"
find src tasks metatrain include tests \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.inc' \) -print0 |
    xargs -0 -P "$(nproc)" -n 40 clang-format --dry-run -Werror
