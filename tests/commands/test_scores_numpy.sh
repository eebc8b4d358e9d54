#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Scores over tasks and their intervals, computed a second time with numpy and, where Python has it, with rliable.
source tests/lib.sh
find_python numpy
"$CC" -std=c11 -Iinclude -Isrc -Itasks -Imetatrain ${SANITIZE:+-fsanitize=$SANITIZE} tests/commands/scores_program.c \
    "$BUILD_DIR/libmetatrain_lib.a" "$BUILD_DIR/libtasks.a" "$BUILD_DIR/liblopt.a" -lm -lpthread \
    -o "$SCRATCH/scores_program"
"$SCRATCH/scores_program" "$SCRATCH/draws" >"$SCRATCH/scores.out" || die "scores_program: status $?"
"$python" tests/commands/scores_numpy.py "$SCRATCH/scores.out" "$SCRATCH/draws"
