#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Same seed, same bits, for every estimator and every kind of state a run may have: theta after 16 outer
# steps has one digest for 1, 2 and 3 processes, and when a run of 3 is gone after its restart point of
# step 8 and goes on as one of 2; these two share out the gradient of theta, which takes several pieces. (tests/test_same_bits.sh kills processes.)
source tests/lib.sh
failed="$SCRATCH/failed"

cat >"$SCRATCH/config.yaml" <<'YAML'
optimizer: {name: small-fc, hidden_size: 32, step_mult: 0.1}
tasks:
  - {task: noisy_quadratic, dim: 6, noise: 0.1}
  - {task: quadratic_family, weight: 2, sample: {dim: [2, 12], every: 3}, augment: {reparam: {level: tensor}}}
estimator: {std: 0.05, window: 5, noise_every: 10, schedule: {min: 6, max: 15}}
particles: 5
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

for variant in es es-last tes pes pes-reference nres nres-reference gpes; do
    for n in 1 2; do train "$n" "$variant-$n" "$variant" 16; done
    train 3 "$variant-3" "$variant" 11 --set outer.share_from=0
    rm -r "$SCRATCH/$variant-3/checkpoints/step-000000000011"
    train 2 "$variant-3" "$variant" 16 --set outer.share_from=0 --resume
    grep -q 'at outer step 8' "$SCRATCH/$variant-3.log" || die "$variant: did not resume from outer step 8"
    want=$(digest "$SCRATCH/$variant-1")
    for n in 2 3; do
        [ "$(digest "$SCRATCH/$variant-$n")" = "$want" ] || {
            echo "FAIL: $variant with $n processes: $(digest "$SCRATCH/$variant-$n"), with one: $want" >&2
            echo "$variant" >>"$failed"
        }
    done
    echo "$variant: $want"
done | tee "$SCRATCH/digests"
# nothing of what a variant says may be without effect
[ "$(sed 's/.* //' "$SCRATCH/digests" | sort -u | wc -l)" -eq 8 ] || die "two variants gave the same theta"
[ ! -e "$failed" ]
