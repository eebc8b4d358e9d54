#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# README.md and docs/ tell the truth: files, links and functions exist, the C program compiles with an exported optimizer
# and learns.
source tests/lib.sh

mapfile -t pages < <(find README.md CONTRIBUTING.md docs -name '*.md')
for page in "${pages[@]}"; do
    for link in $(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^https\?:'); do
        [ -e "$(dirname "$page")/$link" ] || fail "$page: a link leads to $link, which does not exist"
    done
done
for file in $(grep -ohE '(^|[^/A-Za-z])(configs|scripts|docs|tests|src|tasks|metatrain|include)/[A-Za-z0-9_./*-]+[a-z0-9]' "${pages[@]}" |
    sed -E 's/^[^a-z]//' | sort -u); do
    compgen -G "$file" >/dev/null || [[ "$file" = *NAME* ]] || fail "$file is named but does not exist"
done
for name in $(grep -ohE '\b(lopt|task|mt)_[a-z0-9_]+' "${pages[@]}" | sort -u); do
    grep -rqw -- "$name" src tasks metatrain include tests || fail "$name is named but does not exist"
done

"$METATRAIN" train configs/quickstart.yaml --set outer.steps=100 --out "$SCRATCH/run" >"$SCRATCH/train.log" 2>&1
"$METATRAIN" export "$SCRATCH/run/theta.h5" --to c-header --out "$SCRATCH/theta.h" >/dev/null
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$SCRATCH/main.c"
"$CC" -std=c11 -Wall -Wextra -Werror "$SCRATCH/main.c" -lm -o "$SCRATCH/main" || fail "the C program does not compile"
"$SCRATCH/main" >"$SCRATCH/main.out"
awk '{ exit !($1 == "slope" && $2 > 0.4 && $2 < 0.6 && $3 == "intercept" && $4 > -0.35 && $4 < -0.15) }' "$SCRATCH/main.out" ||
    fail "the C program does not fit its line, slope 0.5 and intercept -0.25: $(cat "$SCRATCH/main.out")"

[ "$failures" -eq 0 ]
