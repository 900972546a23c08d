"""birnn and its peers on one bidirectional layer. `run.sh` beside this file calls it; see there."""

import argparse
import csv
import importlib.metadata
import json
import multiprocessing
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

SHAPES = [
    (1, 8, 2, 3),
    (1, 256, 128, 128),
    (32, 100, 128, 128),
    (8, 400, 80, 512),
    (64, 50, 512, 512),
    (1, 1000, 256, 256),
    (16, 50, 512, 512),
    (4, 50, 1536, 1536),
]
GATES = {"lstm": 4, "gru": 3}
PEERS = ["onnxruntime", "openvino", "torch"]
# The outputs are in [-1, 1], and every runtime sums in an order of its own.
TOLERANCE = 2e-5


class Layer:
    """Weights in Keras's layout (gates i f c o; z r h with reset_after) and an input [batch, timesteps, features]."""

    def __init__(self, cell, shape):
        self.cell, self.shape = cell, shape
        batch, timesteps, features, units = shape
        rng = np.random.default_rng(7)
        columns = GATES[cell] * units

        def uniform(limit, *sizes):
            return rng.uniform(-limit, limit, sizes).astype("f4")

        scale = 1 / np.sqrt(units)
        bias = (columns,) if cell == "lstm" else (2, columns)
        self.directions = [
            (
                uniform(scale, features, columns),
                uniform(scale, units, columns),
                uniform(scale, *bias),
            )
            for _ in range(2)
        ]
        self.x = uniform(1, batch, timesteps, features)

    def gates(self, array, order):
        """The columns in another order of the gates, as rows."""
        parts = np.split(array, GATES[self.cell], axis=-1)
        return np.ascontiguousarray(np.concatenate([parts[gate] for gate in order], axis=-1).T)

    def biases(self, bias, order):
        both = np.stack([bias, np.zeros_like(bias)]) if self.cell == "lstm" else bias
        return [self.gates(row, order) for row in both]


def measure(run, seconds):
    """Times of runs after two to warm up."""
    for _ in range(2):
        run()
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return times


def onnx_model(layer):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    order = [0, 3, 1, 2] if layer.cell == "lstm" else [0, 1, 2]
    directions = layer.directions
    weights = {
        "W": np.stack([layer.gates(kernel, order) for kernel, _, _ in directions]),
        "R": np.stack([layer.gates(recurrent, order) for _, recurrent, _ in directions]),
        "B": np.stack([np.concatenate(layer.biases(bias, order)) for _, _, bias in directions]),
    }
    outputs = ["Y", "Y_h"] + (["Y_c"] if layer.cell == "lstm" else [])
    options = {"linear_before_reset": 1} if layer.cell == "gru" else {}
    node = helper.make_node(
        layer.cell.upper(),
        ["X", "W", "R", "B"],
        outputs,
        direction="bidirectional",
        hidden_size=layer.shape[3],
        **options,
    )
    batch, timesteps, features, _ = layer.shape
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [timesteps, batch, features])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    return model.SerializeToString()


def from_onnx(y):
    """[timesteps, directions, batch, units] to [batch, timesteps, directions · units]."""
    return y.transpose(2, 0, 1, 3).reshape(y.shape[2], y.shape[0], -1)


