#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Same seed, same bits: theta after 50 outer steps of configs/quickstart.yaml has one digest for 1, 2 and
# 3 processes, and when every rank is killed (SIGKILL) after 20 steps and the run is resumed.
set -euo pipefail
cd "$SOURCE_DIR"
steps=50

train() { # N NAME ARGUMENT...
    local n=$1 name=$2
    shift 2
    scripts/launch -n "$n" train configs/quickstart.yaml --out "$SCRATCH/$name" \
        --set outer.steps="$steps" --set checkpoint.every=5 "$@" >"$SCRATCH/$name.log" 2>&1
}

digest() { # NAME
    "$METATRAIN" show "$SCRATCH/$1/theta.h5" | sed -n 's/^digest: //p'
}

# Outer steps in the history so far.
steps_done() { # NAME
    if [ -e "$SCRATCH/$1/metrics.jsonl" ]; then
        wc -l <"$SCRATCH/$1/metrics.jsonl"
    else
        echo 0
    fi
}

# Kills every process of the program that works in folder NAME, found by program and arguments.
kill_ranks() { # NAME
    local process
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/exe" 2>/dev/null)" = "$(realpath "$METATRAIN")" ] &&
            tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -qF " $SCRATCH/$1 "; then
            kill -KILL "${process#/proc/}" 2>/dev/null || true
        fi
    done
}

show_log() {
    echo "FAIL: $1" >&2
    tail -n 20 "$SCRATCH"/*.log >&2
    exit 1
}

for n in 1 2 3; do
    train "$n" "with-$n" || show_log "training with $n processes ended with status $?"
done

train 2 killed &
launch=$!
while kill -0 "$launch" 2>/dev/null && [ "$(steps_done killed)" -lt 20 ]; do
    sleep 0.05
done
kill_ranks killed
status=0
wait "$launch" || status=$?
[ "$status" -ne 0 ] || show_log "the run to be killed ended before it was"
train 2 killed --resume || show_log "resuming ended with status $?"
grep -q 'resuming .* at outer step' "$SCRATCH/killed.log" || show_log "the killed run did not resume from a restart point"

want=$(digest with-1)
[[ "$want" =~ ^[0-9a-f]{32}$ ]] || show_log "metatrain show prints no digest: \"$want\""
for name in with-2 with-3 killed; do
    [ "$(digest "$name")" = "$want" ] || show_log "digest of $name: $(digest "$name"), with one process: $want"
done
echo "digest after $steps outer steps: $want"
