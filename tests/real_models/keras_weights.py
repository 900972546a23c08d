"""That Keras loads what `birnn convert MODEL weights.npz` writes, by the lines that it prints.

    keras_weights.py BIRNN FOLDER ...

For each model of the folders that both Keras and birnn read: the weights of a fresh copy are set to
zeros, the printed lines are run, and the weights, and with them the order, have to be Keras's own.
Where birnn has other arrays than Keras (quantised weights and LoRA, which it reads as plain kernels,
cells in a stack that read backwards, and the layers of CuDNN, which are LSTM and GRU with one bias
in place of two) Keras has to refuse them.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy

try:
    import tf_keras as keras
except ImportError:
    import keras

birnn, *folders = sys.argv[1:]
checked, bidirectional, refused, wrong = 0, 0, [], []
with tempfile.TemporaryDirectory() as scratch:
    out = str(pathlib.Path(scratch) / "weights.npz")
    for path in sorted(path for folder in folders for path in pathlib.Path(folder).iterdir()):
        if path.suffix not in (".keras", ".h5") or path.name.endswith("weights.h5"):
            continue
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception:  # of another version of Keras
            continue
        converted = subprocess.run([birnn, "convert", path, out], capture_output=True, text=True)
        if converted.returncode:
            continue
        own = model.get_weights()
        # A seed generator's state is a weight that computes nothing at inference.
        model.set_weights([numpy.zeros_like(array) for array in own])
        lines = converted.stdout.split("\n\n", 1)[1]
        try:
            exec(lines, {"model": model})
            found = model.get_weights()
            same = all(numpy.array_equal(a, b) for a, b in zip(own, found, strict=True))
        except ValueError as error:
            if len(numpy.load(out).files) != len(own) or "CuDNN" in model.to_json():
                refused.append(path.name)
                continue
            same = False
            print(f"{path.name}: {error}", file=sys.stderr)
        checked += 1
        bidirectional += any(type(layer).__name__ == "Bidirectional" for layer in model.layers)
        if not same:
            wrong.append(path.name)
print(f"Keras {keras.__version__}: {checked} models, {bidirectional} of them bidirectional, loaded")
print(f"refused: {refused}\nwrong: {wrong}")
sys.exit(bool(wrong) or not bidirectional)
