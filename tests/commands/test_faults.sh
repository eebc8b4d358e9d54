#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The short form of tests/faults: 20 kills of workers, coordinator and mpirun, half of them inside the writing of
# checkpoints, with failing disks among them; the digest is that of the undisturbed run each time.
# Timeout: 1200 s (a minute and a half on two idle cores; each kill costs starting and noticing, more on busy ones)
source tests/lib.sh
command -v mpirun >/dev/null || skip "no mpirun"
tests/faults --kills 20 --seed 3
