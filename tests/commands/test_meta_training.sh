#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every learned optimizer meta-trains: 200 outer steps on random quadratics lower its meta-loss. Small sizes
# and large steps, so that 20 inner steps make a difference; two at a time.
source tests/lib.sh

cat >"$SCRATCH/config.yaml" <<'YAML'
tasks: [{task: quadratic_family, dim: 10}]
estimator:
  name: es
  std: 0.03
  window: 20
  schedule: {name: constant, max: 20}
particles: 8
outer: {steps: 200, learning_rate: 0.03, gradient_clip: 1}
checkpoint: {every: 1000, keep: 1}
YAML

# Settings of a preset beside its defaults. A new preset that is not here runs with its defaults.
settings_of() { # PRESET
    case $1 in
    small-fc* | mulo | mlp-lopt | adafac-nominal) echo hidden_size=4 step_mult=0.1 ;;
    rnn-mlp) echo hidden_size=4 lstm_hidden_size=8 step_mult=0.1 ;;
    elo) echo hidden_size=4 learning_rate=0.1 ;;
    velo*) echo lstm_hidden_size=8 param_inits=4 bank_mult=1 learning_rate=1 step_mult=0.1 ;;
    celo-adam) echo lstm_hidden_size=8 ;;
    celo | celo-phase1) echo lstm_hidden_size=8 step_mult=0.1 ;;
    celo2* | elo-celo2) echo learning_rate=0.1 adam_for=nothing ;;
    nn-adam) echo lstm_hidden_size=8 ;;
    esac
}

train() { # PRESET
    local set=()
    for setting in $(settings_of "$1"); do set+=(--set "optimizer.$setting"); done
    "$METATRAIN" train "$SCRATCH/config.yaml" --out "$SCRATCH/$1" --set optimizer.name="$1" "${set[@]}" \
        >"$SCRATCH/$1.log" 2>&1 || {
        echo "FAIL: $1: $(tail -n 3 "$SCRATCH/$1.log")"
        return
    }
    # The mean of the first and of the last 20 outer steps.
    sed -E 's/.*"meta_loss": *([^,}]*).*/\1/' "$SCRATCH/$1/metrics.jsonl" |
        awk -v name="$1" '{ x[NR] = $1 } END {
            for (i = 1; i <= 20; i++) { first += x[i] / 20; last += x[NR + 1 - i] / 20 }
            printf "%s %s: meta-loss %g, after %d steps %g\n",
                last < 0.9 * first ? "ok" : "FAIL:", name, first, NR, last }'
}
export -f train settings_of
export METATRAIN SCRATCH

"$METATRAIN" list optimizers --json | tr -d '\n' |
    tr '{' '\n' | sed -nE '/"learned": *true/s/.*"name": *"([^"]*)".*/\1/p' >"$SCRATCH/presets"
grep -qx small-fc "$SCRATCH/presets"
<"$SCRATCH/presets" xargs -P 2 -I{} bash -c 'train {}' | tee "$SCRATCH/results"
[ "$(grep -c '^ok ' "$SCRATCH/results")" -eq "$(wc -l <"$SCRATCH/presets")" ]
