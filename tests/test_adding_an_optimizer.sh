#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docs/adding-an-optimizer.md: its example is tests/example_optimizer.c word for word; with the line in the
# registry that the page asks for, it is built into the library and runs.
source tests/lib.sh
page=docs/adding-an-optimizer.md

# The page's block that starts as a source file does, and the line for the registry.
awk '/^```c$/ { inside = 1; text = ""; next }
     /^```$/ { if (inside && text ~ /sign_momentum\.c - /) printf "%s", text; inside = 0 }
     inside { text = text $0 "\n" }' "$page" >"$SCRATCH/sign_momentum.c"
diff tests/example_optimizer.c "$SCRATCH/sign_momentum.c" || die "the example in $page is not tests/example_optimizer.c"
line=$(sed -nE 's/^    (X\(sign_momentum\)).*/\1/p' "$page")
[ "$line" = "X(sign_momentum)" ] || die "$page does not show the line of the registry"
sed -E "s/^#define KINDS\(X\) .*/#define KINDS(X) $line \\\\/" src/core/registry.c >"$SCRATCH/registry.c"

flags=(-std=c11 -Wall -Wextra -Wshadow -Werror -Iinclude -Isrc)
[ -z "${SANITIZE:-}" ] || flags+=("-fsanitize=$SANITIZE")
"$CC" "${flags[@]}" -o "$SCRATCH/run" "$SCRATCH/sign_momentum.c" "$SCRATCH/registry.c" \
    tests/example_optimizer_run.c "$BUILD_DIR/liblopt.a" -lm
"$SCRATCH/run"
