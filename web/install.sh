#!/usr/bin/env bash
# Installs what the package for browsers is built and tested with, where it is missing:
#
#     web/install.sh compiler|browser|npm
#
# compiler: Debian's Rust for web pages. browser: Debian's Chromium. npm: wasm-opt, playwright-core
# and TypeScript under target/web/npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The versions that the tests ran with.
BINARYEN=132.0.0
PLAYWRIGHT=1.64.1
TYPESCRIPT=7.0.2

apt() {
    local as=()
    [ "$(id -u)" = 0 ] || as=(sudo -n)
    command -v apt-get >/dev/null || { echo "web/install.sh: no apt-get: $*" >&2; return 1; }
    DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get -o Acquire::Retries=2 "$@" >&2
}

case ${1:-} in
    compiler)
        apt update
        apt install -y --no-install-recommends rustc-web cargo-web rust-web-src
        llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
        apt install -y --no-install-recommends "lld-$llvm"
        ;;
    browser)
        apt update
        apt install -y --no-install-recommends chromium
        ;;
    npm)
        command -v npm >/dev/null || { apt update; apt install -y --no-install-recommends npm; }
        mkdir -p target/web/npm
        npm install --prefix target/web/npm --no-save --no-audit --no-fund --loglevel=error \
            "binaryen@$BINARYEN" "playwright-core@$PLAYWRIGHT" "typescript@$TYPESCRIPT"
        ;;
    *)
        echo "web/install.sh: compiler, browser or npm" >&2
        exit 1
        ;;
esac
