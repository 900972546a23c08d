"""birnn and onnxruntime on whole ONNX models. `run.sh` beside this file calls it; see there."""

import argparse
import importlib.metadata
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import numpy as np

# Relative to max(1, |value|): the runtimes sum in orders of their own.
TOLERANCE = 1e-4


class Case:
    """A model and its inputs: FILE.onnx, and the arrays in_0, in_1… of FILE.npz or of one of
    FILE.batch_1.npz, FILE.batch_32.npz…"""

    def __init__(self, model, arrays):
        self.model, self.arrays = model, arrays
        self.name = arrays.name.removesuffix(".npz").replace(".batch_", ", batch ")

    def inputs(self):
        with np.load(self.arrays) as arrays:
            return [arrays[f"in_{i}"] for i in range(sum(n.startswith("in_") for n in arrays))]


def cases(files):
    for file in files:
        own = re.compile(re.escape(file.stem) + r"(\.batch_\d+)?\.npz")
        arrays = [path for path in file.parent.glob("*.npz") if own.fullmatch(path.name)]
        if not arrays:
            sys.exit(f"{file} has no arrays beside it")
        yield from (Case(file, path) for path in sorted(arrays))


def birnn(options, case):
    """Median of a round, and the outputs."""
    out = pathlib.Path(options.work) / "out"
    shutil.rmtree(out, ignore_errors=True)
    files = []
    for index, array in enumerate(case.inputs()):
        files.append(pathlib.Path(options.work) / f"in_{index}.npy")
        np.save(files[-1], array)
    command = [options.birnn, "run", case.model, *files, "--device", "cpu", "--quiet"]
    command += ["--threads", str(options.threads)]

    def times(repeat, *more):
        command_ = [*command, "--repeat", str(repeat), *more]
        done = subprocess.run(command_, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"birnn: {done.stderr.strip()}")
        return float(re.search(r"median ([0-9.]+) ms", done.stdout)[1]) / 1e3

    once = times(3, "--out", out)
    repeat = min(max(5, int(options.seconds / max(once, 1e-6))), 20_000)
    # The number before the first underscore is the output's place.
    outputs = sorted(out.glob("*.npy"), key=lambda path: int(path.name.split("_")[0]))
    return times(repeat), [np.load(path) for path in outputs]


def onnxruntime(options, case):
    """The same, in a process of its own: the runtimes' threads don't meet."""
    own = [sys.executable, __file__, "--peer", str(case.arrays), "--threads", str(options.threads)]
    done = subprocess.run(
        [*own, "--seconds", str(options.seconds), "--work", options.work, str(case.model)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"onnxruntime: {done.stderr.decode()[-800:]}")
    with np.load(pathlib.Path(options.work) / "peer.npz") as arrays:
        outputs = [arrays[f"out_{i}"] for i in range(len(arrays.files))]
    return json.loads(done.stdout)["median"], outputs


def run_peer(options):
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    (model,) = options.models
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": "f4", "tensor(int64)": "i8", "tensor(int32)": "i4", "tensor(bool)": "?"}
    given = zip(session.get_inputs(), Case(model, pathlib.Path(options.peer)).inputs())
    inputs = {i.name: array.astype(kinds[i.type]).reshape(array.shape) for i, array in given}
    outputs = session.run(None, inputs)
    np.savez(
        pathlib.Path(options.work) / "peer.npz",
        **{f"out_{i}": np.asarray(y, "f4") for i, y in enumerate(outputs)},
    )
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < options.seconds:
        before = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - before)
    print(json.dumps({"median": float(np.median(times))}))


def difference(ours, theirs):
    """The largest between outputs, relative to max(1, |value|)."""
    if len(ours) != len(theirs):
        sys.exit(f"birnn returns {len(ours)} arrays, onnxruntime {len(theirs)}")
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(ours, theirs)]
    return max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)))) for a, b in pairs)


def compare(options):
    peer = importlib.metadata.version("onnxruntime")
    print(f"onnxruntime {peer}, {options.threads} threads\n")
    print("| model | birnn, ms | onnxruntime, ms | onnxruntime / birnn | outputs differ by |")
    print("|---|---|---|---|---|")
    for case in cases(options.models):
        ours, theirs, farthest = [], [], 0.0
        for _ in range(options.rounds):
            time_, outputs = birnn(options, case)
            ours.append(time_)
            time_, expected = onnxruntime(options, case)
            theirs.append(time_)
            farthest = max(farthest, difference(outputs, expected))
        if not farthest < options.tolerance:
            sys.exit(f"{case.name}: outputs are {farthest} from onnxruntime's")
        ours, theirs = float(np.median(ours)) * 1e3, float(np.median(theirs)) * 1e3
        row = [case.name, f"{ours:.3g}", f"{theirs:.3g}", f"{theirs / ours:.2f}", f"{farthest:.0e}"]
        print("| " + " | ".join(row) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=pathlib.Path, metavar="FILE.onnx")
    parser.add_argument("--threads", type=int, default=2, help="of each runtime")
    parser.add_argument("--rounds", type=int, default=3, help="how often they take turns")
    parser.add_argument("--seconds", type=float, default=1.5, help="a runtime's turn")
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="the most that outputs may differ by"
    )
    # What run.sh, and this program in the peer's process, give it.
    for name in ["--birnn", "--work", "--peer"]:
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    run_peer(options) if options.peer else compare(options)


if __name__ == "__main__":
    main()
