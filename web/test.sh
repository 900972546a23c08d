#!/usr/bin/env bash
# Builds the package for browsers, and tests it in Chromium: in a page and in a Worker, with WebGPU
# on Chromium's software adapter, and without; then clicks through the demo page.
#
#     web/test.sh
#
# Installs what is missing (web/install.sh). Where Debian's packages or npm can't be reached it says
# what did not run, and with BIRNN_REQUIRE_WEB=1 fails. BIRNN_WEB_VERBOSE=1 lists every test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

not_run() {
    echo "web/test.sh: NOT RUN: $*" >&2
    [ -z "${BIRNN_REQUIRE_WEB:-}" ] || exit 1
    exit 0
}

export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
[ -x "$CHROMIUM" ] || web/install.sh browser || not_run "no Chromium, and it can't be installed"
[ -d target/web/npm/node_modules/playwright-core ] || web/install.sh npm || not_run "npm can't be reached"
command -v node >/dev/null || not_run "no Node.js"
. web/compiler.sh
has_rustup_target || has_debian_target || web/install.sh compiler ||
    not_run "nothing compiles for web pages: rustup target add wasm32-unknown-unknown"

export BIRNN_WEB_PROFILE=${BIRNN_WEB_PROFILE:-fast}
RUSTFLAGS="" web/build.sh
RUSTFLAGS="" examples/web_rust/build.sh
# What the browser's numbers are compared with: the program, with the tests, as tests/run.sh has
# built it.
RUSTFLAGS="" cargo test --quiet --locked --workspace --all-features --no-run
[ -x target/web/npm/node_modules/.bin/tsc ] || web/install.sh npm
target/web/npm/node_modules/.bin/tsc -p web/tests/tsconfig.json
node web/tests/run.mjs target/debug/birnn
web/demo.sh --assemble
node web/tests/demo.mjs
