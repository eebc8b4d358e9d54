#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The Python libraries of other projects read our files, and we read theirs. Needs Python with msgpack, numpy and
# safetensors.
source tests/lib.sh
find_python msgpack numpy safetensors
"$python" tests/commands/interop_formats.py "$METATRAIN" "$SCRATCH"
