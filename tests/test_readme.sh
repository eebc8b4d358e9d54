#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# README.md tells the truth: its C program compiles with an exported optimizer, its files and links exist,
# its commands know their options.
source tests/lib.sh

for file in $(grep -oE '\]\([^)#]+\)' README.md CONTRIBUTING.md | sed -E 's/.*\((.*)\)/\1/' | grep -v '^https\?:'); do
    [ -e "$file" ] || fail "a link leads to $file, which does not exist"
done
for file in $(grep -ohE '\b(configs|scripts|docs|tests)/[A-Za-z0-9_./-]+[a-z0-9]' README.md CONTRIBUTING.md | sort -u); do
    [ -e "$file" ] || [[ "$file" = */test_NAME* ]] || fail "$file is named but does not exist"
done

"$METATRAIN" train configs/quickstart.yaml --set outer.steps=100 --out "$SCRATCH/run" >"$SCRATCH/train.log" 2>&1
"$METATRAIN" export "$SCRATCH/run/theta.h5" --to c-header --out "$SCRATCH/theta.h" >/dev/null
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$SCRATCH/main.c"
"$CC" -std=c11 -Wall -Wextra -Werror "$SCRATCH/main.c" -lm -o "$SCRATCH/main" || fail "the C program does not compile"
"$SCRATCH/main" >"$SCRATCH/main.out"
awk '{ exit !($1 == "slope" && $2 > 0.4 && $2 < 0.6 && $3 == "intercept" && $4 > -0.35 && $4 < -0.15) }' "$SCRATCH/main.out" ||
    fail "the C program does not fit its line, slope 0.5 and intercept -0.25: $(cat "$SCRATCH/main.out")"

[ "$failures" -eq 0 ]
