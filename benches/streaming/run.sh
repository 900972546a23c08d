#!/usr/bin/env bash
# Streaming: an LSTM or a GRU of 8 to 256 units with a Dense of one output, one feature, batch 1,
# states kept from call to call, on one thread. birnn (`Session::run_into`) beside RTNeural and
# onnxruntime: the same weights and inputs, outputs compared, in turns, each in a process of its
# own. Prints for a call of one timestep, and for a timestep within a call of 64, the median and
# the 99th percentile in nanoseconds, and ratios of medians: the table of docs/performance.md,
# "Streaming".
#
#     benches/streaming/run.sh [--rounds 3] [--seconds 0.3] [UNITS ...]
#
# A time is the median of the rounds; asking the clock, some 20 to 40 ns a call, is in the times.
# RTNeural computes a timestep a call in either case: its sizes are known when it is compiled, with
# -O3 -march=native -ffast-math, over Eigen (Debian: libeigen3-dev). onnxruntime is called from
# Python with inputs, outputs and states bound to memory, which takes microseconds of each call and
# next to nothing of a timestep of 64.
#
# Needs Rust, g++, Eigen, Python 3 with venv and PyPI. RTNeural comes from GitHub at the commit
# below, or from the Git repository that RTNEURAL_REPOSITORY names; where it can't be reached, the
# rest runs without it. All of it goes into target/streaming. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

commit=1fb1f075a5d66e85bfc8f488c3f3626840cb3a1d
repository=${RTNEURAL_REPOSITORY:-https://github.com/jatinchowdhury18/RTNeural}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/streaming
here=benches/streaming

[ -d "$work/venv" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install -r $here/requirements.txt
[ -f "$work/data/input.bin" ] || "$work/venv/bin/python" $here/models.py "$work/data"
cargo build --quiet --release --locked --manifest-path $here/Cargo.toml --target-dir "$target"

sources=$work/RTNeural-$commit
if [ ! -d "$sources" ]; then
    rm -rf "$work/clone"
    if git clone --quiet "$repository" "$work/clone" \
        && git -C "$work/clone" checkout --quiet "$commit"; then
        mv "$work/clone" "$sources"
    fi
fi
peer=()
if [ ! -d "$sources" ]; then
    echo "NOT RUN: RTNeural, $repository can't be reached" >&2
elif [ ! -d "${EIGEN:=/usr/include/eigen3}" ]; then
    echo "NOT RUN: RTNeural, there is no Eigen in $EIGEN (Debian: libeigen3-dev)" >&2
else
    program=$work/rtneural-$commit
    if [ ! -x "$program" ] || [ $here/rtneural.cpp -nt "$program" ]; then
        g++ -std=c++17 -O3 -march=native -ffast-math -DNDEBUG -DRTNEURAL_USE_EIGEN=1 \
            -DRTNEURAL_DEFAULT_ALIGNMENT=32 -DRTNEURAL_NAMESPACE=RTNeural \
            -DEIGEN_STACK_ALLOCATION_LIMIT=0 \
            -isystem "$EIGEN" -isystem "$sources" $here/rtneural.cpp -o "$program"
    fi
    peer=(--rtneural "$program")
fi
"$work/venv/bin/python" $here/compare.py --data "$work/data" --birnn "$target/release/streaming" \
    "${peer[@]}" "$@"
