"""Runs the models of a wheel in TensorFlow and in birnn on the same inputs, and compares what they return.

usage: compare.py WHEEL BIRNN FOLDER
"""

import os
import pathlib
import subprocess
import sys
import zipfile

os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")

import numpy as np  # noqa: E402
import tf_keras as keras  # noqa: E402

TOLERANCE = 2e-6  # that of the fixtures; the outputs are probabilities


def inputs(shape, ids):
    """Token ids as the package makes them: sequences filled up at the end with zeros."""
    random = np.random.default_rng(7)
    x = random.integers(1, ids, (64, *shape)).astype(np.float32)
    for row, length in zip(x, random.integers(5, shape[0] + 1, 64)):
        row[length:] = 0
    return x


def devices(birnn):
    """The CPU path, and a GPU where there is one, a software one too."""
    check = [birnn, "devices", "--device", "gpu", "--allow-software", "--check"]
    found = subprocess.run(check, stdout=subprocess.DEVNULL).returncode == 0
    return [["--device", "cpu"]] + [["--device", "gpu", "--allow-software"]] * found


def main():
    wheel, birnn, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".h5"))
        archive.extractall(folder / "wheel", names)
    assert len(names) == 6, names
    worst = 0.0
    for name in names:
        path = folder / "wheel" / name
        model = keras.models.load_model(path, compile=False)
        ids = next(layer.input_dim for layer in model.layers if layer.__class__.__name__ == "Embedding")
        x = inputs(model.input_shape[1:], ids)
        np.save(folder / "x.npy", x)
        expected = np.asarray(model(x))
        for device in devices(birnn):
            out = folder / "out" / path.stem
            run = [birnn, "run", str(path), str(folder / "x.npy"), "--quiet", "--out", str(out), *device]
            subprocess.run(run, check=True)
            (found,) = map(np.load, out.glob("0_*.npy"))  # the output's place, then the layer's name
            assert found.shape == expected.shape, (found.shape, expected.shape)
            difference = float(np.abs(found - expected).max())
            worst = max(worst, difference)
            print(f"{path.name} {device[1]}: {difference:.1e} from TensorFlow at most")
    assert worst <= TOLERANCE, f"{worst} is more than {TOLERANCE}"
    print(f"six models, largest difference {worst:.1e}")


main()
