#!/usr/bin/env bash
# birnn's CPU path beside onnxruntime on whole models that PyTorch exports to ONNX (models.py), in
# turn, with the same number of threads. Prints the table of docs/performance.md.
#
#     benches/peers_whole/run.sh [--threads 2] [--rounds 3] [--seconds 1.5] [FILE.onnx …]
#
# Other models have their arrays beside them, as tests/real_models/onnx_models.py writes them.
#
# Needs Rust, Python 3 with venv and PyPI; the packages go into target/peers_cpu, the models into
# target/peers_whole. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
work=$target/peers_whole
venv=$target/peers_cpu/venv
mkdir -p "$work"
[ -d "$venv" ] || python3 -m venv "$venv"
"$venv/bin/pip" --quiet --disable-pip-version-check install -r benches/peers_cpu/requirements.txt \
    -r benches/peers_whole/requirements.txt
cargo build --quiet --release --locked --features cli --bin birnn
[ "$work/models/diacritics.onnx" -nt benches/peers_whole/models.py ] || # the last one it writes
    "$venv/bin/python" benches/peers_whole/models.py "$work/models" 2>"$work/models.log"
models=()
[[ "$*" == *.onnx* ]] || models=("$work"/models/*.onnx)
"$venv/bin/python" benches/peers_whole/compare.py --birnn "$target/release/birnn" --work "$work" \
    "$@" "${models[@]}"
