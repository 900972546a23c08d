"""How birnn's time and memory on the CPU grow with the work. `run.sh --cost FILE` beside this file calls it; see there."""

import argparse
import pathlib
import subprocess
import sys

import numpy as np

from compare import GATES, Layer, above_zero, at_least_one, keras_file, new_file, peer

TIMESTEPS = [16, 64, 256, 1024, 4096]
BATCH = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
UNITS = [16, 32, 64, 128, 256, 512, 1024]


def milliseconds(options, cell, shape):
    median, _ = peer("birnn", Layer(cell, shape), options.threads, options.seconds)
    return median * 1e3


def scratch_bytes(options, shape):
    """Peak memory of a process that runs the layer, less that of one that runs a single timestep, less what the input and
    the output of the others take (both, and the copy that the program reads the file into)."""
    peaks = []
    work = pathlib.Path(options.work)
    for timesteps in [1, shape[1]]:
        layer = Layer("lstm", (shape[0], timesteps, *shape[2:]))
        keras_file(layer, work / "layer.h5")
        np.save(work / "x.npy", layer.x)
        command = [
            options.birnn,
            "run",
            work / "layer.h5",
            work / "x.npy",
            "--device",
            "cpu",
            "--quiet",
            "--repeat",
            "3",
            "--threads",
            str(options.threads),
        ]
        code = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, command)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) * 1024)
    batch, timesteps, features, units = shape
    arrays = 4 * batch * (timesteps - 1) * (features + 2 * units)
    return peaks[1] - peaks[0], arrays


def draw(options):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "birnn"
    figure, axes = plt.subplots(1, 4, figsize=(19, 4.2), layout="constrained")
    print("| | " + " | ".join(["shape", "cell", "ms"]) + " |\n|---|---|---|---|")

    def curve(axis, what, values, shapes, cell, per, label):
        times = [milliseconds(options, cell, shape) for shape in shapes]
        for shape, time in zip(shapes, times):
            print(f"| {what} | {shape} | {cell.upper()} | {time:.3g} |", flush=True)
        axis.plot(
            values,
            [1e3 * time / per(shape) for time, shape in zip(times, shapes)],
            marker="o",
            label=label,
        )

    for batch in [1, 32]:
        for cell in GATES:
            curve(
                axes[0],
                "timesteps",
                TIMESTEPS,
                [(batch, t, 128, 128) for t in TIMESTEPS],
                cell,
                lambda s: s[1],
                f"{cell.upper()}, batch {batch}",
            )
    for cell in GATES:
        curve(
            axes[1],
            "batch",
            BATCH,
            [(b, 50, 256, 256) for b in BATCH],
            cell,
            lambda s: s[0] * s[1],
            cell.upper(),
        )
        curve(
            axes[2],
            "units",
            UNITS,
            [(16, 50, u, u) for u in UNITS],
            cell,
            lambda s: s[0] * s[1],
            cell.upper(),
        )
    shapes = [(8, t, 64, 128) for t in TIMESTEPS]
    peaks = [scratch_bytes(options, shape) for shape in shapes]
    axes[3].plot(
        TIMESTEPS,
        [peak / 2**20 for peak, _ in peaks],
        marker="o",
        label="more than for one timestep",
    )
    axes[3].plot(
        TIMESTEPS,
        [arrays / 2**20 for _, arrays in peaks],
        marker="o",
        label="input and output alone",
    )
    for shape, (peak, arrays) in zip(shapes, peaks):
        print(
            f"| memory | {shape} | LSTM | {peak / 2**20:.1f} MiB more than for one timestep; arrays {arrays / 2**20:.1f} |"
        )
    titles = [
        "a timestep, features 128, units 128",
        "a row and timestep, units 256, 50 timesteps",
        "a row and timestep, batch 16, 50 timesteps",
        "peak memory, batch 8, features 64, units 128",
    ]
    for axis, title, x in zip(axes, titles, ["timesteps", "batch", "units", "timesteps"]):
        axis.set(title=title, xlabel=x, ylabel="µs" if axis is not axes[3] else "MiB", xscale="log")
        axis.set_yscale("log")
        axis.grid(True, which="both", alpha=0.3)
        axis.legend()
    figure.suptitle(f"birnn, CPU path: one bidirectional layer, {options.threads} threads")
    figure.savefig(options.cost, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cost", required=True, type=new_file, metavar="FILE", help="the plot, an SVG"
    )
    parser.add_argument("--threads", type=at_least_one, default=2, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=above_zero, default=0.5, help="for each point (default: %(default)s)"
    )
    for name in ["--birnn", "--work", "--machine"]:
        parser.add_argument(name, help=argparse.SUPPRESS)
    draw(parser.parse_args())


main()
