#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# metatrain eval: the table, the files of --out, the same bytes for 1, 2 and 3 processes, bad input.
source tests/lib.sh
suite=configs/eval/quickstart.yaml
small=(--set seeds=2 --set steps=20 --set batches=1 --set last_batches=2 --set "sweep=[0.001, 0.01, 0.1]")

scripts/launch -n 1 train configs/quickstart.yaml --out "$SCRATCH/run" --set outer.steps=1 >"$SCRATCH/train.log" 2>&1 ||
    die "training ended with status $?"
theta=$SCRATCH/run/theta.h5

# ---- the table, and the same bytes for any number of processes

for n in 1 2 3; do
    scripts/launch -n "$n" eval --suite "$suite" "${small[@]}" "$theta" --out "$SCRATCH/with-$n" \
        >"$SCRATCH/with-$n.log" 2>"$SCRATCH/with-$n.err" || die "$n processes: status $?"
    cmp "$SCRATCH/with-1/results.json" "$SCRATCH/with-$n/results.json" || die "$n processes: other numbers"
done
for row in "learned small-fc" "untrained small-fc" "adam untuned" "adam " "sgdm " "sgd "; do
    grep -q "^$row" "$SCRATCH/with-1.log" || die "no line for $row"
done
sed 's/±/+/g' "$SCRATCH/with-1.log" | awk 'length > 100 { exit 1 }' || die "a line is longer than 100 columns"
for file in timing.json curves.svg; do
    [ -s "$SCRATCH/with-2/$file" ] || die "no $file"
done
for count in '"trials": 3' '"trials": 1'; do
    [ "$(grep -cF "$count" "$SCRATCH/with-1/results.json")" -eq 3 ] || die "three entries have $count"
done

# ---- a summary over tasks; a schedule for a learned optimizer, whose other settings are the file's

grep -q "^reference: adam" "$SCRATCH/with-1.log" || die "no summary over tasks"
"$METATRAIN" eval --suite "$suite" --set steps=50 --set seeds=1 --set 'sweep=[0.1]' --out "$SCRATCH/schedule" \
    --set "optimizers=[{name: adam}, {theta: $theta, label: as it is}, {name: small-fc, theta: $theta, schedule: cosine, label: cosine}]" \
    >"$SCRATCH/schedule.log" 2>&1 || die "a schedule: status $?"
[ "$(grep -A9 '"label": "\(as it is\|cosine\)"' "$SCRATCH/schedule/results.json" | grep -c "$(digest "$SCRATCH/run")")" -eq 2 ] ||
    die "a schedule: another theta"
[ "$(awk '/^(as it is|cosine) /{ print $(NF - 4) }' "$SCRATCH/schedule.log" | head -n 2 | sort -u | wc -l)" -eq 2 ] || die "a schedule: no effect"

# ---- without --suite, from another folder; without gnuplot

(cd / && "$METATRAIN" eval --set steps=2 --set seeds=1 --set sweep=[0.1] --no-untrained "$theta") \
    >"$SCRATCH/default.log" 2>&1 || die "without --suite: status $?"
! grep -q untrained "$SCRATCH/default.log" || die "--no-untrained is without effect"

mkdir "$SCRATCH/no-programs"
PATH=$SCRATCH/no-programs "$METATRAIN" eval --suite "$suite" "${small[@]}" --out "$SCRATCH/no-gnuplot" \
    >/dev/null 2>"$SCRATCH/no-gnuplot.err" || die "without gnuplot: status $?"
grep -q 'warning: .*gnuplot' "$SCRATCH/no-gnuplot.err" || die "no warning about gnuplot"
[ -s "$SCRATCH/no-gnuplot/results.json" ] || die "without gnuplot the numbers are lost"

# ---- bad input: status 2, one sentence that says WHAT, no folder made

refuse() { # WHAT ARGUMENT...
    local what=$1 status=0
    shift
    "$METATRAIN" eval --out "$SCRATCH/refused" "$@" >"$SCRATCH/refuse.out" 2>"$SCRATCH/refuse.err" || status=$?
    [ "$status" -eq 2 ] || die "eval $*: status $status"
    [ "$(wc -l <"$SCRATCH/refuse.err")" -eq 1 ] || die "eval $*: not one sentence"
    grep -qF -- "$what" "$SCRATCH/refuse.err" || die "eval $*: does not say $what"
    [ ! -s "$SCRATCH/refuse.out" ] && [ ! -e "$SCRATCH/refused" ] || die "eval $*: left something behind"
}
head -c 1000 "$theta" >"$SCRATCH/cut.h5"
sed 's/name: sgd,/name: sgx,/' "$suite" >"$SCRATCH/typo.yaml"
refuse "$SCRATCH/none.yaml" --suite "$SCRATCH/none.yaml"
refuse "typo.yaml:" --suite "$SCRATCH/typo.yaml"
refuse "steps" --suite "$suite" --set steps=-1
refuse "stepz" --suite "$suite" --set stepz=1
refuse "$SCRATCH/cut.h5" --suite "$suite" "$SCRATCH/cut.h5"
refuse "$SCRATCH/none.h5" --suite "$suite" "$theta" "$SCRATCH/none.h5"
refuse "tasks.0: " --suite "$suite" --set 'tasks=[{task: image_mlp, dataset: ./none}]'
refuse '"adam" twice' --suite "$suite" --set 'optimizers=[{name: adam}, {name: adam, learning_rate: 0.1}]'
refuse "weights of small-fc, the suite's celo2 has" --suite "$suite" --set "optimizers=[{name: celo2, theta: $theta}]"
refuse "sweep_seeds" --suite "$suite" --set sweep_seeds=0
refuse "/dev/null:" --suite "$suite" --out /dev/null/out

# The same from two processes: one sentence, not two.
status=0
scripts/launch -n 2 eval --suite "$suite" "$SCRATCH/cut.h5" >/dev/null 2>"$SCRATCH/two.err" || status=$?
[ "$status" -eq 2 ] || die "two processes: status $status"
[ "$(grep -c metatrain: "$SCRATCH/two.err")" -eq 1 ] || die "two processes: not one sentence"

"$METATRAIN" eval --help | grep -q -- --no-untrained || die "--help says nothing"
