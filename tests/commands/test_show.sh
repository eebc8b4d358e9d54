#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# show says the same of a run's theta.h5 and of its last checkpoint, as text and as JSON, and names damage.
source tests/lib.sh
run=$SCRATCH/run

shows() { # STATUS PATTERN ARGUMENT...
    gives "$1" "$2" show "${@:3}"
}

"$METATRAIN" train configs/quickstart.yaml --out "$run" --set outer.steps=2 --set particles=2 \
    --set estimator.window=5 --set checkpoint.every=1 --set optimizer.hidden_size=3 >/dev/null 2>&1
theta=$run/theta.h5
point=$run/checkpoints/step-000000000002

# ---- what a person reads --------------------------------------------------------------------------------

shows 0 "^$theta: theta file, 147 numbers$" "$theta"
shows 0 '^optimizer: small-fc \(.*2022.*\)$' "$theta"
shows 0 '^hidden_size +3$' "$theta"
shows 0 '^momentum_decays +\[0\.9, 0\.99, 0\.999\]$' "$theta"
shows 0 '^w0 +\(39, 3\)( +-?[0-9.e-]+){3}$' "$theta"
shows 0 '^  outer_step: 2$' "$theta"
shows 0 '^      hidden_size: 3$' "$theta"
shows 0 "^$theta: theta file" "$run"
for file in "$point" "$point/run.h5"; do
    shows 0 '^.*run\.h5: checkpoint, 147 numbers$' "$file"
    shows 0 '^  outer_m +float64  \(147\)$' "$file"
    [ "$(digest "$file")" = "$(digest "$theta")" ] || fail "$file: another digest than theta.h5"
done
[ "$(digest "$run/checkpoints/step-000000000001")" != "$(digest "$theta")" ] || fail "two steps have one digest"

# ---- what a program reads -------------------------------------------------------------------------------

for file in "$theta" "$point"; do
    shows 0 "^  \"digest\": \"$(digest "$theta")\",$" "$file" --json
    shows 0 '^    "hidden_size": 3,$' "$file" --json
    shows 0 '^    "weight_decay_uses": "after",$' "$file" --json
    shows 0 '^  "n_theta": 147,$' "$file" --json
    shows 0 '^      "name": "adafactor_decays",$' "$file" --json
done

# ---- damage ---------------------------------------------------------------------------------------------

shows 2 'FILE is missing'
shows 2 'No such file' "$SCRATCH/nothing.h5"
shows 2 'neither a theta\.h5 nor a manifest' "$run/checkpoints"
shows 2 'not a theta file' tests/golden/elo.h5
shows 2 'its format is "metatrain checkpoint 2"' "$point/particles-0000.h5"
printf x | dd of="$point/particles-0000.h5" bs=1 seek=9000 conv=notrunc status=none
shows 2 'particles-0000\.h5: damaged' "$point"
shows 0 'checkpoint' "$point/run.h5"
printf x | dd of="$point/run.h5" bs=1 seek=5000 conv=notrunc status=none
shows 2 'run\.h5: ' "$point/run.h5"

[ "$failures" -eq 0 ]
