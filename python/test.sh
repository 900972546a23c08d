#!/usr/bin/env bash
# Builds the Python package's wheel, installs it in clean virtual environments and runs the tests of
# python/tests there: beside Keras 3 and JAX; beside PyTorch, where a Python has it (Debian:
# python3-torch; the variable PYTHON names another); beside Keras 2, where tests/real_models/run.sh
# installed it; and on free-threaded Python, where there is one. Then it runs the notebook.
#
#     python/test.sh [ARGUMENTS OF PYTEST]
#
# Needs Python 3.10 or newer with venv, and PyPI; where something is missing it says what did not
# run, and with BIRNN_REQUIRE_PYTHON=1 fails. Everything is put under target/python.
# BIRNN_PYTHON_PROFILE=release builds with Cargo's profile release in place of dev, whose
# dependencies tests/run.sh has built already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

not_run() {
    echo "python/test.sh: NOT RUN: $*" >&2
    [ -z "${BIRNN_REQUIRE_PYTHON:-}" ] || exit 1
}

root=$PWD
work=$root/target/python
mkdir -p "$work"
command -v python3 >/dev/null || { not_run "no python3"; exit 0; }
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { not_run "python3 is older than 3.10"; exit 0; }
pip() { timeout 300 "$1/bin/pip" --quiet --disable-pip-version-check --retries 1 --timeout 20 "${@:2}"; }

# A virtual environment, made by a Python of this name.
environment() {
    [ -d "$work/$1" ] || "$2" -m venv "${@:3}" "$work/$1" || { rm -rf "${work:?}/$1"; return 1; }
}

environment venv python3 || { not_run "python3 has no venv"; exit 0; }
pip "$work/venv" install -r python/tests/requirements.txt || { not_run "PyPI can't be reached"; exit 0; }

rm -rf "$work/wheels"
CARGO_TARGET_DIR=$root/target "$work/venv/bin/maturin" build --quiet --locked \
    --manifest-path python/Cargo.toml --profile "${BIRNN_PYTHON_PROFILE:-dev}" --out "$work/wheels"
wheel=$(echo "$work"/wheels/birnn-*-cp310-abi3-*.whl)

# In a folder without birnn's sources, so that the wheel is what is tried. 5 is pytest's status where
# the caller's arguments leave no test.
try() {
    local venv=$1 status=0
    pip "$venv" install --force-reinstall --no-deps "$wheel"
    (cd "$work" && KERAS_BACKEND=${backend:-jax} JAX_PLATFORMS=cpu "$venv/bin/python" -m pytest \
        -c "$root/python/pyproject.toml" -p no:cacheprovider "${@:2}") || status=$?
    [ $status = 0 ] || [ $status = 5 ]
}
tests=$root/python/tests

# A clean environment, with what the wheel itself asks for and nothing else.
environment clean python3
pip "$work/clean" install --force-reinstall "$wheel"
(cd "$work" && "$work/clean/bin/python" -c "
import birnn, numpy
model = birnn.load('$root/tests/fixtures/keras/notebook_lstm2.keras')
print('birnn', birnn.__version__, *birnn.devices(), *[a.shape for a in model.compile('cpu')(numpy.zeros((1, 8, 2)))])
") >&2

try "$work/venv" "$tests" "$@"

# The notebook, in a kernel of the same environment.
"$work/venv/bin/python" -m ipykernel install --prefix "$work/venv" --name python3 >/dev/null 2>&1
(cd "$work" && KERAS_BACKEND=jax JAX_PLATFORMS=cpu BIRNN_DEVICE=cpu "$work/venv/bin/jupyter-execute" \
    --output "$work/notebook.ipynb" "$root/examples/notebook.ipynb")

torch=
for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
    ! "$candidate" -c "import torch, numpy" 2>/dev/null || { torch=$candidate; break; }
done
if [ -z "$torch" ]; then
    not_run "tests/test_torch.py: no Python with torch: apt-get install python3-torch, or set PYTHON"
elif ! environment torch "$torch" --system-site-packages || ! pip "$work/torch" install pytest; then
    not_run "tests/test_torch.py: $torch has no venv"
else
    try "$work/torch" "$tests/test_torch.py" "$tests/test_arrays.py" "$@"
fi

if keras2=$root/target/real_models/venv && "$keras2/bin/python" -c "import tf_keras" 2>/dev/null; then
    pip "$keras2" install pytest
    backend=tensorflow try "$keras2" "$tests/test_keras.py" "$@"
else
    not_run "Keras 2: tests/real_models/run.sh installs it"
fi

free=
for candidate in python3.14t python3.13t; do
    ! command -v "$candidate" >/dev/null || { free=$candidate; break; }
done
if [ -z "$free" ]; then
    not_run "free-threaded Python: no python3.14t or python3.13t"
else
    environment free "$free"
    pip "$work/free" install pytest numpy
    CARGO_TARGET_DIR=$root/target "$work/venv/bin/maturin" build --quiet --locked --interpreter "$free" \
        --manifest-path python/Cargo.toml --profile "${BIRNN_PYTHON_PROFILE:-dev}" --out "$work/wheels"
    wheel=$(echo "$work"/wheels/birnn-*t-*.whl)
    try "$work/free" "$tests/test_session.py" "$tests/test_arrays.py" "$@"
fi
