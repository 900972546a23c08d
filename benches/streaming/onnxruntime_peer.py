"""onnxruntime's part of `run.sh` beside this file, with the arguments and the printed lines of
`src/main.rs`. One thread. Inputs, outputs and states are bound to memory once, two sets of states
in turn, so that a call copies nothing."""

import pathlib
import sys
import time

import numpy as np
import onnxruntime

COMPARED = 256


class Calls:
    """A model for so many timesteps a call, whose states go from call to call."""

    def __init__(self, path, units, timesteps, states):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.x = np.zeros((timesteps, 1, 1), "f4")
        self.y = np.zeros((timesteps, 1, 1), "f4")
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        x, y = value(self.x), value(self.y)
        sets = [[value(np.zeros((1, 1, units), "f4")) for _ in states] for _ in range(2)]
        # An OrtValue of an array on the CPU has the array's own memory.
        self.bindings = []
        for before, after in [sets, sets[::-1]]:
            binding = self.session.io_binding()
            binding.bind_ortvalue_input("x", x)
            binding.bind_ortvalue_output("y", y)
            for state, read, written in zip(states, before, after):
                binding.bind_ortvalue_input(state, read)
                binding.bind_ortvalue_output(f"{state}_out", written)
            self.bindings.append(binding)
        self.keep = (x, y, sets)
        self.which = 0

    def run(self):
        self.session.run_with_iobinding(self.bindings[self.which])
        self.which ^= 1


def main():
    cell, units, weights, inputs, seconds = sys.argv[1:]
    folder = pathlib.Path(weights).parent
    states = ["h", "c"] if cell == "lstm" else ["h"]
    inputs = np.fromfile(inputs, "f4")
    for what, timesteps in [("one", 1), ("step", 64)]:
        path = str(folder / f"{cell}_{units}_{timesteps}.onnx")
        calls = Calls(path, int(units), timesteps, states)
        if timesteps == 1:
            outputs = []
            for value in inputs[:COMPARED]:
                calls.x[:] = value
                calls.run()
                outputs.append(calls.y.item())
            print("outputs", *(f"{output:.9g}" for output in outputs))
        pieces = inputs.reshape(-1, timesteps, 1, 1)
        times, start, at = [], time.perf_counter(), 0
        while time.perf_counter() - start < float(seconds):
            calls.x[:] = pieces[at % len(pieces)]
            at += 1
            before = time.perf_counter_ns()
            calls.run()
            times.append((time.perf_counter_ns() - before) / timesteps)
        times.sort()
        middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
        print(f"{what} {middle:.1f} {late:.1f} {len(times)}")


main()
