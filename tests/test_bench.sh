#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# metatrain bench in its short form: every part gives rows that make sense. Never how fast.
source tests/lib.sh

bench=("$METATRAIN" bench)
export TMPDIR=$SCRATCH/tmp
mkdir "$TMPDIR"

# numbers FILE KEY: every number under that key, medians of spreads included, one a line.
numbers() {
    grep -A 1 -E "^ *\"$2\": (\{|-?[0-9])" "$1" | grep -oE '("median"|"'"$2"'"): -?[0-9.e+-]+' | sed 's/.*: //'
}

# between FILE KEY MIN MAX [COUNT]: all of them lie there; at least COUNT (1) of them are there.
between() {
    local values
    values=$(numbers "$1" "$2")
    [ "$(wc -w <<<"$values")" -ge "${5:-1}" ] || fail "$2: expected ${5:-1} numbers, found: $values"
    awk -v min="$3" -v max="$4" '!($1 >= min && $1 <= max) { exit 1 }' <<<"$values" ||
        fail "$2: expected $3 to $4, found: $values"
}

# ---- what the machine does, steps, inner steps --------------------------------------------------------

json=$SCRATCH/steps.json
"${bench[@]}" step inner --quick --json --optimizers adam,small-fc,celo2-base >"$json" 2>"$SCRATCH/log" ||
    fail "bench step inner: $(cat "$SCRATCH/log")"
for key in cpu cores compiler kernels date version load_before; do
    grep -q "\"$key\": " "$json" || fail "no $key in the JSON"
done
for part in machine peak step inner; do
    grep -q "^  \"$part\": " "$json" || fail "no part $part in the JSON"
done
between "$json" rate 0.01 100000 2
between "$json" of_widest 0 2
between "$json" nominal_share 0 2 9 # two networks and three sizes, three optimizers with their task
between "$json" x_adam 0.001 10000 9
between "$json" x_copy 0.001 100000 9
between "$json" ns_per_parameter 0.001 1000000 9
between "$json" gradient 0 2 3
between "$json" optimizer_step 0 2 3
between "$json" features 0 2 2
between "$json" data 0 2 3
between "$json" caches -2 2 3
between "$json" rest -2 2 3
grep -q '"skipped"' "$json" || fail "--quick does not say that it leaves large tensors out"

# ---- tasks ---------------------------------------------------------------------------------------------

json=$SCRATCH/tasks.json
"${bench[@]}" tasks --quick --json >"$json" 2>"$SCRATCH/log" || fail "bench tasks: $(cat "$SCRATCH/log")"
! grep '"skipped"' "$json" || fail "a task was not measured"
between "$json" share_of_peak 0.0001 2 13
between "$json" microseconds 0.1 100000000 13
between "$json" megaflop 0.1 100000 13

# ---- runs of the program -----------------------------------------------------------------------------

# MPI leaks memory of plugins that it has unloaded by then, which no suppression can name.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
json=$SCRATCH/runs.json
parts=(outer recipe)
[ -z "${SANITIZE-}" ] || parts=(outer) # 45,000 inner steps a run are slow there
"${bench[@]}" "${parts[@]}" --quick --json --optimizers celo2 --seconds 1 >"$json" 2>"$SCRATCH/log" ||
    fail "bench outer recipe: $(cat "$SCRATCH/log")"
! grep '"skipped"' "$json" || fail "a run of the program failed"
between "$json" outer_steps_per_second 0.0001 100000
between "$json" idle_share 0 1
between "$json" outside_share -0.5 1
[ -n "${SANITIZE-}" ] || between "$json" hours 0.0001 1000000
between "$json" peak_mb 1 100000
[ -z "$(ls -A "$TMPDIR")" ] || fail "bench leaves behind: $(ls "$TMPDIR")"

# ---- tables, and what is refused ---------------------------------------------------------------------

"${bench[@]}" step --quick --optimizers adam,small-fc >"$SCRATCH/table" 2>"$SCRATCH/log" ||
    fail "bench step: $(cat "$SCRATCH/log")"
for words in '^one core' '^64x64$' '^small-fc +39-4-4-2 ' '^adam '; do
    grep -qE "$words" "$SCRATCH/table" || fail "no line /$words/ in: $(cat "$SCRATCH/table")"
done
[ "$(wc -L <"$SCRATCH/table")" -le 100 ] || fail "a table is wider than 100 columns"

# refused PATTERN ARGUMENT...: status 2, a sentence, nothing on stdout.
refused() {
    local pattern=$1 status=0
    shift
    "${bench[@]}" "$@" >"$SCRATCH/out" 2>"$SCRATCH/log" || status=$?
    [ "$status" -eq 2 ] || fail "bench $*: status $status, expected 2"
    [ ! -s "$SCRATCH/out" ] || fail "bench $* prints on stdout"
    grep -qE "$pattern" "$SCRATCH/log" || fail "bench $*: no /$pattern/ in: $(cat "$SCRATCH/log")"
}
refused 'stpe.*step' stpe
refused 'celo3.*celo' --optimizers adam,celo3
refused 'seconds.*-1' --seconds -1

[ "$failures" -eq 0 ]
