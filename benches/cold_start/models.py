"""Writes the models that `compare.py` starts: the same weights as Keras's file and as ONNX.

usage: models.py FOLDER

FOLDER gets NAME.keras, NAME.onnx, NAME.npy (an input of one row) and NAME.out.npy (Keras's output).
"""

import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import onnx
from keras import layers
from onnx import TensorProto, helper, numpy_helper


def small():
    """An LSTM with 32 units on 50 timesteps of 8 features, and a Dense of one."""
    x = np.random.default_rng(1).normal(size=(1, 50, 8)).astype("f4")
    model = [keras.Input((None, 8)), layers.LSTM(32), layers.Dense(1)]
    return keras.Sequential(model), x


def tagger():
    """80 tokens of 5000: an embedding of 128, two bidirectional LSTMs with 128 units, a softmax of
    50."""
    x = np.random.default_rng(2).integers(0, 5000, (1, 80)).astype("f4")
    model = [keras.Input((None,)), layers.Embedding(5000, 128)]
    for _ in range(2):
        model.append(layers.Bidirectional(layers.LSTM(128, return_sequences=True)))
    return keras.Sequential([*model, layers.Dense(50, activation="softmax")]), x


class Onnx:
    """A model as ONNX, layer by layer, as an exporter writes it: sequences [timesteps, batch, …]."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op_type, *inputs, outputs=1, **attributes):
        names = [f"a{self.count + i}" for i in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(op_type, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def lstm(self, x, cells, sequences):
        """Keras's gates i f c o as ONNX's i o f c."""

        def rows(array):
            i, f, c, o = np.split(array, 4, axis=-1)
            return np.concatenate([i, o, f, c], axis=-1).T

        weights = [cell.get_weights() for cell in cells]
        kernels = np.stack([rows(kernel) for kernel, _, _ in weights])
        recurrent = np.stack([rows(recurrent) for _, recurrent, _ in weights])
        bias = np.stack([np.append(rows(bias), np.zeros_like(bias)) for _, _, bias in weights])
        direction = "bidirectional" if len(cells) == 2 else "forward"
        given = [x, *map(self.weight, [kernels, recurrent, bias.astype("f4")])]
        y, last, _ = self.add(
            "LSTM", *given, outputs=3, direction=direction, hidden_size=recurrent.shape[2]
        )
        if not sequences:
            return self.add("Squeeze", last, self.weight(np.array([0])))
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        return self.add("Reshape", y, self.weight(np.array([0, 0, -1])))

    def dense(self, x, layer):
        kernel, bias = layer.get_weights()
        return self.add("Add", self.add("MatMul", x, self.weight(kernel)), self.weight(bias))


def to_onnx(model, x):
    own = Onnx()
    at = "x"
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Embedding":
            ids = own.add("Cast", at, to=TensorProto.INT64)
            at = own.add("Gather", own.weight(layer.get_weights()[0]), ids)
            at = own.add("Transpose", at, perm=[1, 0, 2])
        elif kind == "Bidirectional":
            at = own.lstm(at, [layer.forward_layer, layer.backward_layer], True)
        elif kind == "LSTM":
            at = own.lstm(own.add("Transpose", at, perm=[1, 0, 2]), [layer], False)
        else:
            at = own.dense(at, layer)
            if layer.activation.__name__ == "softmax":
                at = own.add("Transpose", own.add("Softmax", at, axis=-1), perm=[1, 0, 2])
    shape = ["batch", "timesteps", *x.shape[2:]]
    written = ["batch", *["timesteps"] * (len(model.output_shape) - 2), model.output_shape[-1]]
    graph = helper.make_graph(
        own.nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, written)],
        own.weights,
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    file.ir_version = 8
    onnx.checker.check_model(file)
    return file


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in [small, tagger]:
        keras.utils.set_random_seed(3)
        model, x = make()
        # Outputs that differ from each other: new weights' softmax hardly does.
        model.layers[-1].set_weights([20 * weight for weight in model.layers[-1].get_weights()])
        name = make.__name__
        model.save(folder / f"{name}.keras")
        onnx.save(to_onnx(model, x), folder / f"{name}.onnx")
        np.save(folder / f"{name}.npy", x)
        np.save(folder / f"{name}.out.npy", np.asarray(model(x)))


if __name__ == "__main__":
    main()
