#!/usr/bin/env bash
# Lays the fixtures down as the first inputs of each fuzz target.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
fixtures=../tests/fixtures

mkdir -p corpus/{keras_file,keras_config,keras_weights,torch_file,onnx_file,portable_file,portable_description}
# Small ones: what a fuzzer changes in them is more often something that matters.
find "$fixtures" \( -name '*.keras' -o -name '*.h5' \) -size -24k | while read -r file; do
    target=keras_file
    case $file in *weights.h5) target=keras_weights ;; esac
    cp "$file" "corpus/$target/$(basename "$(dirname "$file")")_$(basename "$file")"
done
for archive in "$fixtures"/layers/*.keras; do
    unzip -p "$archive" config.json >"corpus/keras_config/$(basename "$archive" .keras).json"
done
cp "$fixtures"/layers/*rnn*.json "$fixtures"/layers/keras2_weights_only_*.json corpus/keras_config
find "$fixtures/torch" \( -name '*.pt' -o -name '*.pth' -o -name '*.safetensors' \) -size -4k \
    -exec cp {} corpus/torch_file \;
cp "$fixtures"/onnx/{,nodes/,exported/,refused/}*.onnx corpus/onnx_file
cp "$fixtures"/portable/*.safetensors corpus/portable_file
python3 - "$fixtures"/portable/*.safetensors <<'PYTHON'
import json, pathlib, sys

for path in map(pathlib.Path, sys.argv[1:]):
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text = header["__metadata__"]["birnn"]
    pathlib.Path("corpus/portable_description", path.stem).write_text(text)
PYTHON
for target in corpus/*; do printf '%s: %s inputs\n' "$target" "$(find "$target" -type f | wc -l)"; done
