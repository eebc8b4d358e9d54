#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every recipe of configs/recipes/ runs, shrunk to a few outer steps; the second phase of Celo begins with
# the theta of the first and leaves the frozen part of it as it was.
source tests/lib.sh

# What makes a recipe small beside 4 outer steps of 4 particles.
sizes_of() { # RECIPE
    case $1 in
    celo-phase1) echo optimizer.lstm_hidden_size=4 estimator.schedule.max=100 ;;
    celo-phase2) echo optimizer.lstm_hidden_size=4 estimator.schedule.max=100 \
        optimizer.init="$SCRATCH/celo-phase1/theta.h5" ;;
    mulo-small) echo tasks.0.batch_size=64 tasks.0.image_size=8 ;;
    velo-phase1) echo optimizer.lstm_hidden_size=4 optimizer.param_inits=2 \
        estimator.schedule.min=10 estimator.schedule.max=20 estimator.reduction_batches=2 ;;
    esac
}

for recipe in configs/recipes/*.yaml; do
    name=$(basename "$recipe" .yaml)
    sets=()
    for set in $(sizes_of "$name"); do sets+=(--set "$set"); done
    "$METATRAIN" train "$recipe" --out "$SCRATCH/$name" --set outer.steps=4 --set particles=4 \
        "${sets[@]}" >"$SCRATCH/$name.log" 2>&1 || {
        fail "$name: status $?: $(tail -n 3 "$SCRATCH/$name.log")"
        continue
    }
    [ "$(wc -l <"$SCRATCH/$name/metrics.jsonl")" -eq 4 ] || fail "$name: no line for every outer step"
    if grep -q '"meta_loss": null\|"skipped": 1' "$SCRATCH/$name/metrics.jsonl"; then
        fail "$name: $(cat "$SCRATCH/$name/metrics.jsonl")"
    fi
    # four outer steps make one update of velo-phase1
    [ "$(tail -n 1 "$SCRATCH/$name/metrics.jsonl" | sed -E 's/.*"update_norm": ([^,]*),.*/\1/')" != 0.0 ] ||
        fail "$name: theta did not move"
done

# Lines of the blocks of theta that match a pattern.
blocks() { # RECIPE PATTERN
    "$METATRAIN" show "$SCRATCH/$1/theta.h5" | grep "^$2" | tr -s ' '
}

[ "$(blocks celo-phase1 ff_mod_stack/)" = "$(blocks celo-phase2 ff_mod_stack/)" ] ||
    fail "the second phase of Celo moved the frozen network"
[ "$(blocks celo-phase1 rnn_params/)" != "$(blocks celo-phase2 rnn_params/)" ] ||
    fail "the second phase of Celo did not move the schedule"
[ "$(blocks celo-phase2 rnn_params/ | wc -l)" -gt 3 ] || fail "Celo has no blocks rnn_params/*"
exit "$failures"
