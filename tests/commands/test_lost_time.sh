#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The seconds of a run in which a process died: what was done twice took time, and no second is counted twice.
source tests/lib.sh
export METATRAIN

run=$SCRATCH/run
began=$(date +%s%N)
scripts/launch -n 2 train configs/quadratic.yaml --out "$run" --set checkpoint.every=100 \
    --set outer.steps=100000000 >"$SCRATCH/train.log" 2>&1 &
launch=$!
until [ -s "$run/metrics.jsonl" ]; do sleep 0.1; done
sleep 3
before=$(tail -n 2 "$run/metrics.jsonl" | sed -nE '1s/.*"seconds": ([0-9.]+).*/\1/p')
kill -KILL "$(pgrep -n -f "^$METATRAIN train .*--out $run ")"
for _ in $(seq 600); do
    grep -q 'going on from outer step' "$SCRATCH/train.log" && break
    sleep 0.1
done
sleep 2
kill -USR1 "$launch" # save and stop
status=0
wait "$launch" || status=$?
elapsed=$(($(date +%s%N) - began))
[ "$status" -eq 75 ] || die "status $status"
grep -q 'going on from outer step' "$SCRATCH/train.log" || die "no process died"
seconds=$(tail -n 1 "$run/metrics.jsonl" | sed -nE 's/.*"seconds": ([0-9.]+).*/\1/p')
awk -v s="$seconds" -v e="$elapsed" -v b="$before" 'BEGIN { exit !(s > b && s < e / 1e9) }' ||
    die "$seconds s after the death, $before s before it, $elapsed ns by the clock"
echo "$before s before the death, $seconds s at the end, $((elapsed / 1000000)) ms by the clock"
