#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# metatrain plot: curves on the terminal within its width, pictures, what differs between runs, bad input.
source tests/lib.sh
command -v gnuplot >/dev/null || skip "no gnuplot (Debian: gnuplot-nox)"

train() { # NAME ARGUMENT...
    "$METATRAIN" train configs/quickstart.yaml --out "$SCRATCH/$1" --set outer.steps=6 --set particles=2 \
        --set estimator.window=5 --set evaluate.every=2 --set evaluate.steps=10 --set evaluate.seeds=1 "${@:2}" \
        >"$SCRATCH/$1.log" 2>&1 || die "training ended with status $?"
}
train a
train b --set outer.learning_rate=0.01 --set "tasks.0.hidden=[16, 8]"
"$METATRAIN" eval --set steps=10 --set seeds=1 --set "sweep=[0.1]" --set batches=1 --set last_batches=1 --out "$SCRATCH/eval" \
    >"$SCRATCH/eval.log" 2>&1 || die "evaluation ended with status $?"

# ---- the terminal -------------------------------------------------------------------------------------------

for columns in 60 120; do
    COLUMNS=$columns "$METATRAIN" plot "$SCRATCH/a" >"$SCRATCH/output" || fail "plot: status $?"
    widest=$(awk '{ if (length > n) n = length } END { print n }' "$SCRATCH/output")
    [ "$widest" -le "$columns" ] && [ "$widest" -gt $((columns - 10)) ] || fail "$widest columns wide, expected $columns"
done
gives 0 'outer step' plot "$SCRATCH/a"
grep -q 'one outer step' "$SCRATCH/output" || fail "no curve of the meta-loss"
[ "$(grep -c 'outer step *$' "$SCRATCH/output")" -ge 2 ] || fail "no picture of the validation score"
gives 0 'inner step' plot "$SCRATCH/eval"
for label in adam sgdm sgd; do
    grep -q "$label 0.1" "$SCRATCH/output" || fail "no curve of $label"
done

# ---- pictures -----------------------------------------------------------------------------------------------

"$METATRAIN" plot "$SCRATCH/a" "$SCRATCH/eval" --out "$SCRATCH/curves.svg" || fail "SVG: status $?"
grep -q '</svg>' "$SCRATCH/curves.svg" || fail "no SVG"
"$METATRAIN" plot --compare "$SCRATCH/a" "$SCRATCH/b" --out "$SCRATCH/curves.png" >"$SCRATCH/output" || fail "PNG: status $?"
[ "$(head -c 4 "$SCRATCH/curves.png" | tail -c 3)" = PNG ] || fail "no PNG"

# ---- runs compared ------------------------------------------------------------------------------------------

for what in '/a +6 .*tasks.0.hidden=\[32\], outer.learning_rate=0.003$' '/b +6 .*tasks.0.hidden=\[16, 8\], outer.learning_rate=0.01$'; do
    grep -qE "$what" "$SCRATCH/output" || fail "no /$what/ in: $(cat "$SCRATCH/output")"
done
! grep -q 'particles=' "$SCRATCH/output" || fail "what is the same is said to differ"
score=$(sed -n 's/.*"eval_score": \([0-9.]*\).*/\1/p' "$SCRATCH/a/metrics.jsonl" | tail -n 1)
best=$(sed -n 's/.*"eval_best": \([0-9.]*\).*/\1/p' "$SCRATCH/a/metrics.jsonl" | tail -n 1)
grep -qE "$(printf '/a .* %.4f +%.4f ' "$score" "$best")" "$SCRATCH/output" || fail "scores are not $score and $best"

# ---- bad input ----------------------------------------------------------------------------------------------

gives 2 'RUN or RESULTS is missing' plot
gives 2 'no such file or folder' plot "$SCRATCH/nothing"
gives 2 'neither results.json nor metrics.jsonl' plot "$SCRATCH/a/checkpoints"
gives 2 'expected FILE.svg or FILE.png' plot "$SCRATCH/a" --out "$SCRATCH/curves.jpg"
gives 2 'found an evaluation, expected runs' plot --compare "$SCRATCH/a" "$SCRATCH/eval"
printf 'a: [' >"$SCRATCH/b/config.yaml"
gives 2 "$SCRATCH/b" plot --compare "$SCRATCH/a" "$SCRATCH/b"
mkdir "$SCRATCH/no-programs"
PATH=$SCRATCH/no-programs "$METATRAIN" plot "$SCRATCH/a" >"$SCRATCH/output" 2>&1 && fail "drawn without gnuplot"
grep -q 'gnuplot cannot be started' "$SCRATCH/output" || fail "no sentence about gnuplot"

[ "$failures" -eq 0 ]
