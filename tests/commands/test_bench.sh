#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# metatrain bench in its short form: rows that agree with each other, in the units that their names say. Never how fast.
source tests/lib.sh

bench=("$METATRAIN" bench)
export TMPDIR=$SCRATCH/tmp
mkdir "$TMPDIR"

# consistent NAME CHECKS: Python statements about what the benchmark printed as JSON, NAME.json. agree(WHAT, A, B) wants
# two quantities measured in the same run within a factor 3 of each other; median(X) is the median of a measurement.
consistent() {
    python3 - "$SCRATCH/$1.json" <<END || fail "bench $1: $(tail -n 3 "$SCRATCH/log")"
import json, sys
rows = json.load(open(sys.argv[1]))
failed = []
def median(x):
    return x["median"] if isinstance(x, dict) else x
def holds(what, true):
    if not true: failed.append(what)
def between(what, x, least, most):
    holds(f"{what}: {x}, expected {least} to {most}", x is not None and least <= x <= most)
def agree(what, a, b):
    holds(f"{what}: {a} and {b} differ", a and b and 1 / 3 < a / b < 3)
$2
if failed: sys.exit("\n".join(failed))
END
}

peak='widest = median(next(r for r in rows["peak"] if r["unit"] == "GFLOP/s" and median(r["of_widest"]) == 1)["rate"])'

# ---- what the machine does, steps, inner steps --------------------------------------------------------

"${bench[@]}" step inner --quick --json --optimizers adam,small-fc,celo2-base >"$SCRATCH/steps.json" 2>"$SCRATCH/log" ||
    fail "bench step inner: $(cat "$SCRATCH/log")"
consistent steps "$peak
holds('machine', {'cpu', 'cores', 'compiler', 'kernels', 'date', 'version', 'load_before'} <= set(rows['machine']))
for r in rows['peak']:
    between(r['what'], median(r['rate']), 0.1, 5000) # GFLOP/s of a core, or GB/s
    if 'of_widest' in r: agree('of_widest', median(r['of_widest']) * widest, median(r['rate']))
steps = [r for r in rows['step'] if 'skipped' not in r]
holds('--quick leaves large tensors out and says so', len(steps) == 12 and len(rows['step']) == 13)
for r in steps: # of a network and three sizes
    adam = next(a for a in steps if a['size'] == r['size'] and a['optimizer'] == 'adam')
    nanoseconds, flop = median(r['ns_per_parameter']), r['nominal_flop_per_parameter']
    agree('x_adam', median(r['x_adam']), nanoseconds / median(adam['ns_per_parameter']))
    if flop: agree('nominal_share of a step', median(r['nominal_share']) * widest, flop / nanoseconds)
    holds('a learned optimizer costs more than Adam', r is adam or median(r['x_adam']) > 1)
    between('bytes_per_parameter', r['bytes_per_parameter'], 28, 60) # two read and written by Adam: 7 floats
    between('x_copy', median(r['x_copy']), 0.1, 1000)
holds('three inner steps', len(rows['inner']) == 3)
for r in rows['inner']:
    a_second = median(r['steps_per_second'])
    agree('nominal_share of inner steps', median(r['nominal_share']) * widest, a_second * r['nominal_flop'] / 1e9)
    agree('at_250_gflops', median(r['at_250_gflops']), a_second * 250 / widest)
    shares = [median(r[k]) for k in ('gradient', 'optimizer_step', 'data', 'caches', 'rest')]
    between('the shares of an inner step together', sum(shares), 0.5, 1.5)
    for k in range(3): between('share of an inner step', shares[k], 0.001, 1)
    holds('features', (median(r['features']) is None) == (r['optimizer'] == 'adam'))"

# ---- tasks ---------------------------------------------------------------------------------------------

"${bench[@]}" tasks --quick --json >"$SCRATCH/tasks.json" 2>"$SCRATCH/log" || fail "bench tasks: $(cat "$SCRATCH/log")"
consistent tasks "$peak
holds('13 tasks', len(rows['tasks']) == 13 and not any('skipped' in r for r in rows['tasks']))
for r in rows['tasks']:
    speed = r['megaflop'] * 1000 / median(r['microseconds'])
    agree(r['task'], median(r['share_of_peak']) * widest, speed)
    agree('at_250_gflops', median(r['at_250_gflops']), median(r['microseconds']) * widest / 250)
    between(r['task'] + ': multiply-adds of a parameter and example', r['megaflop'] * 1e6 / r['parameters'], 4, 1e6)"

# ---- runs of the program -----------------------------------------------------------------------------

# MPI leaks memory of plugins that it has unloaded by then, which no suppression can name.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
parts=(outer recipe)
[ -z "${SANITIZE-}" ] || parts=(outer) # 45,000 inner steps a run are slow there
"${bench[@]}" "${parts[@]}" --quick --json --optimizers celo2 --seconds 1 >"$SCRATCH/runs.json" 2>"$SCRATCH/log" ||
    fail "bench outer recipe: $(cat "$SCRATCH/log")"
consistent runs "
for r in rows['outer'] + rows.get('recipe', []):
    holds('a run of the program failed', 'skipped' not in r)
    between('idle_share', r['idle_share'], 0, 0.95)
    between('outside_share', r['outside_share'], -0.2, 0.95)
    between('peak_mb', r['peak_mb'], 10, 2000)
    a_second = r['outer_steps'] / r['seconds']
    agree('outer_steps_per_second', median(r.get('outer_steps_per_second', a_second)), a_second)
    agree('inner steps of an outer step', r['inner_steps_per_second'] / a_second, 3200)
    if 'hours' in r: # of a recipe of 100,000 outer steps
        agree('hours', r['hours'], 100000 / a_second / 3600)
        agree('hours_by_fifth', r['hours'], median(r['hours_by_fifth']))
one = rows['outer'][0]
for r in rows['outer']:
    agree('x_one_rank', r['x_one_rank'] * median(one['outer_steps_per_second']), median(r['outer_steps_per_second']))"
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
