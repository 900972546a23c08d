"""birnn, onnxruntime and TensorFlow from a model's file to the first output, in fresh processes.
`run.sh` beside this file calls it; see there."""

import argparse
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

# Relative to max(1, |value|): the runtimes sum in orders of their own.
TOLERANCE = 1e-5
STEPS = ["import", "load", "first", "second"]


def peer(kind, model, x):
    """The times of a peer's steps in this process; prints them with the output."""
    clock = time.perf_counter
    begun = clock()
    if kind == "onnxruntime":
        import onnxruntime as ort

        imported = clock()
        session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        loaded = clock()

        def run():
            return session.run(None, {"x": x})[0]
    else:
        import keras

        imported = clock()
        network = keras.models.load_model(model, compile=False)
        loaded = clock()

        # Quicker than `predict`, which first makes a graph of the model.
        def run():
            return np.asarray(network(x, training=False))

    y = run()
    first = clock()
    run()
    second = clock()
    marks = [begun, imported, loaded, first, second]
    times = {step: later - before for step, before, later in zip(STEPS, marks, marks[1:])}
    print(json.dumps({"times": times, "output": y.ravel().tolist()}), flush=True)


def started(command, environment):
    """What a fresh process prints, and how long it was there until it had printed it."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    line = process.stdout.readline()
    whole = time.perf_counter() - begun
    _, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{command}: {errors.decode()[-1500:]}")
    found = json.loads(line)
    times = found["times"] | {"whole": whole}
    return times, np.array(found["output"], "f4"), found.get("device")


def ways(options, name):
    """Each way of running a model: what it is called, its command, its environment."""
    own = [sys.executable, __file__, "--folder", options.folder]
    quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Drivers keep compiled kernels on disk, which a user's first start has none of.
    no_cache = {"MESA_SHADER_CACHE_DISABLE": "true", "__GL_SHADER_DISK_CACHE": "0"}
    for form in ["keras", "onnx"]:
        for device in options.devices:
            command = [options.birnn, options.folder / f"{name}.{form}"]
            command += [options.folder / f"{name}.npy", device]
            yield f"birnn, .{form}, {device}", command, no_cache
    yield "onnxruntime, .onnx", [*own, "--peer", "onnxruntime", "--model", name], {}
    yield "TensorFlow (Keras), .keras", [*own, "--peer", "keras", "--model", name], quiet


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=7, help="of each way, in turn")
    parser.add_argument("--only", default="", help="the ways whose names contain this text")
    parser.add_argument("--devices", nargs="*", default=["cpu", "gpu"], help="of birnn's")
    for name in ["--peer", "--model"]:
        parser.add_argument(name, help=argparse.SUPPRESS)
    for name in ["--birnn", "--folder"]:
        parser.add_argument(name, type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        form = "onnx" if options.peer == "onnxruntime" else "keras"
        x = np.load(options.folder / f"{options.model}.npy")
        return peer(options.peer, options.folder / f"{options.model}.{form}", x)
    versions = [f"{n} {importlib.metadata.version(n)}" for n in ["onnxruntime", "tensorflow-cpu"]]
    print(", ".join(versions), f"- medians of {options.processes} processes, ms\n")
    titles = ["import or open", "load and compile", "first call", "load to output"]
    titles += ["process", "second call"]
    devices = set()
    for name in ["small", "tagger"]:
        print(f"| {name} | " + " | ".join(titles) + " |")
        print("|---" * (len(titles) + 1) + "|")
        expected = np.load(options.folder / f"{name}.out.npy").ravel()
        all_ways = [way for way in ways(options, name) if options.only in way[0]]
        times = {way: [] for way, _, _ in all_ways}
        for _ in range(options.processes + 1):
            for way, command, environment in all_ways:
                found, output, device = started(command, environment)
                devices.update({device} - {None})
                far = np.max(np.abs(output - expected) / np.maximum(1, np.abs(expected)))
                if not far < TOLERANCE:
                    sys.exit(f"{way}: the output of {name} is {far} from Keras's")
                times[way].append(found)
        for way, runs in times.items():
            runs = runs[1:]  # the first one read the files from disk
            median = {step: 1e3 * float(np.median([run[step] for run in runs])) for step in runs[0]}
            to_output = 1e3 * float(np.median([run["load"] + run["first"] for run in runs]))
            cells = [median["import"], median["load"], median["first"]]
            cells += [to_output, median["whole"], median["second"]]
            print(f"| {way} | " + " | ".join(f"{cell:.3g}" for cell in cells) + " |", flush=True)
        print()
    print("birnn's devices:", "; ".join(sorted(devices)))


if __name__ == "__main__":
    main()
