#!/usr/bin/env bash
# birnn beside onnxruntime-web in Chromium: one bidirectional layer, the same ONNX file and input,
# one thread, in turn. Prints a table for each backend.
#
#     benches/peers_web/run.sh [--rounds 15] [--on cpu|webgpu] [--plain]
#
# --on: the CPU path in WebAssembly alone, or WebGPU alone. --plain: birnn without relaxed SIMD.
# WebGPU is Chromium's software adapter SwiftShader unless CHROMIUM_FLAGS asks for another.
#
# Needs what web/build.sh needs, Node.js, npm, Chromium, Python 3 with venv and PyPI; the peers go
# into target/peers_web. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The version that the figures are of.
ONNXRUNTIME_WEB=1.30.0

work=target/peers_web
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
[ -x "$CHROMIUM" ] || web/install.sh browser
[ -n "${BIRNN_WEB_BUILT:-}" ] || web/build.sh
npm install --prefix "$work/npm" --no-save --no-audit --no-fund --loglevel=error \
    "onnxruntime-web@$ONNXRUNTIME_WEB"
if [ ! -e "$work/models/cases.json" ]; then
    [ -d "$work/venv" ] || python3 -m venv "$work/venv"
    "$work/venv/bin/pip" --quiet --disable-pip-version-check install \
        -r benches/peers_web/requirements.txt
    "$work/venv/bin/python" benches/peers_web/models.py "$work/models"
fi
node benches/peers_web/compare.mjs "$@"
