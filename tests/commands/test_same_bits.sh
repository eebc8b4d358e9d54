#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Same seed, same bits: theta after 50 outer steps of configs/quickstart.yaml has one digest for 1, 2 and
# 3 processes, and when every rank is killed (SIGKILL) after 20 steps and the run is resumed.
source tests/lib.sh
steps=50

train() { # N NAME ARGUMENT...
    local n=$1 name=$2
    shift 2
    scripts/launch -n "$n" train configs/quickstart.yaml --out "$SCRATCH/$name" \
        --set outer.steps="$steps" --set checkpoint.every=5 "$@" >"$SCRATCH/$name.log" 2>&1
}

# Outer steps in the history so far.
steps_done() { # NAME
    if [ -e "$SCRATCH/$1/metrics.jsonl" ]; then
        wc -l <"$SCRATCH/$1/metrics.jsonl"
    else
        echo 0
    fi
}

for n in 1 2 3; do
    train "$n" "with-$n" || die "training with $n processes ended with status $?"
done

# Kills the run once it has made 20 steps; fails where it was done before.
kill_a_run() {
    local launch
    rm -rf "${SCRATCH:?}"/killed
    train 2 killed &
    launch=$!
    while kill -0 "$launch" 2>/dev/null && [ "$(steps_done killed)" -lt 20 ]; do
        sleep 0.05
    done
    ranks_of "$SCRATCH/killed" | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
    ! wait "$launch"
}

for attempt in 1 2 3 4 5; do # on a busy machine this script may look away for too long
    kill_a_run && break
    [ "$attempt" -lt 5 ] || die "the run to be killed ended before it was, five times"
done
train 2 killed --resume || die "resuming ended with status $?"
grep -q 'resuming .* at outer step' "$SCRATCH/killed.log" || die "the killed run did not resume from a checkpoint"

want=$(digest "$SCRATCH/with-1")
[[ "$want" =~ ^[0-9a-f]{32}$ ]] || die "metatrain show prints no digest: \"$want\""
for name in with-2 with-3 killed; do
    [ "$(digest "$SCRATCH/$name")" = "$want" ] || die "digest of $name: $(digest "$SCRATCH/$name"), with one process: $want"
done
echo "digest after $steps outer steps: $want"
