#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/slurm/train.sbatch under a Slurm of one node, whose servers run here for the length of this test and listen on
# this machine alone: a job that is told of its time limit queues itself again and ends with the digest of an
# undisturbed run; so does an array of short restarts; a cancelled job saves and stays away.
# Needs root and the packages of `scripts/install-deps cluster`.
source tests/lib.sh
export PATH=$PATH:/usr/sbin

[ "$(id -u)" -eq 0 ] || skip "only root starts the servers of Slurm"
for program in slurmctld slurmd sbatch munged mpirun; do
    command -v "$program" >/dev/null || skip "no $program (scripts/install-deps cluster)"
done
[ -z "${SANITIZE-}" ] || skip "batch templates are the same for every build"
[ -z "${SLURM_JOB_ID-}" ] || skip "this is a job of Slurm already"

queue_is_empty() {
    [ -z "$(squeue --noheader 2>/dev/null)" ]
}

# ---- servers -------------------------------------------------------------------------------------

servers=()
stop_servers() {
    scancel --quiet --user=root 2>/dev/null || true
    for _ in $(seq 50); do # what a job leaves when its servers go first would stay for ever
        queue_is_empty && break
        sleep 0.2
    done
    for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$sockets"
}

sockets=$(mktemp -d /tmp/metatrain-slurm-XXXXXX) # a socket's path has 107 characters at most
chmod 755 "$sockets"
port=$((20000 + $$ % 20000 / 2 * 2))
export SLURM_CONF=$SCRATCH/slurm.conf
name=$(hostname -s)
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$sockets/munge,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SchedulerParameters=batch_sched_delay=1,sched_interval=2
MailProg=/bin/true
ReturnToService=2
StateSaveLocation=$SCRATCH/state
SlurmdSpoolDir=$SCRATCH/spool
SlurmctldPidFile=$SCRATCH/slurmctld.pid
SlurmdPidFile=$SCRATCH/slurmd.pid
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc)
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
END
mkdir -p "$SCRATCH/state" "$SCRATCH/spool"
trap stop_servers EXIT
head -c 1024 /dev/urandom >"$SCRATCH/key"
chmod 600 "$SCRATCH/key"
munged --foreground --force --socket="$sockets/munge" --key-file="$SCRATCH/key" --pid-file="$SCRATCH/munged.pid" \
    --log-file="$SCRATCH/munged.log" --seed-file="$SCRATCH/seed" >"$SCRATCH/munged.log" 2>&1 &
servers+=($!)
slurmctld -D -c >"$SCRATCH/slurmctld.log" 2>&1 &
servers+=($!)
slurmd -D >"$SCRATCH/slurmd.log" 2>&1 &
servers+=($!)

ready=
for _ in $(seq 150); do
    [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] && ready=yes && break
    sleep 0.2
done
[ -n "$ready" ] || die "no idle node after 30 seconds: $(sinfo 2>&1 | tail -n 1)"

# ---- jobs ----------------------------------------------------------------------------------------

export METATRAIN LAUNCH_GRACE=10
deadline=250 # before CTest kills this script and not its servers
sets=(--set outer.steps=1000 --set checkpoint.every=100)
cores=$(nproc)
ranks=$((cores < 2 ? cores : 2))

submit() { # NAME SBATCH-OPTION...; then the arguments of train after --
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    sbatch --parsable --ntasks="$ranks" --time=10 --output="$SCRATCH/$name.out" "${options[@]}" scripts/slurm/train.sbatch \
        configs/quadratic.yaml "$SCRATCH/$name" "${sets[@]}" "${@:2}"
}

has_steps() { # NAME STEPS: so many lines in its history
    [ -e "$SCRATCH/$1/metrics.jsonl" ] && [ "$(wc -l <"$SCRATCH/$1/metrics.jsonl")" -ge "$2" ]
}

state() { # NAME
    sed -nE 's/.*"state": *"([a-z]+)".*/\1/p' "$SCRATCH/$1/status.json" 2>/dev/null
}

is_in() { # NAME STATE
    [ "$(state "$1")" = "$2" ]
}

wait_for() { # COMMAND...
    while [ "$SECONDS" -lt "$deadline" ]; do
        "$@" && return
        sleep 0.1
    done
    die "not within $deadline seconds from the start: $*"
}

check() { # NAME RESUMES: was stopped once, resumed so often, and is done with the right digest
    [ "$(grep -c 'stopped by SIGUSR1' "$SCRATCH/$1.out")" -eq 1 ] || die "$1 was not stopped by its signal"
    [ "$(grep -c 'resuming .* at outer step' "$SCRATCH/$1.out")" -eq "$2" ] || die "$1 did not resume $2 times"
    is_in "$1" 'done' || die "$1 is left in state $(state "$1")"
    [ "$(digest "$SCRATCH/$1")" = "$want" ] || die "digest of $1: $(digest "$SCRATCH/$1"), undisturbed: $want"
}

"$METATRAIN" train configs/quadratic.yaml --out "$SCRATCH/undisturbed" "${sets[@]}" >"$SCRATCH/undisturbed.log" 2>&1
want=$(digest "$SCRATCH/undisturbed")

# Slurm's signal before the time limit comes to the minute; here it is sent by hand.
job=$(submit limit --)
wait_for has_steps limit 50
scancel --signal=USR1 --batch "$job"
wait_for queue_is_empty
check limit 1

# Elements of an array, one at a time: where one stops the next goes on, and the rest end at once.
submit array --array=1-4%1 -- >/dev/null
wait_for has_steps array 50
scancel --signal=USR1 --batch "$(squeue --noheader --states=running --format=%A)" || true # says "already done" of arrays
wait_for queue_is_empty
check array 3

# Cancelled: saved, and not queued again.
job=$(submit cancelled --)
wait_for has_steps cancelled 50
scancel "$job"
wait_for is_in cancelled stopped
sleep 8 # longer than a requeued job waits
wait_for queue_is_empty
is_in cancelled stopped || die "a cancelled job is left in state $(state cancelled)"
! grep -q 'resuming' "$SCRATCH/cancelled.out" || die "a cancelled job came back"

# A mistake ends the job at once, with its status.
job=$(submit mistake -- --set particles=0)
wait_for queue_is_empty
grep -q 'particles: found 0' "$SCRATCH/mistake.out" || die "no sentence about particles=0"
scontrol show job "$job" | grep -q 'ExitCode=2:0' || die "not status 2: $(scontrol show job "$job" | grep ExitCode)"
echo "requeued job and array of restarts: digest $want"
