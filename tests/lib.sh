# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Shared by the tests beside it (test_*.sh), which run on from `source tests/lib.sh` in the root of the clone:
#   fail "sentence"                   the test goes on and must end with `[ "$failures" -eq 0 ]`
#   die "sentence"                    the test ends here, with the last lines of its logs
#   skip "reason"                     the test ends here and counts as skipped; scripts/test prints the reason
#   gives STATUS PATTERN ARGUMENT...  fails unless `metatrain ARGUMENT...` ends so and prints so (stdout and stderr)
#   digest PATH                       digest of a theta file, a checkpoint or the folder of a run
#   ranks_of DIR                      process ids of the program in a run that was started with --out DIR
#   find_python MODULE...             $python has them, or the test is skipped
# What tests find in the environment is in cmake/tests.cmake.
set -euo pipefail
cd "$SOURCE_DIR"
failures=0

fail() {
    echo "FAIL: $*" >&2
    failures=$((failures + 1))
}

die() {
    echo "FAIL: $*" >&2
    tail -n 5 "$SCRATCH"/*.{log,err,out} >&2 2>/dev/null || true
    exit 1
}

skip() {
    echo "skipped: $1" # scripts/test looks for this line
    exit 77            # SKIP_RETURN_CODE in cmake/tests.cmake
}

gives() {
    local want=$1 pattern=$2 status=0
    shift 2
    "$METATRAIN" "$@" >"$SCRATCH/output" 2>&1 || status=$?
    [ "$status" -eq "$want" ] || fail "metatrain $*: status $status, expected $want: $(tail -n 3 "$SCRATCH/output")"
    grep -qE -e "$pattern" "$SCRATCH/output" || fail "metatrain $*: no /$pattern/ in: $(head -n 20 "$SCRATCH/output")"
}

digest() {
    "$METATRAIN" show "$1" | sed -n 's/^digest: //p'
}

ranks_of() { # one grep for all processes: it must not take longer than the run it looks for
    local file process
    for file in $(grep -lsF -e "$1" /proc/[0-9]*/cmdline); do
        process=${file%/cmdline}
        if [ "$(readlink "$process/exe" 2>/dev/null)" = "$(realpath "$METATRAIN")" ] &&
            tr '\0' ' ' <"$file" 2>/dev/null | grep -qF -e " --out $1 "; then
            echo "${process#/proc/}"
        fi
    done
}

find_python() { # of $PYTHON, else build/venv that .ci/run makes, else python3
    local modules=$*
    python=${PYTHON-$([ -x build/venv/bin/python ] && echo build/venv/bin/python || echo python3)}
    "$python" -c "import ${modules// /, }" 2>/dev/null || skip "$python lacks one of $modules"
}
