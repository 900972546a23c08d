#!/usr/bin/env bash
# birnn's CPU path beside onnxruntime, OpenVINO and PyTorch: one bidirectional layer, the same
# weights and input, the same number of threads, in turn, each called from Python. Prints the table
# of docs/performance.md.
#
#     benches/peers_cpu/run.sh [--threads 2] [--rounds 3] [--seconds 1.5] [--disturb 30]
#         [--csv FILE] [B,T,D,U ...]
#
#     benches/peers_cpu/run.sh --cost target/cpu_cost.svg [--threads 2]
#
# draws how birnn's time and memory grow with timesteps, batch and units instead.
#
# Needs Rust, Python 3 with venv and PyPI; the peers go into target/peers_cpu. Nothing else should
# run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/peers_cpu
[ -d "$work/venv" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install -r benches/peers_cpu/requirements.txt
rm -rf "$work/wheels"
CARGO_TARGET_DIR=$target "$work/venv/bin/maturin" build --quiet --release --locked \
    --manifest-path python/Cargo.toml --out "$work/wheels"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install --force-reinstall --no-deps \
    "$work"/wheels/birnn-*.whl
# --cost measures the memory of the program.
[ "${1:-}" != --cost ] || cargo build --quiet --release --locked --features cli --bin birnn
cargo build --quiet --release --locked --bench machine
machine=$(cargo bench --quiet --locked --bench machine)
script=compare.py
[ "${1:-}" != --cost ] || script=cost.py
"$work/venv/bin/python" "benches/peers_cpu/$script" --birnn "$target/release/birnn" --work "$work" --machine "$machine" "$@"
