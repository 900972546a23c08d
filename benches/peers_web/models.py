"""Writes the models and inputs of the comparison in a browser: `models.py FOLDER`. They are those
of peers_cpu, as ONNX files, which both birnn and onnxruntime-web read."""

import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "peers_cpu"))
from compare import Layer, onnx_model  # noqa: E402

# (batch, timesteps, features, units)
SHAPES = [(1, 8, 2, 3), (1, 256, 128, 128), (32, 100, 128, 128)]

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
cases = []
for cell in ["lstm", "gru"]:
    for shape in SHAPES:
        name = "_".join(map(str, (cell, *shape)))
        layer = Layer(cell, shape)
        (folder / f"{name}.onnx").write_bytes(onnx_model(layer))
        # [timesteps, batch, features], as ONNX has it.
        np.ascontiguousarray(layer.x.transpose(1, 0, 2)).tofile(folder / f"{name}.x")
        batch, timesteps, features, _ = shape
        x = [timesteps, batch, features]
        cases.append({"cell": cell, "shape": shape, "name": name, "x": x})
(folder / "cases.json").write_text(json.dumps(cases))
