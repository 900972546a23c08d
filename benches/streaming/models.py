"""The models and inputs of `run.sh` beside this file: weights as birnn and RTNeural read them, and
the same as ONNX files whose states are inputs and outputs."""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

UNITS = [8, 16, 40, 64, 128, 256]
# Keras's order of the gates is i f c o and z r h; that of ONNX is i o f c and z r h.
ONNX_ORDER = {"lstm": [0, 3, 1, 2], "gru": [0, 1, 2]}
INPUTS = 4096


def weights(cell, units):
    """kernel [1, gates * units], recurrent kernel [units, gates * units], bias [gates * units] of
    an LSTM and [2, gates * units] of a GRU, and of the Dense its kernel [units, 1] and bias [1]."""
    rng = np.random.default_rng(units)
    columns = len(ONNX_ORDER[cell]) * units
    bias = (columns,) if cell == "lstm" else (2, columns)
    scale = 1 / np.sqrt(units)
    shapes = [(1, columns), (units, columns), bias, (units, 1), (1,)]
    return [rng.uniform(-scale, scale, shape).astype("f4") for shape in shapes]


def onnx_model(cell, units, timesteps, arrays):
    order = ONNX_ORDER[cell]

    def gates(array):
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    kernel, recurrent, bias, dense, dense_bias = arrays
    both = np.stack([bias, np.zeros_like(bias)]) if cell == "lstm" else bias
    constants = {
        "w": np.ascontiguousarray(gates(kernel).T)[None],
        "r": np.ascontiguousarray(gates(recurrent).T)[None],
        "b": gates(both).reshape(1, -1),
        "dense": dense,
        "dense_bias": dense_bias,
        "axis": np.array([1], "i8"),
    }
    states = ["h", "c"] if cell == "lstm" else ["h"]
    attributes = {} if cell == "lstm" else {"linear_before_reset": 1}
    nodes = [
        helper.make_node(
            cell.upper(),
            ["x", "w", "r", "b", "", *states],
            ["all", *[f"{state}_out" for state in states]],
            hidden_size=units,
            **attributes,
        ),
        helper.make_node("Squeeze", ["all", "axis"], ["sequence"]),
        helper.make_node("MatMul", ["sequence", "dense"], ["product"]),
        helper.make_node("Add", ["product", "dense_bias"], ["y"]),
    ]

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "streaming",
        [value("x", [timesteps, 1, 1]), *[value(state, [1, 1, units]) for state in states]],
        [
            value("y", [timesteps, 1, 1]),
            *[value(f"{state}_out", [1, 1, units]) for state in states],
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rng.uniform(-1, 1, INPUTS).astype("f4").tofile(folder / "input.bin")
    for cell in ONNX_ORDER:
        for units in UNITS:
            arrays = weights(cell, units)
            flat = np.concatenate([array.ravel() for array in arrays])
            flat.tofile(folder / f"{cell}_{units}.bin")
            for timesteps in [1, 64]:
                model = onnx_model(cell, units, timesteps, arrays)
                onnx.save(model, folder / f"{cell}_{units}_{timesteps}.onnx")


main()