def onnxruntime(layer, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(onnx_model(layer), options, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(layer.x.transpose(1, 0, 2))
    return (lambda: session.run(None, {"X": x})), lambda result: from_onnx(result[0])


def openvino(layer, threads):
    import openvino as ov

    core = ov.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(
        core.read_model(onnx_model(layer)), "CPU", options
    ).create_infer_request()
    x = np.ascontiguousarray(layer.x.transpose(1, 0, 2))
    return (lambda: request.infer({0: x})), lambda result: from_onnx(result[0])


def torch_module(layer, **options):
    """An nn.LSTM or nn.GRU of the layer's weights."""
    import torch as pytorch

    order = [0, 1, 2, 3] if layer.cell == "lstm" else [1, 0, 2]
    kind = pytorch.nn.LSTM if layer.cell == "lstm" else pytorch.nn.GRU
    net = kind(layer.shape[2], layer.shape[3], bidirectional=True, **options).eval()
    with pytorch.no_grad():
        for suffix, (kernel, recurrent, bias) in zip(["", "_reverse"], layer.directions):
            arrays = [
                layer.gates(kernel, order),
                layer.gates(recurrent, order),
                *layer.biases(bias, order),
            ]
            for name, array in zip(
                ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"], arrays
            ):
                getattr(net, name + suffix).copy_(pytorch.from_numpy(array))
    return net


def torch(layer, threads):
    import torch as pytorch

    pytorch.set_num_threads(threads)
    net = torch_module(layer, batch_first=True)
    x = pytorch.from_numpy(layer.x)

    def run():
        with pytorch.inference_mode():
            return net(x)

    return run, lambda result: result[0].numpy()


def keras_file(layer, path):
    """A legacy HDF5 file, as Keras 2 writes it."""
    import h5py

    units = layer.shape[3]
    name = layer.cell.upper()
    inner = {
        "class_name": name,
        "config": {
            "name": layer.cell,
            "trainable": True,
            "units": units,
            "activation": "tanh",
            "recurrent_activation": "sigmoid",
            "use_bias": True,
            "return_sequences": True,
            "return_state": True,
            "go_backwards": False,
            "stateful": False,
            **({"reset_after": True} if layer.cell == "gru" else {}),
        },
    }
    layers = [
        {
            "class_name": "InputLayer",
            "name": "x",
            "inbound_nodes": [],
            "config": {
                "name": "x",
                "batch_input_shape": [None, None, layer.shape[2]],
                "dtype": "float32",
            },
        },
        {
            "class_name": "Bidirectional",
            "name": "both",
            "inbound_nodes": [[["x", 0, 0, {}]]],
            "config": {"name": "both", "trainable": True, "merge_mode": "concat", "layer": inner},
        },
    ]
    states = 5 if layer.cell == "lstm" else 3
    config = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": layers,
            "input_layers": [["x", 0, 0]],
            "output_layers": [["both", 0, index] for index in range(states)],
        },
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"x", b"both"]
        weights.create_group("x").attrs["weight_names"] = np.array([], dtype="S1")
        group = weights.create_group("both")
        names = []
        for direction, arrays in zip(["forward", "backward"], layer.directions):
            for part, array in zip(["kernel", "recurrent_kernel", "bias"], arrays):
                names.append(f"both/{direction}_{layer.cell}/{layer.cell}_cell/{part}:0")
                group.create_dataset(names[-1], data=array)
        group.attrs["weight_names"] = [name.encode() for name in names]


def birnn(layer, threads):
    import birnn as package

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "layer.h5"
        keras_file(layer, path)
        session = package.load(path).compile("cpu", threads=threads)
    x = layer.x
    return (lambda: session(x)), lambda result: result[0]


def peer(name, layer, threads, seconds):
    """Median of a round, and the output, in a process of its own: the runtimes' threads don't meet."""
    code = subprocess.run(
        [
            sys.executable,
            __file__,
            "--peer",
            name,
            "--cell",
            layer.cell,
            "--threads",
            str(threads),
            "--seconds",
            str(seconds),
            ",".join(map(str, layer.shape)),
        ],
        capture_output=True,
        check=False,
    )
    if code.returncode != 0:
        raise RuntimeError(f"{name}: {code.stderr.decode()[-400:]}")
    header, _, output = code.stdout.partition(b"\n")
    return json.loads(header)["median"], np.frombuffer(output, "f4")


def run_peer(options):
    run, output = globals()[options.peer](Layer(options.cell, options.shapes[0]), options.threads)
    result = np.ascontiguousarray(output(run()), dtype="f4")
    median = float(np.median(measure(run, options.seconds)))
    sys.stdout.buffer.write(json.dumps({"median": median}).encode() + b"\n" + result.tobytes())


def limit(cell, shape, machine):
    """The least time that the machine's arithmetic and memory allow: the recurrent kernels are read from memory once, and
    at each later timestep what the cache can't have kept of them."""
    batch, timesteps, features, units = shape
    flops = 4 * batch * timesteps * GATES[cell] * units * (features + units)
    recurrent = 8 * GATES[cell] * units * units
    read = recurrent + (timesteps - 1) * max(0, recurrent - machine["cache_bytes"])
    return max(flops / machine["flops"], read / machine["bytes"]), flops


def compare(options):
    machine = json.loads(options.machine)
    shapes = options.shapes or SHAPES
    rows, farthest = [], 0.0
    for cell in GATES:
        for shape in shapes:
            layer = Layer(cell, shape)
            medians = {name: [] for name in ["birnn", *PEERS]}
            for _ in range(options.rounds):
                time_, ours = peer("birnn", layer, options.threads, options.seconds)
                medians["birnn"].append(time_)
                for name in PEERS:
                    time_, theirs = peer(name, layer, options.threads, options.seconds)
                    medians[name].append(time_)
                    far = float(np.max(np.abs(ours - theirs)))
                    if not far < TOLERANCE:
                        sys.exit(f"{cell} {shape}: {name}'s output is {far} from birnn's")
                    farthest = max(farthest, far)
            rows.append((cell, shape, medians))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print_table(rows, machine, options)
    print(
        f"\nOutputs of all runtimes are within {farthest:.1e} of birnn's (they have to be within {TOLERANCE:.0e})."
    )
    if options.csv:
        write_csv(options.csv, rows)


