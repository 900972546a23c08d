#!/usr/bin/env bash
# Builds the demo page in target/web/demo, and serves it at http://localhost:8000 (Python 3).
#
#     web/demo.sh [PORT]
#     web/demo.sh --assemble    puts the page together of a package that web/build.sh has built
#
# The page is a folder of files that any web server can send. It takes the voice detector silero-vad
# (MIT) and its licence from PyPI; where that can't be reached, the page has all but the voice
# detector.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SILERO=silero-vad==6.2.3
package=target/web/birnn
page=target/web/demo
wheels=target/web/wheels

say() { echo "web/demo.sh: $*" >&2; }

# Puts the model and its licence into the page.
voice_detector() {
    command -v python3 >/dev/null || { say "no python3"; return 1; }
    if ! compgen -G "$wheels/silero_vad-*.whl" >/dev/null; then
        python3 -m pip --quiet --disable-pip-version-check --retries 1 --timeout 20 \
            download --no-deps --dest "$wheels" "$SILERO" || return 1
    fi
    python3 - "$wheels"/silero_vad-*.whl "$page/models" <<'PYTHON'
import pathlib
import sys
import zipfile

wheel, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
names = wheel.namelist()
licence = next(name for name in names if name.endswith("licenses/LICENSE"))
model = "silero_vad/data/silero_vad_16k_op15.onnx"
(folder / "silero-vad.onnx").write_bytes(wheel.read(model))
(folder / "silero-vad-LICENSE.txt").write_bytes(wheel.read(licence))
PYTHON
}

assemble() {
    local name speech=null
    rm -rf "$page"
    mkdir -p "$page/models"
    cp web/demo/* "$page"
    cp -r "$package" "$page/birnn"
    for name in lstm1 lstm2 gru1 gru2; do
        cp "tests/fixtures/keras/notebook_$name.keras" "$page/models"
    done
    cp tests/fixtures/keras/notebook_x.npy "$page/models"
    if voice_detector; then
        speech='"models/silero-vad.onnx"'
    else
        say "NOT THERE: the voice detector ($SILERO from PyPI)"
    fi
    cat >"$page/models/list.json" <<JSON
{
  "version": $(sed -n 's/^ *"version": \(".*"\),/\1/p' web/package.json),
  "input": "models/notebook_x.npy",
  "speech": $speech,
  "models": [
    {"name": "lstm1", "url": "models/notebook_lstm1.keras", "words": "LSTM, states"},
    {"name": "lstm2", "url": "models/notebook_lstm2.keras", "words": "LSTM, states and sequences"},
    {"name": "gru1", "url": "models/notebook_gru1.keras", "words": "GRU, states"},
    {"name": "gru2", "url": "models/notebook_gru2.keras", "words": "GRU, states and sequences"}
  ]
}
JSON
}

if [ "${1:-}" = --assemble ]; then
    assemble
    exit
fi
command -v python3 >/dev/null || { say "python3 is missing, which serves the page"; exit 1; }
web/build.sh
assemble
port=${1:-8000}
say "http://localhost:$port (Ctrl-C ends it)"
exec python3 -m http.server --bind 127.0.0.1 --directory "$page" "$port"
