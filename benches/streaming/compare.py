"""birnn beside RTNeural and onnxruntime, one timestep a call. `run.sh` calls it; see there."""

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys

UNITS = [8, 16, 40, 64, 128, 256]
# Outputs are below 1, and every runtime sums in an order of its own; the compiler flags that
# RTNeural is built with allow it more.
TOLERANCE = 2e-5


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return re.search("model name.*: (.*)", file.read())[1]
    except (OSError, TypeError):
        return platform.processor()


def run(program, arguments):
    """The outputs of one turn, and of each kind of call the median, the 99th percentile and how
    many there were."""
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join([*program, *arguments])}: {done.stderr}")
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    outputs = [float(value) for value in lines.pop("outputs").split()]
    return outputs, {what: [float(n) for n in numbers.split()] for what, numbers in lines.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--birnn", required=True)
    parser.add_argument("--rtneural")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("units", nargs="*", type=int, default=UNITS)
    options = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    programs = {
        "birnn": [options.birnn],
        "onnxruntime": [sys.executable, os.path.join(here, "onnxruntime_peer.py")],
    }
    if options.rtneural:
        programs["RTNeural"] = [options.rtneural]
    names = list(programs)
    rounds = f"{options.rounds} rounds of {options.seconds} s"
    print(f"{processor()}; {rounds}, ns, median / 99th percentile")
    peers = names[1:]
    head = ["cell", "units", "calls", *names, *[f"{peer} / birnn" for peer in peers]]
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for cell in ["lstm", "gru"]:
        for units in options.units:
            files = [os.path.join(options.data, f"{cell}_{units}.bin")]
            files.append(os.path.join(options.data, "input.bin"))
            arguments = [cell, str(units), *files, str(options.seconds)]
            turns = {name: [] for name in names}
            outputs = {}
            for _ in range(options.rounds):
                for name, program in programs.items():
                    outputs[name], times = run(program, arguments)
                    turns[name].append(times)
            for peer in peers:
                pairs = zip(outputs["birnn"], outputs[peer], strict=True)
                off = [abs(one - other) for one, other in pairs]
                # Each by itself: the largest of numbers with a NaN may be any of them.
                if not all(one < TOLERANCE for one in off):
                    sys.exit(f"{cell} {units}: {peer} is off by {max(off)}")
            for what, title in [("one", "a call of one timestep"), ("step", "a timestep of 64")]:

                def middle(name, which, what=what):
                    return statistics.median(turn[what][which] for turn in turns[name])

                cells = [f"{middle(name, 0):.0f} / {middle(name, 1):.0f}" for name in names]
                ratios = [f"{middle(peer, 0) / middle('birnn', 0):.2f}" for peer in peers]
                print("| " + " | ".join([cell.upper(), str(units), title, *cells, *ratios]) + " |")
                sys.stdout.flush()


main()
