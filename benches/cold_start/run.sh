#!/usr/bin/env bash
# The time from a model's file to its first output: birnn on the CPU path and on a GPU, onnxruntime
# and TensorFlow, each in fresh processes that take turns, on the same weights; outputs are
# compared.
#
#     benches/cold_start/run.sh [--processes N] [--devices DEVICE ...]
#
# Devices are those of `--device` (default: cpu and gpu; a software adapter where there is no other
# GPU). Needs Rust, Python 3 with venv, and PyPI (600 MB, for TensorFlow); everything is put under
# target/cold_start. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$PWD/target/cold_start
mkdir -p "$work"
cargo build --release --quiet --bench cold_start
program=$(cargo build --release --quiet --bench cold_start --message-format json |
    python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("target", {}).get("name") == "cold_start" and message.get("executable"):
        print(message["executable"])')
[ -d "$work/venv" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    -r benches/cold_start/requirements.txt
[ -e "$work/models/tagger.out.npy" ] ||
    TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" benches/cold_start/models.py "$work/models"
exec "$work/venv/bin/python" benches/cold_start/compare.py --birnn "$program" \
    --folder "$work/models" "$@"
