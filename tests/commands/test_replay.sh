#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every golden trajectory through every kernel, and what replay says of files that it cannot use.
source tests/lib.sh

replays() { # STATUS PATTERN ARGUMENT...
    gives "$1" "$2" replay "${@:3}"
}

# ---- recorded updates ---------------------------------------------------------------------------------

for file in tests/golden/*.h5; do
    for kernels in reference portable avx2 avx512; do
        LOPT_KERNELS=$kernels replays 0 '^passed$' "$file"
    done
done

# What a person reads, and that a tolerance out of reach is out of reach, in both modes and overall.
replays 0 '^tests/golden/elo.h5: ELO_naive as elo, 2402 theta, kernels [a-z0-9]+$' tests/golden/elo.h5
replays 0 '^case 3: 4 tensors, 4 steps, tolerance 2.0e-05$' tests/golden/elo.h5
replays 0 '^tensor_1 +\(3, 3, 4, 8\) +[0-9.]+e-0[78] +[0-9.]+e-0[78]$' tests/golden/elo.h5
replays 0 '^overall: largest relative error [0-9.]+e-0[78] \(case [0-3], tensor_[0-3], step [0-9]\), tolerance' tests/golden/elo.h5
replays 1 '^FAILED: 4 cases beyond the tolerance, first case 0: [0-9.]+e-0[78]$' tests/golden/elo.h5 --rtol 1e-9
replays 0 'tolerance 1.0e-04' tests/golden/elo.h5 --rtol 1e-4

# ---- recordings changed by one number -----------------------------------------------------------------

# changed NAME PERL: a copy of adafaclo_h4 with a change to its bytes, $_.
changed() {
    perl -0777 -pe "BEGIN { binmode STDIN; binmode STDOUT } $2" <tests/golden/adafaclo_h4.h5 >"$SCRATCH/$1.h5"
    ! cmp -s tests/golden/adafaclo_h4.h5 "$SCRATCH/$1.h5" || fail "$1: nothing changed"
}

changed step_mult 's/"step_mult": 0\.001/"step_mult": 0.002/'
replays 1 '^FAILED: 4 cases' "$SCRATCH/step_mult.h5"
changed exp_mult 's/"exp_mult": 0\.001/"exp_mult": 0.009/'
replays 1 '^FAILED: [1-4] cases?' "$SCRATCH/exp_mult.h5"
changed unused 's/"step_mult": 0\.001/"step_bult": 0.001/'
replays 1 'mean nothing here: step_bult' "$SCRATCH/unused.h5"
changed hidden 's/"net_hidden_size": 4/"net_hidden_size": 5/'
replays 2 'network\.input\.bias has shape \(4\), its config says \(5\)|network\.input\.weight has shape \(4, 39\), its config says \(5, 39\)' "$SCRATCH/hidden.h5"
changed layers 's/"net_hidden_layers": 1/"net_hidden_layers": 2/'
replays 2 'linear_1|output' "$SCRATCH/layers.h5"
changed decay 's/"rms_decays": \[0\.0\]/"rms_decays": "noo"/'
replays 2 'rms_decay_offsets is "noo", expected' "$SCRATCH/decay.h5"
changed json 's/"step_mult": /"step_mult"; /'
replays 2 'config is not JSON' "$SCRATCH/json.h5"
changed unknown 's/AdafacLO_naive/AdafacXX_naive/g'
replays 2 'AdafacXX_naive.*AdafacLO_naive, ELO_naive' "$SCRATCH/unknown.h5"

# ---- files that are none, or damaged --------------------------------------------------------------------

changed no-optimizer 's/optimizer\0/optimixer\0/g'
replays 2 'has no attribute "optimizer"' "$SCRATCH/no-optimizer.h5"
replays 2 'No such file' "$SCRATCH/nothing.h5"
replays 2 'not a file' "$SCRATCH"
replays 2 'HDF5' LICENSE
replays 2 'GOLDEN.h5 is missing'
replays 2 'rtol' tests/golden/elo.h5 --rtol much
size=$(wc -c <tests/golden/adafaclo_h4.h5)
for kept in 0 1 100 2048 5000 $((size / 2)) $((size - 1)); do
    head -c "$kept" tests/golden/adafaclo_h4.h5 >"$SCRATCH/truncated.h5"
    replays 2 '^metatrain: .*truncated\.h5' "$SCRATCH/truncated.h5"
done

# HDF5 itself crashes on some of these; the program must not. A byte of padding may change nothing.
for ((at = 8; at < 4000; at += 97)); do
    perl -0777 -pe "BEGIN { binmode STDIN; binmode STDOUT } substr(\$_, $at, 1) ^= chr(1 << $at % 8)" \
        <tests/golden/adafaclo_h4.h5 >"$SCRATCH/flipped.h5"
    status=0
    "$METATRAIN" replay "$SCRATCH/flipped.h5" >"$SCRATCH/output" 2>&1 || status=$?
    [ "$status" -le 2 ] || fail "byte $at flipped: status $status"
done

[ "$failures" -eq 0 ]
