#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An optimizer of PyTorch's written from the description, against liblopt through exported weights. Needs
# Python with torch and safetensors.
source tests/lib.sh
find_python torch safetensors
[ -z "${SANITIZE-}" ] || skip "Python cannot load a library built with sanitizers"
"$python" tests/commands/interop_torch.py "$METATRAIN" "$SCRATCH" "$BUILD_DIR/liblopt.so"
