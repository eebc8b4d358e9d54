#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Keeps the floor plan (tests/layers.py) and liblopt easy to link: no MPI, HDF5 or libstdc++ behind it, nothing but
# lopt_* exported, plain cc suffices, the header is C11 and C++.
source tests/lib.sh

# Prints the source files whose path matches a pattern, or does not (-v).
files() {
    find src tasks metatrain -name '*.[ch]' -o -name '*.cpp' -o -name '*.hpp' | grep -E "$@"
}

# nobody WHY PATTERN FILE...: no file may match.
nobody() {
    local why=$1 pattern=$2
    shift 2
    if [ $# -eq 0 ]; then
        fail "no files to check: $why"
    elif grep -nE "$pattern" "$@"; then
        fail "$why"
    fi
}

python3 tests/layers.py || fail "the floor plan does not hold"

mapfile -t all_but_comm < <(files -v '^metatrain/ranks/mpi_transport\.c$')
mapfile -t all_but_hdf5 < <(files -v '^metatrain/store/hdf5_file\.c$')
mapfile -t libraries < <(files '^(src|tasks)/')
mapfile -t core < <(files '^src/')
nobody "only metatrain/ranks/mpi_transport.c calls MPI" '\bMPI_[A-Z]|<mpi\.h>' "${all_but_comm[@]}"
nobody "only metatrain/store/hdf5_file.c calls HDF5" '\bH5[A-Z]{1,2}[a-z]\w*\(|<hdf5' "${all_but_hdf5[@]}"
nobody "liblopt and libtasks parse no YAML or JSON" '<(yaml|jansson|xxhash)\.h>' "${libraries[@]}"
nobody "liblopt reads no file and no clock, prints nothing" '\b(fopen|printf|clock_gettime|time)\(' "${core[@]}"
nobody "liblopt never exits" '\b(exit|abort|_exit)\(' "${core[@]}"

# ---- what a user of liblopt links -----------------------------------------------------------------

shared=$BUILD_DIR/liblopt.so
static=$BUILD_DIR/liblopt.a
extra=$(nm -D --defined-only "$shared" | awk '{print $3}' | grep -vE '^lopt_[a-z]' || true)
[ -z "$extra" ] || fail "liblopt.so exports more than lopt_*: $extra"
nm -D --defined-only "$shared" | grep -q ' T lopt_step$' || fail "liblopt.so does not export lopt_step"

if [ -z "${SANITIZE-}" ]; then
    needed=$(readelf -d "$shared" | sed -nE 's/.*NEEDED.*\[(.*)\]/\1/p' | grep -vE '^lib(c|m)\.so|^ld-linux' || true)
    [ -z "$needed" ] || fail "liblopt.so needs more than libc and libm: $needed"
fi

cat >"$SCRATCH/main.c" <<'END'
#include "lopt.h"
int main(void) {
    lopt_error err;
    lopt_optimizer *opt = lopt_create("adam", NULL, 0, &err);
    lopt_tensor tensor = lopt_tensor_make("w", 1, (int64_t[]){2});
    lopt_state *state = lopt_state_create(opt, &tensor, 1, &err);
    float params[] = {1, -1}, grads[] = {1, -1};
    lopt_state_reset(opt, state, 1);
    lopt_step(opt, state, params, grads, 0, NULL);
    lopt_state_destroy(state);
    lopt_destroy(opt);
    return !(params[0] < 1 && params[1] > -1);
}
END
flags=(-Wall -Wextra -Werror -pedantic -Iinclude)
sanitize=(${SANITIZE:+-fsanitize=$SANITIZE})
"${CC:-cc}" -std=c11 "${flags[@]}" "${sanitize[@]}" "$SCRATCH/main.c" "$static" -lm -o "$SCRATCH/main" ||
    fail "plain cc cannot link liblopt.a"
"$SCRATCH/main" || fail "a C program linked to liblopt.a does not step"
echo '#include "lopt.h"' >"$SCRATCH/header.cpp"
"${CXX:-c++}" -std=c++11 "${flags[@]}" -fsyntax-only "$SCRATCH/header.cpp" || fail "lopt.h is not C++"

[ "$failures" -eq 0 ]
