#!/usr/bin/env bash
# How much of the source the tests run, by line and file. Needs cargo-llvm-cov (cargo install
# cargo-llvm-cov --locked) and the toolchain's llvm-tools (rustup component add llvm-tools).
# Arguments go to cargo llvm-cov: --html, say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export BIRNN_REQUIRE_GPU=1
exec cargo llvm-cov --locked --all-features --no-fail-fast "$@"
