#!/usr/bin/env python3
"""Prints a table of times and throughput from what `cargo bench --bench shapes` left in target/criterion.

usage: python3 benches/table.py [target/criterion]
"""
import json
import pathlib
import sys

SHAPES = ["1,8,2,3", "1,256,128,128", "32,100,128,128", "8,400,80,512",
          "64,50,512,512", "1,1000,256,256", "16,50,512,512", "4,50,1536,1536"]
COLUMNS = [("gpu", "lstm"), ("cpu", "lstm"), ("gpu", "gru"), ("cpu", "gru")]


def seconds(root, backend, cell, shape):
    folder = root / f"{backend}_{cell}" / shape
    estimates = json.loads((folder / "new" / "estimates.json").read_text())
    return estimates["median"]["point_estimate"] / 1e9


def cell_text(root, backend, cell, shape):
    b, t, d, h = map(int, shape.split(","))
    flops = 4 * b * t * {"lstm": 4, "gru": 3}[cell] * h * (d + h)
    try:
        time = seconds(root, backend, cell, shape)
    except FileNotFoundError:
        return "not measured"
    milliseconds = f"{time * 1e3:.0f}" if time >= 0.1 else f"{time * 1e3:.3g}"
    return f"{milliseconds} ms, {flops / time / 1e9:.2g} GFLOP/s"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/criterion")
    heads = [f"{cell.upper()}, {backend.upper()}" for backend, cell in COLUMNS]
    print("| (batch, timesteps, features, units) | " + " | ".join(heads) + " |")
    print("|---|" + "---|" * len(heads))
    for shape in SHAPES:
        cells = [cell_text(root, backend, cell, shape) for backend, cell in COLUMNS]
        print(f"| ({shape.replace(',', ', ')}) | " + " | ".join(cells) + " |")


main()