def disturb(share):
    """Takes that share of the last core, in turns of a millisecond, before all others where the system lets it."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        print(
            "without the right to a real-time priority (root) the disturbance is one program among others",
            file=sys.stderr,
        )
    while True:
        end = time.perf_counter() + share * 1e-3
        while time.perf_counter() < end:
            pass
        time.sleep((1 - share) * 1e-3)


def milliseconds(seconds):
    return f"{seconds * 1e3:.3g}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


def processor():
    """Its name, where Linux says it."""
    try:
        return re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.machine()


def print_table(rows, machine, options):
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PEERS)
    disturbed = (
        f", with another program on one core for {options.disturb}% of the time"
        if options.disturb
        else ""
    )
    print(
        f"{processor()}, {options.threads} threads{disturbed}; {versions}; this machine multiplies and adds {machine['flops'] / 1e9:.0f} GFLOP/s on all cores and reads "
        f"{machine['bytes'] / 1e9:.0f} GB/s from memory\n"
    )
    print(
        "| (batch, timesteps, features, units) | cell | birnn, ms | "
        + " | ".join(PEERS)
        + " | best of them / birnn | in single rounds | GFLOP/s | of the limit |"
    )
    print("|---|---|---|" + "---|" * len(PEERS) + "---|---|---|---|")
    for cell, shape, rounds in rows:
        medians = over_rounds(rounds)
        ours, best = medians["birnn"], min(medians[name] for name in PEERS)
        single = [min(rounds[name][r] for name in PEERS) / t for r, t in enumerate(rounds["birnn"])]
        least, flops = limit(cell, shape, machine)
        cells = [
            str(shape),
            cell.upper(),
            milliseconds(ours),
            *(milliseconds(medians[name]) for name in PEERS),
            f"{best / ours:.2f}",
            f"{min(single):.2f} to {max(single):.2f}",
            f"{flops / ours / 1e9:.3g}",
            f"{least / ours:.0%}",
        ]
        print("| " + " | ".join(cells) + " |")


def over_rounds(rounds):
    """Of each runtime the median of its rounds."""
    return {name: float(np.median(times)) for name, times in rounds.items()}


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["cell", "batch", "timesteps", "features", "units", "birnn", *PEERS])
        for cell, shape, rounds in rows:
            medians = over_rounds(rounds)
            writer.writerow([cell, *shape, medians["birnn"], *(medians[name] for name in PEERS)])


def shape_of(text):
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.isdecimal() and int(number) > 0 for number in numbers):
        raise argparse.ArgumentTypeError(
            f"{text!r} isn't batch,timesteps,features,units, each at least 1"
        )
    return tuple(map(int, numbers))


def at_least_one(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number from 1 on")
    return int(text)


def new_file(text):
    """Looked at before anything is measured."""
    if not pathlib.Path(text).absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder of {text!r} isn't there")
    return text


def percent(text):
    if not hasattr(os, "sched_setaffinity"):
        raise argparse.ArgumentTypeError("only Linux can keep a program on a core")
    if not text.isdecimal() or not 0 < int(text) < 100:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a percentage from 1 to 99")
    return int(text)


def above_zero(text):
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} isn't a number above 0")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "shapes",
        nargs="*",
        type=shape_of,
        metavar="B,T,D,U",
        help="batch, timesteps, features, units (default: the eight shapes of docs/performance.md)",
    )
    parser.add_argument(
        "--threads", type=at_least_one, default=2, help="of each runtime (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds",
        type=at_least_one,
        default=3,
        help="the runtimes take turns so often; a time is the median of their medians (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds", type=above_zero, default=1.5, help="a runtime's turn (default: %(default)s)"
    )
    parser.add_argument(
        "--csv", type=new_file, metavar="FILE", help="a file for the medians, too, in seconds"
    )
    parser.add_argument(
        "--disturb",
        type=percent,
        metavar="PERCENT",
        help="of the last core's time goes to another program meanwhile",
    )
    # What run.sh, and this program in the peers' processes, give it.
    for name in ["--birnn", "--work", "--machine", "--peer", "--cell"]:
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.disturb:
        multiprocessing.Process(target=disturb, args=(options.disturb / 100,), daemon=True).start()
    run_peer(options) if options.peer else compare(options)


if __name__ == "__main__":
    main()
