#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Keeps the layers apart (docs/architecture.md) and liblopt easy to link.
set -euo pipefail
cd "$SOURCE_DIR"
failures=0

# nobody PATTERN WHY FILE...: no file may match.
nobody() {
    local pattern=$1 why=$2
    shift 2
    if grep -nE "$pattern" "$@"; then
        echo "FAIL: $why" >&2
        failures=$((failures + 1))
    fi
}

mapfile -t sources < <(find src tasks metatrain -name '*.[ch]' -o -name '*.cpp' -o -name '*.hpp')
mapfile -t not_comm < <(printf '%s\n' "${sources[@]}" | grep -v '^metatrain/comm\.c$')
mapfile -t not_hdf5 < <(printf '%s\n' "${sources[@]}" | grep -v '^metatrain/hdf5_file\.c$')
mapfile -t src < <(printf '%s\n' "${sources[@]}" | grep '^src/')
mapfile -t tasks < <(printf '%s\n' "${sources[@]}" | grep '^tasks/')

nobody '\bMPI_[A-Z]|<mpi\.h>' "only metatrain/comm.c calls MPI" "${not_comm[@]}"
nobody '\bH5[A-Z]{1,2}[a-z]\w*\(|<hdf5\w*\.h>' "only metatrain/hdf5_file.c calls HDF5" "${not_hdf5[@]}"

[ "$failures" -eq 0 ]
