#!/usr/bin/env bash
# Builds every kernel in every setting with Dawn and Tint, the WebGPU and WGSL compiler of Chrome,
# on this machine's Vulkan driver. Needs Node.js and npm, which fetches the package webgpu (20 MiB a
# system) to a temporary folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" webgpu@0.6.2
BIRNN_DAWN=$folder cargo test --locked --all-features --test gpu -- --nocapture tint
