"""Draws the README's bar chart, docs/speed.svg, from the CSV file that run.sh --csv wrote.

benches/peers_cpu/run.sh --csv target/peers_cpu/today.csv
target/peers_cpu/venv/bin/python benches/peers_cpu/chart.py target/peers_cpu/today.csv docs/speed.svg
"""

import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

ROWS = [
    ("lstm", (1, 8, 2, 3)),
    ("lstm", (1, 256, 128, 128)),
    ("lstm", (32, 100, 128, 128)),
    ("lstm", (16, 50, 512, 512)),
    ("gru", (4, 50, 1536, 1536)),
]
COLORS = {"birnn": "#c2410c", "onnxruntime": "#64748b", "openvino": "#94a3b8", "torch": "#cbd5e1"}


def main():
    table, target = sys.argv[1:]
    with open(table, newline="") as file:
        found = {}
        for row in csv.DictReader(file):
            shape = tuple(int(row[axis]) for axis in ("batch", "timesteps", "features", "units"))
            found[row["cell"], shape] = {engine: float(row[engine]) for engine in COLORS}
    plt.rcParams.update({"svg.hashsalt": "birnn", "font.size": 9, "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    height = 0.19
    for place, key in enumerate(ROWS):
        times = found[key]
        for index, (engine, color) in enumerate(COLORS.items()):
            ratio = times[engine] / times["birnn"]
            y = place + (index - 1.5) * height
            axes.barh(y, ratio, height, color=color, label=engine if place == 0 else None)
            time = f"{times[engine] * 1e3:.3g} ms"
            axes.annotate(
                time, (ratio, y), (3, 0), textcoords="offset points", va="center", fontsize=7
            )
    axes.set_yticks(range(len(ROWS)), [f"{cell.upper()} {shape}" for cell, shape in ROWS])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    axes.minorticks_off()
    axes.set_xlim(0.6, 64)
    axes.axvline(1, color="#c2410c", linewidth=0.8)
    axes.set_xlabel("time of a call, as a multiple of birnn's (shorter is faster)")
    axes.set_title(
        "One bidirectional layer on a CPU, two threads: (batch, timesteps, features, units)",
        fontsize=9,
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
