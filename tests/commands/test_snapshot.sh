#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Evaluation of theta while it is meta-trained: theta is that of a run without it; scores and best.h5 are the same for
# any number of processes, across a resume and the death of a rank; best.h5 is theta of the step with the least score.
source tests/lib.sh
export METATRAIN
tasks='[{task: quadratic_family, dim: 10, weight: 3}, {task: quadratic_family, dim: 3}]'
evaluate=(--set evaluate.every=3 --set evaluate.steps=40 --set evaluate.seeds=3 --set evaluate.tasks="$tasks")

train() { # N NAME ARGUMENT...
    scripts/launch -n "$1" train configs/quadratic.yaml --out "$SCRATCH/$2" --set checkpoint.every=8 \
        --set optimizer.step_mult=0.3 "${@:3}" >"$SCRATCH/$2.log" 2>&1 || die "$2 ended with status $?"
}

scores() { # NAME: "STEP SCORE BEST TASK TASK" of every evaluation
    sed -nE 's/^\{"outer_step": ([0-9]+), .*"eval_score": ([^,]*), "eval_best": ([^,]*), "eval_task_loss": \[(.*), (.*)\].*/\1 \2 \3 \4 \5/p' \
        "$SCRATCH/$1/metrics.jsonl"
}

expect_same() { # NAME: as the run "one"
    [ "$(digest "$SCRATCH/$1/theta.h5")" = "$(digest "$SCRATCH/one/theta.h5")" ] || die "$1: another theta"
    [ "$(digest "$SCRATCH/$1/best.h5")" = "$(digest "$SCRATCH/one/best.h5")" ] || die "$1: another best.h5"
    [ "$(scores "$1")" = "$(scores one)" ] || die "$1: other scores: $(diff <(scores one) <(scores "$1") | head -n 4)"
}

train 1 without --set outer.steps=60
train 1 one --set outer.steps=60 "${evaluate[@]}"
[ "$(digest "$SCRATCH/without/theta.h5")" = "$(digest "$SCRATCH/one/theta.h5")" ] || die "evaluation changed theta"
[ ! -e "$SCRATCH/without/best.h5" ] || die "best.h5 without evaluation"
[ "$(scores one | wc -l)" -eq 20 ] || die "not 20 evaluations in 60 steps: $(scores one)"

for n in 2 3; do
    train "$n" "with-$n" --set outer.steps=60 "${evaluate[@]}"
    expect_same "with-$n"
done

# Stopped at 58, thrown back to 56, and on to 60: the best so far is of an earlier step.
train 2 resumed --set outer.steps=58 "${evaluate[@]}"
rm -r "$SCRATCH/resumed/checkpoints/step-000000000058"
train 1 resumed --resume --set outer.steps=60 "${evaluate[@]}"
expect_same resumed

# A rank dies in the first evaluation, which takes a second or more: the others go back to step 5 and evaluate again.
long=(--set outer.steps=8 --set evaluate.every=6 --set evaluate.steps=700000 --set evaluate.seeds=3 --set checkpoint.every=5)
train 1 long "${long[@]}"
train 3 killed "${long[@]}" &
until [ "$(wc -l 2>/dev/null <"$SCRATCH/killed/metrics.jsonl" || echo 0)" -ge 5 ]; do sleep 0.05; done
sleep 0.1
kill -KILL "$(ranks_of "$SCRATCH/killed" | sort -n | tail -n 1)"
wait $!
grep -q 'going on from outer step 5 ' "$SCRATCH/killed.log" || die "no rank died in the evaluation"
[ "$(digest "$SCRATCH/killed/best.h5")" = "$(digest "$SCRATCH/long/best.h5")" ] || die "killed: another best.h5"
[ "$(grep -o '"eval_score.*' "$SCRATCH/killed/metrics.jsonl")" = "$(grep -o '"eval_score.*' "$SCRATCH/long/metrics.jsonl")" ] ||
    die "killed: other scores"

# The score is the weighted mean of the tasks' losses, and the best the least so far.
scores one | awk '
    { mean = 0.75 * $4 + 0.25 * $5; if (($2 - mean) ^ 2 > 1e-12 * mean ^ 2) { print "score", $2, "for", mean; exit 1 }
      if (NR == 1 || $2 < least) { least = $2 }
      if ($3 != least) { print "best", $3, "for", least; exit 1 } }' >"$SCRATCH/scores.log" || die "$(cat "$SCRATCH/scores.log")"
best=$(scores one | sort -g -k 2 | head -n 1 | cut -d ' ' -f 1)
[ "$best" -lt 56 ] || die "the best theta is not before the resume: this test sees nothing"
train 1 until-best --set outer.steps="$best"
[ "$(digest "$SCRATCH/until-best/theta.h5")" = "$(digest "$SCRATCH/one/best.h5")" ] || die "best.h5 is not theta of step $best"

status=0
text=$("$METATRAIN" train configs/quadratic.yaml --out "$SCRATCH/sampled" --set evaluate.every=1 \
    --set 'evaluate.tasks=[{task: quadratic_family, sample: {dim: [2, 4]}}]' 2>&1) || status=$?
[ "$status" -eq 2 ] || die "sampled tasks: status $status"
grep -q 'evaluate.tasks: found sampled sizes' <<<"$text" || die "sampled tasks: $text"
echo "best score at step $best: $(scores one | sort -g -k 2 | head -n 1 | cut -d ' ' -f 2)"
