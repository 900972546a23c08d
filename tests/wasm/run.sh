#!/usr/bin/env bash
# The CPU path in WebAssembly, in Node.js: the unit tests of crates/simd, and every cell beside the
# reference (tests/cpu_cells), without and with relaxed SIMD.
#
#     tests/wasm/run.sh
#
# It compiles with rustup's target wasm32-wasip1 where there is one, and else with Debian's Rust for
# web pages and WASI's libc, which it installs where it may (as root or with sudo). Where neither is
# to be had it says what did not run, and with BIRNN_REQUIRE_WEB=1 fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

not_run() {
    echo "tests/wasm/run.sh: NOT RUN: $*" >&2
    [ -z "${BIRNN_REQUIRE_WEB:-}" ] || exit 1
    exit 0
}

debian_target() {
    local version
    version=$(/usr/bin/rustc -vV 2>/dev/null | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    linker=$(command -v "wasm-ld-${version:-none}") &&
        [ -e /usr/lib/rustlib/src/rust/library/Cargo.lock ] &&
        [ -e /usr/lib/wasm32-wasi/crt1-command.o ]
}

install() {
    local as=() version
    [ "$(id -u)" = 0 ] || as=(sudo -n)
    command -v apt-get >/dev/null || return
    "${as[@]}" apt-get update >&2 &&
        "${as[@]}" apt-get install -y --no-install-recommends \
            rustc-web cargo-web rust-web-src wasi-libc nodejs >&2 || return
    version=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    "${as[@]}" apt-get install -y --no-install-recommends "lld-$version" >&2
}

if [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip1" ]; then
    test=(cargo test)
else
    debian_target || { install && debian_target; } ||
        not_run "nothing compiles for WASI: rustup target add wasm32-wasip1"
    # Debian's Rust has the source of the standard library and no other for WASI.
    flags="-Clink-self-contained=no -L/usr/lib/wasm32-wasi"
    flags="$flags -Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o"
    # Debian's libc is older than the standard library, which asks it for threads: wasi.mjs has
    # none to give.
    flags="$flags -Clink-arg=--allow-undefined"
    test=(env "PATH=/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 "CARGO_TARGET_WASM32_WASIP1_LINKER=$linker"
        "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$flags"
        /usr/bin/cargo test -Zbuild-std=std,panic_abort,test)
fi
command -v node >/dev/null || not_run "no Node.js"

node=(node --no-warnings)
# Node.js 20 has relaxed SIMD behind a flag, which later ones don't know.
if "${node[@]}" --experimental-wasm-relaxed-simd -e 0 2>/dev/null; then
    node+=(--experimental-wasm-relaxed-simd)
fi
export CARGO_TARGET_WASM32_WASIP1_RUNNER="${node[*]} $PWD/tests/wasm/wasi.mjs"
for features in "" relaxed-simd; do
    for what in "birnn-simd --lib" "cpu_cells --test cells"; do
        read -ra package <<<"$what"
        "${test[@]}" --locked --quiet --target wasm32-wasip1 --target-dir target/wasm \
            --package "${package[@]}" --features "$features" -- --nocapture
    done
done
