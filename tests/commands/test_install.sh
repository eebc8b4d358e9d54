#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The install target: a stranger's project finds and links the library, the program finds its configs.
source tests/lib.sh

prefix=$SCRATCH/prefix
cmake --install "$BUILD_DIR" --prefix "$prefix" >"$SCRATCH/install.log"
for file in include/lopt.h bin/metatrain share/metatrain/configs/quickstart.yaml; do
    [ -e "$prefix/$file" ] || die "$file is not installed"
done

cat >"$SCRATCH/main.c" <<'END'
#include <lopt.h>
#include <stdio.h>
int main(void) {
    printf("%zu presets, version %s\n", lopt_n_presets(), lopt_version());
    return lopt_n_presets() == 0;
}
END
cat >"$SCRATCH/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(stranger C)
find_package(lopt REQUIRED)
foreach(library lopt lopt_shared)
    add_executable(with_${library} main.c)
    target_link_libraries(with_${library} lopt::${library})
endforeach()
END
sanitize=(${SANITIZE:+-fsanitize=$SANITIZE})
cmake -S "$SCRATCH" -B "$SCRATCH/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" \
    -DCMAKE_C_FLAGS="${sanitize[*]}" >"$SCRATCH/cmake.log"
cmake --build "$SCRATCH/build" >>"$SCRATCH/cmake.log"
"$SCRATCH/build/with_lopt"
"$SCRATCH/build/with_lopt_shared"

pc=$(find "$prefix" -name lopt.pc)
read -ra flags <<<"$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --cflags --libs --static lopt)"
"$CC" "${sanitize[@]}" "$SCRATCH/main.c" "${flags[@]}" -Wl,-rpath,"$(dirname "$(dirname "$pc")")" -o "$SCRATCH/by_pkg_config"
"$SCRATCH/by_pkg_config"

"$prefix/bin/metatrain" list optimizers | grep -q '^small-fc' || die "the installed program does not run"
