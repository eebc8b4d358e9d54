#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `metatrain show optimizer NAME` and `metatrain show task NAME`.
source tests/lib.sh

shows() { # STATUS PATTERN ARGUMENT...
    gives "$1" "$2" show "${@:3}"
}

# ---- optimizers --------------------------------------------------------------------------------------

shows 0 '^theta: 2409 numbers$' optimizer mulo
shows 0 '^mup_base_fan_in +1 +integer in \[0, 1e\+09\] +muP' optimizer mulo
shows 0 '^w1 +\(32, 32\) +1024$' optimizer mulo
shows 0 '^w0 +\(39, 8\) +312$' optimizer mulo --set hidden_size=8
shows 0 '^state: 8\.0 bytes per parameter of a 1000x1000 matrix, 8\.0 of a vector' optimizer adam
shows 0 '^theta: 0 numbers$' optimizer adam
shows 0 '^kind: nadamw \(src/optimizers/nadamw\.c\), hand-designed$' optimizer optlist
shows 0 '^beta1 +0\.5 ' optimizer adam --set beta1=0.5
shows 0 '"n_theta": 37089,' optimizer celo --json

# Every preset that the list has; sizes of blocks add up to theta.
while read -r name _; do
    "$METATRAIN" show optimizer "$name" --json >"$SCRATCH/shown" || fail "show optimizer $name"
    awk '/"n_theta"/ { total = $2 + 0 } /"size"/ { sum += $2 + 0 } END { exit sum != total }' "$SCRATCH/shown" ||
        fail "$name: blocks and theta differ in size"
done < <("$METATRAIN" list optimizers)

shows 2 'no optimizer "adaam" \(did you mean adam\?\): `metatrain list optimizers`' optimizer adaam
shows 2 'has no setting "momentum"' optimizer adam --set momentum=0.9
shows 2 'found "beta1", expected NAME=VALUE' optimizer adam --set beta1
shows 2 'the NAME of the optimizer is missing' optimizer
shows 2 'found "adam" after "sgd"' sgd adam
shows 2 '--set is for' theta.h5 --set beta1=0.5

# ---- tasks -------------------------------------------------------------------------------------------

shows 0 '^parameters: 26122 in 6 tensors$' task image_mlp --set hidden=[128,128]
shows 0 '^w1 +\(128, 128\) +16384 +between hidden layers$' task image_mlp --set hidden=[128,128]
shows 0 '^sampled values: 10 per trajectory$' task FixedDimQuadraticFamily
shows 0 '"loss_bound": null' task quadratic --json
shows 0 '^strided +2 +\[0, 8\] +image_conv' task image_conv --set strided=2
shows 0 '"hidden": \[$' task image_mlp --json
shows 0 '^is: mlp_vae .* latent 5, ' task mlp_vae --set vae.latent=5
shows 0 '"vae.latent": 5,' task mlp_vae --set vae.latent=5 --json
shows 0 '"n_params": 7,' task quadratic --set dim=7 --json
shows 2 'no task "image_mpl" \(did you mean image_mlp\?\): `metatrain list tasks`' task image_mpl
shows 2 'found 0, expected an integer' task quadratic --set dim=0

[ "$failures" -eq 0 ]
