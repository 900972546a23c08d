#!/usr/bin/env bash
# birnn's GPU path beside onnxruntime's WebGPU provider (Dawn) on the same adapter and, where there
# is an NVIDIA GPU, beside PyTorch's nn.LSTM and nn.GRU (cuDNN) in float32, TF32 and float16: one
# bidirectional layer, the same weights and input, in turn, each called from Python. Prints the
# table of docs/performance.md.
#
#     benches/peers_gpu/run.sh [--rounds 3] [--seconds 1] [--cell lstm|gru] [--device NAME]
#         [--peer onnxruntime|torch]... [--dry-run] [B,T,D,U ...]
#
# All engines get NumPy's arrays and return them, so a time holds the copies to and from the GPU.
# --dry-run takes PyTorch on the CPU where there is no CUDA. Needs Rust, Python 3 with venv, PyPI,
# and a Vulkan driver (Mesa's lavapipe, which tests/run.sh installs, of Mesa 25 or newer). Nothing
# else should run meanwhile.
#
# On a machine with a GPU that has neither Rust nor a network:
#
#     benches/peers_gpu/run.sh --pack FOLDER             here: puts the wheels there (14 MB)
#     benches/peers_gpu/run.sh --wheels FOLDER [...]     there, in a copy of benches/ with FOLDER
#
# The second installs those wheels beside the Python that is there, `python3` or $PYTHON, which has
# to have numpy, h5py, onnx, onnxruntime (1.24.4 or newer) and PyTorch with CUDA, and builds
# nothing. Where the machine lacks Vulkan's loader, carry that, too (Debian: apt-get download
# libvulkan1; there: dpkg -x libvulkan1_*.deb /). With `--rounds 1 --seconds 0.5` it is done in
# about four minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/peers_gpu
venv=$target/peers_cpu/venv
mkdir -p "$work"

# birnn's wheel into a folder.
build() {
    rm -f "$1"/birnn-*.whl
    CARGO_TARGET_DIR=$target "$venv/bin/maturin" build --quiet --release --locked \
        --manifest-path python/Cargo.toml --out "$1"
}

if [ "${1:-}" = --wheels ]; then
    python=${PYTHON:-python3}
    rm -rf "$work/site"
    "$python" -m pip --quiet install --no-index --no-deps --target "$work/site" "$2"/*.whl
    export PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
    exec "$python" benches/peers_gpu/table.py "${@:3}"
fi

[ -d "$venv" ] || python3 -m venv "$venv"
"$venv/bin/pip" --quiet --disable-pip-version-check install -r benches/peers_cpu/requirements.txt \
    -r benches/peers_gpu/requirements.txt
if [ "${1:-}" = --pack ]; then
    mkdir -p "$2"
    "$venv/bin/pip" --quiet --disable-pip-version-check download --no-deps --dest "$2" \
        -r benches/peers_gpu/requirements.txt
    build "$2"
    exit
fi
build "$work"
"$venv/bin/pip" --quiet --disable-pip-version-check install --force-reinstall --no-deps \
    "$work"/birnn-*.whl
exec "$venv/bin/python" benches/peers_gpu/table.py "$@"
