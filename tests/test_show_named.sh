#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `metatrain show optimizer NAME` and `metatrain show task NAME`.
set -u
failed=0

fail() { echo "FAIL: $*"; failed=1; }

# gives STATUS PATTERN ARGUMENT...: status and a pattern that stdout and stderr together must have.
gives() {
    local status=$1 pattern=$2 out
    shift 2
    out=$("$METATRAIN" show "$@" 2>&1)
    [ $? -eq "$status" ] || fail "show $*: expected status $status: $out"
    grep -Eq -- "$pattern" <<<"$out" || fail "show $*: no /$pattern/ in: $out"
}

# ---- optimizers --------------------------------------------------------------------------------------

gives 0 '^theta: 2409 numbers$' optimizer mulo
gives 0 '^mup_base_fan_in +1 +integer in \[0, 1e\+09\] +muP' optimizer mulo
gives 0 '^w1 +\(32, 32\) +1024$' optimizer mulo
gives 0 '^w0 +\(39, 8\) +312$' optimizer mulo --set hidden_size=8
gives 0 '^state: 8\.0 bytes per parameter of a 1000x1000 matrix, 8\.0 of a vector' optimizer adam
gives 0 '^theta: 0 numbers$' optimizer adam
gives 0 '^kind: nadamw \(src/optimizers/nadamw\.c\), hand-designed$' optimizer optlist
gives 0 '^beta1 +0\.5 ' optimizer adam --set beta1=0.5
gives 0 '"n_theta": 37089,' optimizer celo --json

# Every preset that the list has; sizes of blocks add up to theta.
"$METATRAIN" list optimizers | while read -r name _; do
    "$METATRAIN" show optimizer "$name" --json >"$SCRATCH/shown" || fail "show optimizer $name"
    awk '/"n_theta"/ { total = $2 + 0 } /"size"/ { sum += $2 + 0 } END { exit sum != total }' "$SCRATCH/shown" ||
        fail "$name: blocks and theta differ in size"
    [ $failed -eq 0 ] || exit 1
done || failed=1

gives 2 'no optimizer "adan" \(did you mean adam\?\): `metatrain list optimizers`' optimizer adan
gives 2 'has no setting "momentum"' optimizer adam --set momentum=0.9
gives 2 'found "beta1", expected NAME=VALUE' optimizer adam --set beta1
gives 2 'the NAME of the optimizer is missing' optimizer
gives 2 'found "adam" after "sgd"' sgd adam
gives 2 '--set is for' theta.h5 --set beta1=0.5

# ---- tasks -------------------------------------------------------------------------------------------

gives 0 '^parameters: 26122 in 6 tensors$' task image_mlp --set hidden=[128,128]
gives 0 '^w1 +\(128, 128\) +16384 +between hidden layers$' task image_mlp --set hidden=[128,128]
gives 0 '^sampled numbers: 10 a trajectory$' task FixedDimQuadraticFamily
gives 0 '"loss_bound": null' task quadratic --json
gives 0 '"n_params": 7,' task quadratic --set dim=7 --json
gives 2 'no task "image_mpl" \(did you mean image_mlp\?\): `metatrain list tasks`' task image_mpl
gives 2 'found 0, expected an integer' task quadratic --set dim=0

exit $failed
