#!/usr/bin/env bash
# Compares birnn with PyTorch on models that people published: uzmorph-nn, uzmorph-bigru (MIT),
# resemblyzer (Apache-2.0) and silero-vad (MIT), from PyPI.
#
# Needs access to PyPI and a Python 3 with torch and numpy (Debian: python3-torch), which the
# variable PYTHON names; where something is missing it says that it did not run, and with
# BIRNN_REQUIRE_REAL_MODELS=1 fails. Everything is put under target/real_models.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

not_run() {
    echo "tests/real_models/run_torch.sh: NOT RUN: $*" >&2
    [ -z "${BIRNN_REQUIRE_REAL_MODELS:-}" ] || exit 1
    exit 0
}

work=$PWD/target/real_models/wheels
mkdir -p "$work"
python=
for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
    if "$candidate" -c "import torch, numpy" 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || not_run "no Python with torch: apt-get install python3-torch, or set PYTHON"
command -v pip3 >/dev/null || not_run "no pip3"
pip="timeout 240 pip3 --quiet --disable-pip-version-check --retries 1 --timeout 20"
packages="uzmorph-nn==0.1.0 uzmorph-bigru==0.1.1 resemblyzer==0.1.4 silero-vad==6.2.3"
$pip download --no-deps --dest "$work" $packages safetensors || not_run "PyPI can't be reached"
for wheel in "$work"/*.whl; do
    "$python" -m zipfile -e "$wheel" "$work"
done

PYTHONPATH=$work "$python" tests/real_models/torch_arrays.py "$work"
BIRNN_REAL_TORCH_MODELS=$work/torch \
    cargo test --quiet --locked --workspace --all-features --test formats -- --nocapture real_torch
