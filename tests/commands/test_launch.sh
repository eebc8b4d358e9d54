#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/launch: what it tells mpirun, and what it does without one.
set -euo pipefail
failures=0
unset SLURM_JOB_ID PBS_JOBID

check() { # WHAT PATTERN TEXT
    if ! grep -qE -e "$2" <<<"$3"; then
        echo "FAIL: $1: expected /$2/, found: $3" >&2
        failures=$((failures + 1))
    fi
}

dry() {
    LAUNCH_DRY_RUN=1 METATRAIN=$SCRATCH/program "$SOURCE_DIR/scripts/launch" "$@" 2>&1 || true
}

cat >"$SCRATCH/program" <<'END'
#!/bin/sh
echo "arguments: $* threads: $OMP_NUM_THREADS"
[ "$OMPI_COMM_WORLD_RANK" != 0 ] || [ -n "$FAKE_SILENT" ] || echo "${FAKE_STATUS:-0} $DIR" >"$METATRAIN_OUTCOME"
[ -z "$FAKE_HANG" ] || sleep "$FAKE_HANG"
exit "${FAKE_STATUS:-0}"
END
cat >"$SCRATCH/waits" <<'END'
#!/bin/sh
trap 'echo saved; [ "$OMPI_COMM_WORLD_RANK" != 0 ] || echo 75 dir >"$METATRAIN_OUTCOME"; exit 75' USR1
touch "$SCRATCH/waiting"
while :; do sleep 0.1; done
END
chmod +x "$SCRATCH/program" "$SCRATCH/waits"
too_many=$(($(nproc) + 1))

check "processes" '^mpirun .*-n 2 .*/program train a\.yaml --out b$' "$(dry -n 2 train a.yaml --out b)"
[ "$(nproc)" -eq 1 ] || check "one per core" " -n $(nproc) " "$(dry train a.yaml)"
check "grace period in a Slurm job" 'odls_base_sigkill_timeout 30' "$(SLURM_JOB_ID=1 dry train a.yaml)"
check "one process needs no mpirun" '^[^ ]*/program train a\.yaml$' "$(dry -n 1 train a.yaml)"
check "oversubscribed" '--bind-to none' "$(dry -n "$too_many" train a.yaml)"
check "in a Slurm job" '^mpirun .*/program train' "$(SLURM_JOB_ID=1 dry train a.yaml)"
check "no -n in a Slurm job" '^0$' "$(SLURM_JOB_ID=1 dry train a.yaml | grep -c -e ' -n ')"
check "bad -n" 'found "x"' "$(dry -n x train a.yaml)"
check "no command" '^scripts/launch \[-n N\]' "$(dry)"
check "no program" 'no metatrain program' "$(METATRAIN=/nonexistent "$SOURCE_DIR/scripts/launch" show x 2>&1 || true)"

# Statuses pass through mpirun.
status=0
METATRAIN=$SCRATCH/program FAKE_STATUS=75 "$SOURCE_DIR/scripts/launch" -n 2 train a.yaml || status=$?
check "status through mpirun" '^75$' "$status"

# A run that left no word is no success, and what goes on with it is said.
status=0
text=$(METATRAIN=$SCRATCH/program FAKE_SILENT=1 "$SOURCE_DIR/scripts/launch" -n 2 train a.yaml --out b 2>&1) || status=$?
check "status of a run that left no word" '^1$' "$status"
check "how to go on" "go on with: .*launch -n 2 'train' 'a.yaml' '--out' 'b' --resume" "$text"

# An mpirun that hangs after the run, or without a sign of life of rank 0, is ended.
status=0
METATRAIN=$SCRATCH/program FAKE_STATUS=75 FAKE_HANG=60 timeout 40 "$SOURCE_DIR/scripts/launch" -n 2 train a.yaml \
    >/dev/null 2>&1 || status=$?
check "a hanging mpirun is ended" '^75$' "$status"
status=0
METATRAIN=$SCRATCH/program FAKE_SILENT=1 FAKE_HANG=60 LAUNCH_PATIENCE=2 timeout 40 "$SOURCE_DIR/scripts/launch" -n 2 \
    train a.yaml >/dev/null 2>&1 || status=$?
check "no sign of life" '^[1-9]' "$status"

# SIGTERM reaches the ranks as SIGUSR1 and leaves them the time to save.
METATRAIN=$SCRATCH/waits "$SOURCE_DIR/scripts/launch" -n 2 train a.yaml >"$SCRATCH/waits.out" &
launch=$!
while ! [ -e "$SCRATCH/waiting" ]; do sleep 0.1; done
sleep 0.5
kill -TERM "$launch"
status=0
wait "$launch" || status=$?
check "saved on SIGTERM" '^75$' "$status"
check "each rank saved on SIGTERM" '^2$' "$(grep -c saved "$SCRATCH/waits.out")"

# A $PATH with everything but mpirun.
mkdir -p "$SCRATCH/bin"
for tool in bash dirname nproc id sed; do
    ln -sf "$(command -v "$tool")" "$SCRATCH/bin/$tool"
done
text=$(PATH=$SCRATCH/bin METATRAIN=$SCRATCH/program "$(command -v bash)" "$SOURCE_DIR/scripts/launch" -n 4 train a.yaml 2>&1)
check "notice without mpirun" 'no mpirun .*one process instead of 4' "$text"
check "runs without mpirun" '^arguments: train a\.yaml threads: 1$' "$text"

[ "$failures" -eq 0 ]
