#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The program from outside: help, names, statuses, and what a run leaves in its folder.
source tests/lib.sh
run=$SCRATCH/run

# ---- help, usage, names ------------------------------------------------------------------------------

gives 0 'Usage: metatrain COMMAND' --help
gives 0 '^metatrain [0-9]+\.[0-9]+' --version
gives 2 'Usage: metatrain COMMAND'
gives 2 'trian.*train' trian
commands=$("$METATRAIN" --help | sed -nE 's/^  ([a-z]+) .*/\1/p' | grep -v '^metatrain$')
for command in train eval export show list replay simulate; do
    grep -qx "$command" <<<"$commands" || fail "metatrain --help does not name $command"
done
for command in $commands; do
    gives 0 "^Usage: metatrain $command" "$command" --help
    gives 0 '^Examples:' "$command" --help
    gives 2 'no-such-option' "$command" --no-such-option
done
gives 2 'optimizers' list opimizers
gives 0 '^small-fc ' list optimizers
gives 0 '^elo ' list optimizers
gives 0 '^adam ' list optimizers
gives 0 '^image_mlp ' list tasks
for name in es tes pes nres; do
    gives 0 "^$name " list estimators
done
for what in optimizers tasks estimators keys; do
    gives 0 '^[[{]' list "$what" --json
done

# ---- a short run and what it leaves ------------------------------------------------------------------

small=(configs/quickstart.yaml --set particles=2 --set estimator.window=5)
gives 0 '^digest: [0-9a-f]{32}$' train "${small[@]}" --out "$run" --set outer.steps=4
for file in theta.h5 metrics.jsonl config.yaml status.json checkpoints; do
    [ -e "$run/$file" ] || fail "train leaves no $file"
done
[ "$(wc -l <"$run/metrics.jsonl")" -eq 4 ] || fail "metrics.jsonl has not one line an outer step"
grep -qE '"state": *"done"' "$run/status.json" || fail "status.json: $(cat "$run/status.json")"
gives 0 '^digest: [0-9a-f]{32}$' show "$run/theta.h5"
gives 0 '"digest"' show "$run/theta.h5" --json
point=$(find "$run/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' | sort | tail -n 1)
gives 0 '^digest: [0-9a-f]{32}$' show "$point"

# The resolved configuration gives the same run.
gives 0 '^digest' train "$run/config.yaml" --out "$SCRATCH/again"
[ "$("$METATRAIN" show "$run/theta.h5" | grep ^digest)" = "$("$METATRAIN" show "$SCRATCH/again/theta.h5" | grep ^digest)" ] ||
    fail "config.yaml of a run gives another theta"

# A second run moves the first aside; a stopped one goes on.
gives 0 'earlier run' train "${small[@]}" --out "$run" --set outer.steps=4
[ -e "$run.old-1/theta.h5" ] || fail "the earlier run was not moved aside"
gives 75 'resume' train "${small[@]}" --out "$SCRATCH/stopped" --set outer.steps=1000000 --time-limit 1
grep -qE '"state": *"stopped"' "$SCRATCH/stopped/status.json" || fail "status.json: $(cat "$SCRATCH/stopped/status.json")"
grep -qE '"status": *75' "$SCRATCH/stopped/status.json" || fail "status.json: $(cat "$SCRATCH/stopped/status.json")"
gives 75 'resuming' train --out "$SCRATCH/stopped" --resume --time-limit 1

# Signals save and leave; SIGKILL of this process is test_same_bits.
for signal in TERM INT USR1; do
    "$METATRAIN" train "${small[@]}" --out "$SCRATCH/$signal" --set outer.steps=1000000 >"$SCRATCH/output" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        [ -s "$SCRATCH/$signal/metrics.jsonl" ] && break
        sleep 0.1
    done
    kill "-$signal" "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 75 ] || fail "SIG$signal: status $status, expected 75"
    [ -n "$(find "$SCRATCH/$signal/checkpoints" -name manifest.json)" ] || fail "SIG$signal: no checkpoint"
done

# ---- evaluation and export ---------------------------------------------------------------------------

quick=(--set steps=4 --set seeds=2 --set every=2 --set batches=1 --set last_batches=1 --set "sweep=[0.01]")
gives 0 'small-fc' eval "$run/theta.h5" "${quick[@]}" --out "$SCRATCH/eval"
[ -s "$SCRATCH/eval/results.json" ] || fail "eval leaves no results.json"
gives 0 '' export "$run/theta.h5" --to pylo --out "$SCRATCH/pylo"
for file in model.safetensors config.json README.md; do
    [ -s "$SCRATCH/pylo/$file" ] || fail "export --to pylo leaves no $file"
done
gives 2 'onnx' export "$run/theta.h5" --to onnx --out "$SCRATCH/onnx"
gives 0 '' export "$run/theta.h5" --to c-header --out "$SCRATCH/theta.h"
echo '#include "theta.h"' >"$SCRATCH/header.c"
"$CC" -std=c11 -Wall -Wextra -Werror -Wno-unused-function -c "$SCRATCH/header.c" -o "$SCRATCH/header.o" ||
    fail "the exported header does not compile alone"

[ "$failures" -eq 0 ]
