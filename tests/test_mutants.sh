#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every mutant of scripts/break and scripts/break-layers can be made from the sources as they are. (That the tests see
# each is what scripts/test --all shows.)
source tests/lib.sh
scripts/break --check
scripts/break-layers --check
