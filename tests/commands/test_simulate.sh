#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# metatrain simulate: plays what a real run measured of itself; refuses files that are not of the run.
source tests/lib.sh
cd "$SCRATCH"
config=$SOURCE_DIR/configs/quadratic.yaml
"$METATRAIN" train "$config" --out run --set outer.steps=30 >log 2>&1 || die "training: $(tail -n 3 log)"
[ -e run/costs.json ] || die "a run leaves no costs.json"

# A window of a hundredth of a second, so that what this machine does meanwhile hardly matters.
cat >costs.json <<'END'
{"tasks": [{"task": "quadratic_family", "step_seconds": 0.001}], "spread": 0.1, "outside_share": 0,
 "message_seconds": 0.00001, "serial_seconds": 0, "draw_seconds": 0, "ship_seconds": 0.0001, "move_seconds": 0.0005}
END
rate() { # ARGUMENT...: outer steps per second
    "$METATRAIN" simulate "$config" --costs costs.json "$@" --set particles=64 | sed -n 's/^outer steps per second *//p'
}
within() { # WHAT LOW VALUE HIGH
    awk -v low="$2" -v value="$3" -v high="$4" 'BEGIN { exit !(value + 0 >= low && value + 0 <= high) }' ||
        die "$1: found $3, expected $2 to $4"
}
one=$(rate --workers 1)
within "64 windows of 10 ms in turn" 1.4 "$one" 1.6
two=$(rate --workers 2)
within "two ranks" "$(awk "BEGIN { print 1.85 * $one }")" "$two" "$(awk "BEGIN { print 2.001 * $one }")"
within "eight ranks on two cores" "$(awk "BEGIN { print 0.9 * $two }")" "$(rate --workers 8 --cores 2)" \
    "$(awk "BEGIN { print 1.1 * $two }")"
within "a thousand ranks, 64 of them busy" "$(awk "BEGIN { print 40 * $one }")" "$(rate --workers 1000)" \
    "$(awk "BEGIN { print 64 * $one }")"

# Seven pieces of theta (6,857 numbers) on four ranks: the largest share is two pieces of 1024, 4.4 s become 1.3 s.
sed -i 's/"draw_seconds": 0/"draw_seconds": 0.00001/' costs.json
alone=$(rate --workers 4 --set optimizer.hidden_size=64 --set outer.share_from=1000000000000)
shared=$(rate --workers 4 --set optimizer.hidden_size=64 --set outer.share_from=0)
within "a gradient shared by four ranks" "$(awk "BEGIN { print 2.8 * $alone }")" "$shared" \
    "$(awk "BEGIN { print 3.35 * $alone }")"

"$METATRAIN" simulate "$config" --costs run/costs.json --workers 20000 --particles 40000 --steps 3 | grep -q "utilisation" ||
    die "20,000 ranks"

refused() { # WORDS ARGUMENT...
    local words=$1 status=0
    shift
    "$METATRAIN" simulate "$@" >out 2>err || status=$?
    [ "$status" -eq 2 ] || die "$*: status $status, expected 2"
    grep -q "$words" err || die "$*: no \"$words\" in: $(cat err)"
}
refused "it is of another run" "$config" --costs costs.json --workers 2 --set "tasks=[{task: quadratic}, {task: quadratic}]"
echo '{"tasks": [{"step_seconds": -1}]}' >bad.json
refused 'as "step_seconds"' "$config" --costs bad.json --workers 2
sed 's/"outside_share": 0/"outside_share": 1/' costs.json >bad.json
refused 'as "outside_share"' "$config" --costs bad.json --workers 2
refused "expected a whole number" "$config" --costs costs.json --workers 0.5
refused "CONFIG, --costs and --workers" "$config"
echo "simulated: $one outer steps per second on one rank, $two on two"
