#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Same seed, same bits, for every estimator and every kind of state a run may have: theta after 16 outer
# steps has one digest for 1, 2 and 3 processes, and when a run of 3 is gone after its checkpoint of
# step 8 and goes on as one of 2; these two share out the gradient of theta, which takes several pieces.
# (tests/commands/test_same_bits.sh kills processes.)
#
#   SOURCE_DIR=$PWD METATRAIN=$PWD/build/release/metatrain SCRATCH=/tmp/same-bits bash tests/commands/test_same_bits_estimators.sh --long
#
# takes tasks of very unequal cost, 1, 2, 3, 4 and 8 processes, with rank 0 making the gradient and with
# shares, and goes on from step 8 on 1 and 8 processes in the other way: two to four minutes on two cores.
source tests/lib.sh
failed="$SCRATCH/failed"
mkdir -p "$SCRATCH"
long=${1-}
hidden=32 dim=12 particles=5
if [ "$long" = --long ]; then hidden=100 dim=200 particles=13; fi
alone=outer.share_from=1000000000000 shared=outer.share_from=0

cat >"$SCRATCH/config.yaml" <<YAML
optimizer: {name: small-fc, hidden_size: $hidden, step_mult: 0.1}
tasks:
  - {task: noisy_quadratic, dim: 6, noise: 0.1}
  - {task: quadratic_family, weight: 2, sample: {dim: [2, $dim], every: 3}, augment: {reparam: {level: tensor}}}
  - {task: image_mlp_family, dataset: spirals, sample: {max_flops: 1000000, max_params: 2000, augment: velo, every: 3}}
  - {task: quadratic, augment: {delay: 3, dtype: bfloat16, gradient: unit, directions: {count: 3}, es: {pairs: 2}}}
estimator: {std: 0.05, window: 5, noise_every: 10, schedule: {min: 6, max: 15}}
particles: $particles
outer: {learning_rate: 0.01, gradient_clip: 1}
checkpoint: {every: 4, keep: 9}
YAML

# What a name stands for.
settings() { # VARIANT
    case $1 in
    es) echo estimator.name=es estimator.shaping=sign outer.accumulate=3 ;;
    es-last) echo estimator.name=es estimator.reduction=last_fresh estimator.reduction_batches=3 \
        estimator.shaping=standardise outer.optimizer=lion ;;
    tes) echo estimator.name=tes estimator.shaping=range outer.schedule.name=linear outer.schedule.decay=12 ;;
    pes) echo estimator.name=pes estimator.shaping=centred_rank outer.accumulate=5 outer.optimizer=sgd ;;
    pes-reference) echo estimator.name=pes estimator.compat=reference estimator.schedule.name=scheduled \
        estimator.schedule.knot_steps=[0,10] estimator.schedule.knot_lengths=[6,15] estimator.schedule.std=3 ;;
    nres) echo estimator.name=nres estimator.meta_loss=same_data estimator.clip=0.1 outer.optimizer=adamw ;;
    nres-reference) echo estimator.name=nres estimator.compat=reference estimator.schedule.offset=9 ;;
    gpes) echo estimator.name=gpes estimator.meta_loss=fresh_train "optimizer.freeze=[b*]" ;;
    esac
}

train() { # N NAME VARIANT STEPS ARGUMENT...
    local n=$1 name=$2 variant=$3 steps=$4 sets=()
    shift 4
    for set in $(settings "$variant"); do sets+=(--set "$set"); done
    scripts/launch -n "$n" train "$SCRATCH/config.yaml" --out "$SCRATCH/$name" --set outer.steps="$steps" \
        "${sets[@]}" "$@" >"$SCRATCH/$name.log" 2>&1 || die "$name: status $?"
}

# As one of N processes until the end, or as one of FROM that is gone after the checkpoint of step 8.
whole() { # N VARIANT NAME SETTING
    train "$1" "$2-$3" "$2" 16 --set "$4"
}
resumed() { # FROM SETTING N SETTING VARIANT NAME
    local name=$5-$6
    train "$1" "$name" "$5" 11 --set "$2"
    rm -r "$SCRATCH/$name/checkpoints/step-000000000011"
    train "$3" "$name" "$5" 16 --set "$4" --resume
    grep -q 'at outer step 8' "$SCRATCH/$name.log" || die "$name: did not resume from outer step 8"
}

compare() { # VARIANT
    local want run
    want=$(digest "$SCRATCH/$1-1")
    for run in "$SCRATCH/$1"-[0-9]*/; do
        [ "$(digest "$run")" = "$want" ] || {
            echo "FAIL: $run: $(digest "$run"), with one process: $want" >&2
            echo "$run" >>"$failed"
        }
    done
    echo "$1: $want"
}

for variant in es es-last tes pes pes-reference nres nres-reference gpes; do
    whole 1 "$variant" 1 "$alone"
    whole 2 "$variant" 2 "$alone"
    resumed 3 "$shared" 2 "$shared" "$variant" 3-then-2-shared
    if [ "$long" = --long ]; then
        for n in 3 4 8; do whole "$n" "$variant" "$n" "$alone"; done
        for n in 1 2 3 4 8; do whole "$n" "$variant" "$n-shared" "$shared"; done
        resumed 4 "$shared" 8 "$alone" "$variant" 4-shared-then-8
        resumed 2 "$alone" 8 "$shared" "$variant" 2-then-8-shared
        resumed 8 "$shared" 1 "$alone" "$variant" 8-shared-then-1
    fi
    compare "$variant"
done | tee "$SCRATCH/digests"
# nothing of what a variant says may be without effect
[ "$(sed 's/.* //' "$SCRATCH/digests" | sort -u | wc -l)" -eq 8 ] || die "two variants gave the same theta"
[ ! -e "$failed" ]
