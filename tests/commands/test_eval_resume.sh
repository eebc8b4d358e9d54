#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# metatrain eval --out DIR: killed at ten moments and run again on other numbers of processes it gives the same bytes;
# what DIR/results.h5 holds is not computed again; a changed task, theta or seed is noticed; a file of another version
# or a damaged one is refused and kept.
source tests/lib.sh

cat >"$SCRATCH/suite.yaml" <<'END'
steps: 1500
seeds: 2
batches: 1
last_batches: 2
sweep_seeds: 2
extend_sweep: yes
sweep: [0.01, 0.1]
tasks:
  - {task: image_mlp, dataset: gaussians, image_size: 8, hidden: [16]}
  - {task: quadratic, dim: 5}
optimizers:
  - {name: adam, learning_rate: sweep}
  - {name: sgd, learning_rate: sweep}
  - {name: nadamw, search: 3}
END

evaluate() { # PROCESSES DIR ARGUMENT...
    local n=$1 dir=$2
    shift 2
    scripts/launch -n "$n" eval --suite "$SCRATCH/suite.yaml" --out "$SCRATCH/$dir" "$@" >"$SCRATCH/$dir.out" \
        2>"$SCRATCH/$dir.log"
}

expect() { # DIR COMPUTED STORED
    grep -q "^metatrain: [0-9]* trainings: $2 computed, $3 taken" "$SCRATCH/$1.log" || die "$1: not $2 computed, $3 stored"
}

evaluate 1 whole || die "status $?"
computed=$(sed -n 's/^metatrain: [0-9]* trainings: \([0-9]*\) computed, 0 taken.*/\1/p' "$SCRATCH/whole.log")
[ "${computed:-0}" -ge 40 ] || die "first run: ${computed:-nothing} computed"

# ---- killed and run again

kills=0
for i in 1 2 3 4 5 6 7 8 9 10; do
    evaluate $((i % 3 + 1)) killed &
    launch=$!
    sleep "0.$((RANDOM % 7 + 2))"
    ranks_of "$SCRATCH/killed" | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
    wait "$launch" || kills=$((kills + 1))
done
[ "$kills" -ge 3 ] || die "$kills of ten evaluations were killed before they ended"
evaluate 3 killed || die "after $kills kills: status $?"
! grep -q ", 0 taken" "$SCRATCH/killed.log" || die "$kills killed evaluations left nothing behind"
cmp "$SCRATCH/whole/results.json" "$SCRATCH/killed/results.json" || die "after $kills kills: other numbers"

# ---- nothing twice

evaluate 2 whole || die "again: status $?"
expect whole 0 "$computed"
cmp "$SCRATCH/whole/results.json" "$SCRATCH/killed/results.json" || die "out of results.h5: other numbers"
evaluate 1 whole --set 'optimizers=[{name: adam, learning_rate: sweep}, {name: lion, learning_rate: 0.001}]' ||
    die "another optimizer: status $?"
grep -q "trainings: 4 computed" "$SCRATCH/whole.log" || die "another optimizer: not its four trainings were computed"
evaluate 1 whole --set 'tasks=[{task: quadratic, dim: 5}, {task: quadratic, dim: 6}]' --set 'optimizers=[{name: sgd}]' ||
    die "another task: status $?"
expect whole 4 0
evaluate 1 whole --set 'tasks=[{task: quadratic, dim: 5}, {task: quadratic, dim: 7}]' --set 'optimizers=[{name: sgd}]' ||
    die "a changed task: status $?"
expect whole 2 2
evaluate 1 whole --set seed=2 || die "another seed: status $?"
grep -q ", 0 taken" "$SCRATCH/whole.log" || die "another seed: results of seed 1 were taken"

# ---- SIGTERM: saved, and said how to go on

evaluate 1 stopped --set steps=20000 &
launch=$!
until ranks_of "$SCRATCH/stopped" | grep -q .; do sleep 0.05; done
sleep 0.5
ranks_of "$SCRATCH/stopped" | xargs kill -TERM
status=0
wait "$launch" || status=$?
[ "$status" -eq 75 ] || die "SIGTERM: status $status"
grep -q "the same command goes on" "$SCRATCH/stopped.log" || die "SIGTERM: does not say how to go on"

# ---- files that are no results, or of another version

refuse() { # WHAT: results.h5 as it is now
    local status=0
    cp "$SCRATCH/other/results.h5" "$SCRATCH/before.h5"
    evaluate 1 other || status=$?
    [ "$status" -eq 2 ] || die "$1: status $status"
    [ "$(wc -l <"$SCRATCH/other.log")" -eq 1 ] && grep -q "other/results.h5" "$SCRATCH/other.log" || die "$1: not one sentence"
    cmp "$SCRATCH/other/results.h5" "$SCRATCH/before.h5" || die "$1: the file was changed"
}
mkdir "$SCRATCH/other"
echo "not HDF5" >"$SCRATCH/other/results.h5"
refuse "a text"
head -c 3000 "$SCRATCH/whole/results.h5" >"$SCRATCH/other/results.h5"
refuse "half a file"
"$METATRAIN" train configs/quadratic.yaml --set outer.steps=1 --out "$SCRATCH/run" >"$SCRATCH/run.log" 2>&1
cp "$SCRATCH/run/theta.h5" "$SCRATCH/other/results.h5"
refuse "a theta file"
grep -q 'format: found' "$SCRATCH/other.log" || die "a theta file: $(cat "$SCRATCH/other.log")"

# ---- two at a time

evaluate 1 shared --set steps=20000 &
launch=$!
until [ -e "$SCRATCH/shared/.lock" ] && ranks_of "$SCRATCH/shared" | grep -q .; do sleep 0.05; done
sleep 0.2
status=0
"$METATRAIN" eval --suite "$SCRATCH/suite.yaml" --out "$SCRATCH/shared" >"$SCRATCH/two.out" 2>"$SCRATCH/two.log" || status=$?
ranks_of "$SCRATCH/shared" | xargs kill -KILL
wait "$launch" || true
[ "$status" -eq 2 ] && grep -q "another process is using this folder" "$SCRATCH/two.log" || die "two at a time: status $status"
