#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The folder of a run: one run at a time, earlier runs moved aside whole, what a resume needs and refuses.
source tests/lib.sh
cd "$SCRATCH"
config="$SOURCE_DIR/configs/quadratic.yaml"
mt() { "$METATRAIN" "$@"; }
short=(--set outer.steps=6 --set checkpoint.every=2 --set particles=2)
refused() { # WORDS COMMAND...: status 2 and one line with WORDS
    local words=$1 status=0
    shift
    "$@" >out.log 2>err.log || status=$?
    [ "$status" -eq 2 ] || die "$*: status $status, expected 2: $(cat err.log)"
    grep -q "$words" err.log || die "$*: no \"$words\" in: $(cat err.log)"
}

run=
trap '[ -z "$run" ] || kill -KILL "$run" 2>/dev/null || true' EXIT # a run that a failed check leaves behind

# A living run keeps its folder; a stopped one says so in status.json.
"$METATRAIN" train "$config" --out busy --set outer.steps=100000000 >busy.log 2>&1 &
run=$!
for _ in $(seq 200); do [ -e busy/metrics.jsonl ] && break; sleep 0.05; done
refused "another process is using this folder" mt train "$config" --out busy "${short[@]}"
refused "another process is using this folder" mt train "$config" --out busy "${short[@]}" --resume
kill -TERM "$run"
status=0
wait "$run" || status=$?
run=
[ "$status" -eq 75 ] || die "a run stopped by SIGTERM ended with $status, expected 75"
grep -q '"state": "stopped"' busy/status.json || die "status.json: $(cat busy/status.json)"

# A second run in the same folder moves the first aside, also when only its checkpoints are left.
mt train "$config" --out again "${short[@]}" >/dev/null 2>&1
rm again/metrics.jsonl again/theta.h5 again/status.json
mt train "$config" --out again "${short[@]}" --set seed=2 >/dev/null 2>&1
[ -d again.old-1/checkpoints ] || die "the earlier run was not moved aside"

# A resume needs neither the file that theta started from nor more than outer.steps can give.
cp again/theta.h5 start.h5
mt train "$config" --out init "${short[@]}" --set optimizer.init=start.h5 >/dev/null 2>&1
mt train "$config" --out whole "${short[@]}" --set optimizer.init=start.h5 --set outer.steps=8 >/dev/null 2>&1
rm start.h5
mt train --resume --out init --set outer.steps=8 >/dev/null 2>err.log || die "resume without the init file: $(cat err.log)"
[ "$(digest init)" = "$(digest whole)" ] || die "a resumed run from an init file differs"
refused "expected at least 8" mt train --resume --out init --set outer.steps=3
refused "cannot resume with another configuration" mt train --resume --out init --set estimator.std=0.5

# Points that do not verify are named; when none does, nothing starts over by itself.
for manifest in init/checkpoints/*/manifest.json; do echo x >>"$manifest"; done
refused "none of the .* checkpoints verifies" mt train --resume --out init
[ -d init/checkpoints ] || die "a refused resume touched the folder"

# What cannot be saved is failed work, said once, in the words and in status.json. The only checkpoint is the one
# at the end: none is written while its folder is taken away.
"$METATRAIN" train "$config" --out broken --set outer.steps=100000000 --set checkpoint.every=1000000000 >out.log 2>err.log &
run=$!
for _ in $(seq 200); do [ -e broken/metrics.jsonl ] && break; sleep 0.05; done
rm -rf broken/checkpoints
echo "in the way" >broken/checkpoints
kill -TERM "$run"
status=0
wait "$run" || status=$?
run=
[ "$status" -eq 1 ] || die "a run that cannot save ended with $status, expected 1"
grep -q 'its state could not be saved' out.log || die "no word of the lost state: $(cat out.log)"
grep -q '"state": "failed"' broken/status.json || die "status.json: $(cat broken/status.json)"
echo "folders of runs: one at a time, moved aside, resumed, refused"
