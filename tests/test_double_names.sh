#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The tasks are compiled in float and in double and linked into one test program: no symbol of the folder
# may have the same name in both (cmake/double_names.sh renames those of the double build).
set -u
symbols() { nm -g --defined-only "$BUILD_DIR/$1" | awk 'NF == 3 { print $3 }' | sort -u; }
float=$(symbols libtasks.a) double=$(symbols libtasks_double.a)
for found in "$float" "$double"; do
    if ! grep -q task_compute_loss <<<"$found"; then
        echo "no task_compute_loss among the symbols of a library in $BUILD_DIR"
        exit 1
    fi
done
both=$(comm -12 <(echo "$float") <(echo "$double") | grep -v '^__odr_asan')
if [ -n "$both" ]; then
    echo "in both builds of tasks/, so missed by cmake/double_names.sh:" $both
    exit 1
fi
