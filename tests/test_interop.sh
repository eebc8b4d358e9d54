#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An optimizer of PyTorch's written from the description, against liblopt through exported weights. Needs
# Python with torch and safetensors (of $PYTHON, else build/venv that .ci/run makes, else python3).
set -euo pipefail
cd "$SOURCE_DIR"
python=${PYTHON-$([ -x build/venv/bin/python ] && echo build/venv/bin/python || echo python3)}
if ! "$python" -c 'import torch, safetensors' 2>/dev/null; then
    echo "skipped: $python lacks torch or safetensors"
    exit
fi
if [ -n "${SANITIZE-}" ]; then
    echo "skipped: Python cannot load a library built with sanitizers"
    exit
fi
"$python" tests/interop_torch.py "$METATRAIN" "$SCRATCH" "$BUILD_DIR/liblopt.so"
