#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A rank computes on one thread whatever the environment asks of OpenBLAS, OpenMP and liblopt, on a task whose tensors
# and matrix products are large enough for more. (OpenBLAS starts its threads before anyone can tell it not to; they sleep.)
set -euo pipefail
cd "$SOURCE_DIR"
if [ "$(nproc)" -lt 2 ]; then
    echo "skipped: one core"
    exit
fi
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
    if ! kill -0 "$pid" 2>/dev/null; then
        echo "FAIL: the run ended: $(tail -n 1 "$SCRATCH/log")" >&2
        exit 1
    fi
    read -r main others < <(cpu_of_threads)
done
[ "$(find /proc/$pid/task -mindepth 1 -maxdepth 1 | wc -l)" -gt 1 ] || echo "note: there is one thread only"
if [ $((others * 10)) -gt "$main" ]; then
    echo "FAIL: $main ms on the main thread, $others ms on others" >&2
    exit 1
fi
echo "$main ms on the main thread, $others ms on others"
