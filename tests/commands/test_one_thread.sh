#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A rank computes on one thread whatever the environment asks of OpenBLAS, OpenMP and liblopt, on a task whose tensors
# and matrix products are large enough for more. (OpenBLAS starts its threads before anyone can tell it not to; they sleep.)
source tests/lib.sh
[ "$(nproc)" -gt 1 ] || skip "one core"
export OMP_NUM_THREADS=4 OPENBLAS_NUM_THREADS=4 LOPT_THREADS=4

"$METATRAIN" train configs/quadratic.yaml --out "$SCRATCH/run" --set particles=1 --set outer.steps=1000000 \
    --set estimator.window=1 --set 'tasks=[{task: image_mlp, image_size: 28, hidden: [512], batch_size: 256}]' \
    >"$SCRATCH/log" 2>&1 &
pid=$!
trap 'kill -KILL $pid 2>/dev/null || true' EXIT

# CPU milliseconds of the main thread, and of all others together.
cpu_of_threads() {
    local main=0 others=0 folder nanoseconds
    for folder in "/proc/$pid/task"/*; do
        read -r nanoseconds _ <"$folder/schedstat"
        if [ "${folder##*/}" = "$pid" ]; then
            main=$((nanoseconds / 1000000))
        else
            others=$((others + nanoseconds / 1000000))
        fi
    done
    echo "$main $others"
}

main=0
while [ "$main" -lt 3000 ]; do
    sleep 0.2
    kill -0 "$pid" 2>/dev/null || die "the run ended: $(tail -n 1 "$SCRATCH/log")"
    read -r main others < <(cpu_of_threads)
done
[ "$(find /proc/$pid/task -mindepth 1 -maxdepth 1 | wc -l)" -gt 1 ] || echo "note: there is one thread only"
[ $((others * 10)) -le "$main" ] || die "$main ms on the main thread, $others ms on others"
echo "$main ms on the main thread, $others ms on others"
