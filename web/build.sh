#!/usr/bin/env bash
# Builds the npm package birnn in target/web/birnn, with the module of all formats, without and with
# relaxed SIMD, and the one of birnn's own form alone, and prints how large they are.
#
#     web/build.sh
#
# It compiles with rustup's target wasm32-unknown-unknown where there is one, and else with Debian's
# Rust for web pages (rustc-web), which it installs where it may (as root or with sudo).
# BIRNN_WEB_PROFILE=fast compiles faster, for tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

. web/compiler.sh
choose_compiler
package=target/web/birnn
rm -rf "$package"
mkdir -p "$package/wasm"
compile_module birnn-web "$package/wasm" birnn_all
compile_module birnn-web "$package/wasm" birnn_all_relaxed --features relaxed-simd
compile_module birnn-web "$package/wasm" birnn_portable --no-default-features
cp web/*.js web/*.d.ts web/package.json web/README.md LICENSE-* "$package"
for module in "$package"/wasm/*.wasm; do
    gzipped=$(gzip -9c "$module" | wc -c)
    echo "web/build.sh: $(basename "$module"): $(stat -c %s "$module") bytes, $gzipped gzipped" >&2
done
