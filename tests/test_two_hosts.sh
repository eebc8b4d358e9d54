#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two hosts on one machine: two network namespaces joined by a virtual cable, mpirun in one of them, ranks in both that
# talk over TCP. theta must have the digest of one process. Needs root, iproute2 and mpirun.
set -euo pipefail
cd "$SOURCE_DIR"
a=mta$$ b=mtb$$
net=10.99.$(($$ % 250)) # of this machine only: the cable leaves no namespace

skip() {
    echo "skipped: $1"
    exit
}

remove_hosts() {
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
    timeout -s KILL 100 ip netns exec "$a" mpirun -q --allow-run-as-root --bind-to none \
        --mca plm_rsh_agent "$SCRATCH/agent" --mca btl tcp,self --mca btl_tcp_if_include "$net.0/24" \
        --mca oob_tcp_if_include "$net.0/24" --host "$net.1:$1,$net.2:$1" -n $((2 * $1)) "${@:2}"
}

train() { # NAME LAUNCHER...
    "${@:2}" "$METATRAIN" train configs/quickstart.yaml --out "$SCRATCH/$1" --set outer.steps=30 --set checkpoint.every=10 \
        >"$SCRATCH/$1.log" 2>&1 || {
        echo "FAIL: $1 ended with status $?: $(tail -n 5 "$SCRATCH/$1.log")" >&2
        exit 1
    }
    sed -n 's/^digest: //p' "$SCRATCH/$1.log"
}

hosts=$(over_hosts 1 ip -oneline -4 address show up scope global | awk '{print $4}' | sort | tr '\n' ' ')
[ "$hosts" = "$net.1/24 $net.2/24 " ] || {
    echo "FAIL: one rank on each host expected, found addresses $hosts" >&2
    exit 1
}
want=$(train one-process env)
for ranks in 1 2; do
    got=$(train "two-hosts-$ranks" over_hosts $ranks)
    [ "$got" = "$want" ] || {
        echo "FAIL: digest over two hosts with $ranks ranks each: $got, in one process: $want" >&2
        exit 1
    }
done
echo "digest on two hosts: $want"
