#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# TensorBoard's own reader finds in the event files of a run what metrics.jsonl says: every outer step once, also
# after kills and resumes. Needs Python with tensorboard.
source tests/lib.sh
find_python tensorboard
run=$SCRATCH/run

train() { # STEPS ARGUMENT...
    "$METATRAIN" train configs/quadratic.yaml --out "$run" --set outer.steps="$1" --set checkpoint.every=7 \
        --set particles=4 "${@:2}" >"$SCRATCH/log" 2>&1
}

# Bytes of the newest event file cut off, as by a kill while it was written.
tear() {
    local files=("$run"/events.out.tfevents.*)
    truncate --size=-5 "${files[-1]}"
}

train 30
"$python" tests/commands/read_events.py "$run"

# Killed after step 30 with points at 7, 14, 21, 28 and the last one lost: goes on at 28, then at 45.
rm -r "$run"/checkpoints/*30
tear
train 45 --resume
grep -q 'resuming .* at outer step 28' "$SCRATCH/log"
train 50 --resume
"$python" tests/commands/read_events.py "$run"
[ "$(find "$run" -name 'events.out.tfevents.*' | wc -l)" -eq 3 ]

# A mixture, evaluated now and then.
run=$SCRATCH/mixture
tasks='[{task: quadratic_family, dim: 4}, {task: quadratic_family, dim: 9}]'
train 12 --set "tasks=$tasks" --set "evaluate.tasks=$tasks" --set evaluate.every=4 --set evaluate.steps=20
"$python" tests/commands/read_events.py "$run"
