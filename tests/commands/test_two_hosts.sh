#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two hosts on one machine: two network namespaces joined by a virtual cable, mpirun in one of them, ranks in both that
# talk over TCP. theta must have the digest of one process, also when ranks of the second host die, all of them or one,
# and when the cable breaks. Needs root, iproute2 and mpirun.
source tests/lib.sh
[ -z "${SANITIZE-}" ] || skip "ranks on two hosts run the code that they run on one"
a=mta$$ b=mtb$$
net=10.99.$(($$ % 250)) # of this machine only: the cable leaves no namespace

end_hosts() { # every process in them
    # shellcheck disable=SC2046
    kill -KILL $(ip netns pids "$a") $(ip netns pids "$b") 2>/dev/null || true
}

remove_hosts() {
    end_hosts
    ip netns delete "$a" 2>/dev/null || true
    ip netns delete "$b" 2>/dev/null || true
}

make_hosts() {
    ip netns add "$a" && ip netns add "$b" &&
        ip link add "$a" netns "$a" type veth peer name "$b" netns "$b" &&
        ip -n "$a" address add "$net.1/24" dev "$a" && ip -n "$b" address add "$net.2/24" dev "$b" &&
        ip -n "$a" link set lo up && ip -n "$b" link set lo up &&
        ip -n "$a" link set "$a" up && ip -n "$b" link set "$b" up
}

[ "$(id -u)" -eq 0 ] || skip "only root makes network namespaces"
command -v ip >/dev/null || skip "no ip (apt-get install iproute2)"
command -v mpirun >/dev/null || skip "no mpirun (apt-get install openmpi-bin)"
trap remove_hosts EXIT
make_hosts 2>"$SCRATCH/netns" || skip "no network namespaces here: $(tail -n 1 "$SCRATCH/netns")"

# What ssh does between real hosts: HOST COMMAND, where the only other host is the second namespace.
cat >"$SCRATCH/agent" <<END
#!/bin/sh
[ "\$1" = $net.2 ] || exit 1
shift
exec ip netns exec $b /bin/sh -c "\$*"
END
chmod +x "$SCRATCH/agent"

# mpirun over both hosts, RANKS on each. The shared memory of Open MPI must stay off: both have one name.
over_hosts() { # RANKS ARGUMENT...
    timeout -s KILL 200 ip netns exec "$a" mpirun -q --allow-run-as-root --bind-to none --enable-recovery \
        --mca plm_rsh_agent "$SCRATCH/agent" --mca btl tcp,self --mca btl_tcp_if_include "$net.0/24" \
        --mca oob_tcp_if_include "$net.0/24" --host "$net.1:$1,$net.2:$1" -n $((2 * $1)) "${@:2}"
}

train() { # NAME LAUNCHER...
    "${@:2}" "$METATRAIN" train configs/quickstart.yaml --out "$SCRATCH/$1" --set outer.steps=60 --set checkpoint.every=10 \
        --set faults.silence=20 >"$SCRATCH/$1.log" 2>&1 || echo "$1: status $?" >>"$SCRATCH/$1.log"
}

# Ranks on the second host: the processes of the program in its namespace.
ranks_of_second() {
    local pid
    for pid in $(ip netns pids "$b"); do
        [ "$(readlink "/proc/$pid/exe")" != "$(realpath "$METATRAIN")" ] || echo "$pid"
    done
}

wait_for() { # COMMAND...
    until "$@"; do
        [ "$SECONDS" -lt 280 ] || die "not within 280 seconds from the start: $*"
        sleep 0.05
    done
}

has_25_steps() { # NAME
    [ "$(wc -l 2>/dev/null <"$SCRATCH/$1/metrics.jsonl" || echo 0)" -ge 25 ]
}

hosts=$(over_hosts 1 ip -oneline -4 address show up scope global | awk '{print $4}' | sort | tr '\n' ' ')
[ "$hosts" = "$net.1/24 $net.2/24 " ] || die "one rank on each host expected, found addresses $hosts"
train one-process env
want=$(digest "$SCRATCH/one-process")
for ranks in 1 2; do
    train "two-hosts-$ranks" over_hosts $ranks
    [ "$(digest "$SCRATCH/two-hosts-$ranks")" = "$want" ] || die "digest over two hosts with $ranks ranks each, in one process: $want"
done
for killed in 1 2; do
    train "killed-$killed" over_hosts 2 &
    wait_for has_25_steps "killed-$killed"
    # shellcheck disable=SC2046
    kill -KILL $(ranks_of_second | head -n "$killed")
    wait $!
    grep -q 'going on from outer step' "$SCRATCH/killed-$killed.log" || die "nothing was lost when $killed ranks died"
    [ "$(digest "$SCRATCH/killed-$killed")" = "$want" ] || die "digest after the death of $killed ranks, undisturbed: $want"
done

# Without the cable mpirun never ends; the ranks beside it do, and say so in status.json.
train cut over_hosts 2 &
wait_for has_25_steps cut
ip -n "$b" link set "$b" down
wait_for grep -q '"state": "done"' "$SCRATCH/cut/status.json"
end_hosts
wait $!
grep -q 'going on from outer step' "$SCRATCH/cut.log" || die "nothing was lost when the cable broke"
[ "$(digest "$SCRATCH/cut")" = "$want" ] || die "digest after the cable broke, undisturbed: $want"
echo "digest on two hosts, when ranks of one die, and when the cable breaks: $want"
