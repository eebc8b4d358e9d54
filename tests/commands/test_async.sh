#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The asynchronous mode: alone it is the synchronous one; no window counts that is older than outer.staleness, and it
# learns; a slow rank, be it rank 0, does not hold up the others; it resumes, and goes on when a rank dies; keys that
# need it are refused without it.
source tests/lib.sh
export METATRAIN
for program in mpirun mpicc; do
    command -v $program >/dev/null || skip "no $program"
done
preload=
if [ -z "${SANITIZE-}" ]; then # a sanitizer must be the first library
    preload=$SCRATCH/slow.so
    mpicc -shared -fPIC -O2 -o "$preload" tests/commands/slow_shim.c
fi

train() { # N NAME ARGUMENT...
    scripts/launch -n "$1" train configs/quadratic.yaml --out "$SCRATCH/$2" --set checkpoint.every=20 \
        --set optimizer.step_mult=0.3 "${@:3}" >"$SCRATCH/$2.log" 2>&1 || die "$2 ended with status $?"
}

async=(--set outer.mode=asynchronous)

column() { # NAME KEY
    sed -nE "s/.*\"$2\": ([^,}]*)[,}].*/\1/p" "$SCRATCH/$1/metrics.jsonl"
}

most() { # NAME KEY
    column "$1" "$2" | sort -g | tail -n 1
}

# Alone: the synchronous mode, also over a resume.
train 1 sync --set outer.steps=60
train 1 alone --set outer.steps=60 "${async[@]}"
train 1 resumed --set outer.steps=33 "${async[@]}"
train 1 resumed --set outer.steps=60 "${async[@]}" --resume
for name in alone resumed; do
    [ "$(digest "$SCRATCH/$name/theta.h5")" = "$(digest "$SCRATCH/sync/theta.h5")" ] || die "$name: another theta"
done
grep -q '^asynchronous: another run' "$SCRATCH/alone.log" || die "the summary promises the same bits"
"$METATRAIN" show "$SCRATCH/alone" | grep -q 'mode: asynchronous' || die "show promises the same bits"
[ "$(most sync staleness_max) $(most sync stale_share)" = "0 0.0" ] || die "sync: staleness"

# A step of so many windows.
train 1 batch --set outer.steps=10 --set outer.batch=5 "${async[@]}"
window=$(($(most sync inner_steps) / 60 / 16))
[ "$(most batch inner_steps)" = $((10 * 5 * window)) ] || die "batch: $(most batch inner_steps) inner steps"

# The bound holds, what is older is dropped, and the loss falls. Rank 1 is slow.
long=(--set estimator.window=100 --set estimator.schedule.min=100 --set estimator.schedule.max=300)
slowly() { # RANK FACTOR N NAME ARGUMENT...
    SLOW_RANK=$1 SLOW_FACTOR=$2 LD_PRELOAD=$preload train "$3" "$4" "${long[@]}" "${@:5}"
}
for bound in 0 2; do
    slowly 1 8 2 "bound-$bound" --set outer.steps=200 --set outer.staleness="$bound" "${async[@]}"
    [ "$(most "bound-$bound" staleness_max)" -le "$bound" ] || die "staleness above $bound"
    column "bound-$bound" meta_loss | awk '{ if (NR <= 20) first += $1; if (NR > 180) last += $1 }
        END { if (!(last < 0.5 * first)) { print "meta-loss", first / 20, "to", last / 20; exit 1 } }' ||
        die "bound-$bound does not learn"
done
[ "$(most bound-0 stale_share)" != 0.0 ] || die "nothing was dropped with a bound of 0"
[ "$(most bound-2 staleness_max)" -gt 0 ] || die "no window was older than its step"

# Rank 1 stands still: rank 0 makes every outer step without it, and the last checkpoint waits for it.
few=(--set particles=4 --set outer.steps=60 --set checkpoint.every=1000)
train 2 stopped "${few[@]}" --set outer.steps=400 --set outer.batch=3 --set estimator.window=500 --set estimator.schedule.min=500 \
    --set estimator.schedule.max=1000 "${async[@]}" &
until [ -s "$SCRATCH/stopped/metrics.jsonl" ]; do sleep 0.05; done
rank=$(ranks_of "$SCRATCH/stopped" | sort -n | tail -n 1)
kill -STOP "$rank"
for _ in $(seq 600); do
    [ "$(wc -l <"$SCRATCH/stopped/metrics.jsonl")" -lt 400 ] || break
    sleep 0.1
done
[ "$(wc -l <"$SCRATCH/stopped/metrics.jsonl")" -eq 400 ] || die "a rank that stands still holds up the other"
kill -CONT "$rank"
wait $!

# Nor is anybody held up by rank 0 in a long window of its own.
if [ -z "${SANITIZE-}" ]; then
    slowly 0 20 2 slow-sync "${few[@]}"
    slowly 0 20 2 slow "${few[@]}" --set outer.staleness=8 "${async[@]}"
    awk -v sync="$(most slow-sync seconds)" -v async="$(most slow seconds)" 'BEGIN {
        print "rank 0 slow:", sync, "s synchronous,", async, "s asynchronous"; exit !(async < sync) }' ||
        die "a slow rank 0 holds up the other"
fi

# Checkpoints, other numbers of ranks, the death of one.
train 2 resume --set outer.steps=50 "${long[@]}" "${async[@]}"
train 3 resume --set outer.steps=90 "${long[@]}" "${async[@]}" --resume
grep -q 'resuming .* at outer step 50' "$SCRATCH/resume.log" || die "did not resume"
[ "$(column resume outer_step)" = "$(seq 90)" ] || die "resume: not every outer step once"
"$METATRAIN" show "$SCRATCH/resume/checkpoints/step-000000000080" | grep -q n_reports || die "reports are not saved"
train 3 killed --set outer.steps=400 "${long[@]}" --set faults.silence=5 "${async[@]}" &
until [ "$(wc -l 2>/dev/null <"$SCRATCH/killed/metrics.jsonl" || echo 0)" -ge 22 ]; do sleep 0.05; done
kill -KILL "$(ranks_of "$SCRATCH/killed" | sort -n | tail -n 1)"
wait $!
grep -q 'going on from outer step' "$SCRATCH/killed.log" || die "no rank died"
[ "$(column killed outer_step)" = "$(seq 400)" ] || die "killed: not every outer step once"

# Keys that say nothing without it.
gives 2 'outer.staleness: found 3, expected the default 1, as outer.mode is synchronous' \
    train configs/quadratic.yaml --out "$SCRATCH/no" --set outer.staleness=3
gives 2 'outer.batch: found 8, expected the default 0' train configs/quadratic.yaml --out "$SCRATCH/no" --set outer.batch=8
[ "$failures" -eq 0 ]
