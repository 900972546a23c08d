#!/usr/bin/env bash
# Builds the page in target/web/web_rust; `python3 -m http.server --directory target/web/web_rust`
# then shows it at http://localhost:8000.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. web/compiler.sh
choose_compiler
page=target/web/web_rust
rm -rf "$page"
mkdir -p "$page"
compile_module web_rust "$page" web_rust
cp examples/web_rust/{index.html,start.js} "$page"
