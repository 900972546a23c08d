"""The engines of `table.py`, each in a process of its own: one bidirectional layer on a GPU.

A process reads lines of JSON, {"cell", "shape", "seconds", "out"}, and answers each with one,
{"call", "gpu"}: the median times of a call, NumPy's arrays in and out, and of the GPU's own work in
it, in seconds; "gpu" is null where the engine doesn't say. It writes the outputs to the file "out".
"""

import json
import os
import pathlib
import sys
import tempfile
import time

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parent.parent / "peers_cpu"))
from compare import Layer, from_onnx, keras_file, onnx_model, torch_module  # noqa: E402

# Of the calls that are measured there are at least so many.
LEAST_CALLS = 3


class Birnn:
    """On an adapter by `Device`'s words for it."""

    def __init__(self, adapter):
        import birnn

        self.load = birnn.load
        options = {"allow_software": True}
        self.plain = birnn.Device(adapter, **options)
        # Timestamps cost a little: the time of a call is measured without them.
        self.timed = birnn.Device(adapter, **options, gpu_time=True)

    def about(self):
        return repr(self.plain.info)

    def prepare(self, layer):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "layer.h5"
            keras_file(layer, path)
            model = self.load(path)
        session, timed = model.compile(self.plain), model.compile(self.timed)

        def gpu_time():
            timed(layer.x)
            return timed.gpu_time

        def canonical(outputs):
            y, *states = outputs
            # h1, c1, h2, c2 of an LSTM, h1, h2 of a GRU.
            kinds = len(states) // 2
            return [y, *(np.stack(states[kind::kinds]) for kind in range(kinds))]

        return (lambda: session(layer.x)), gpu_time, canonical


class OnnxRuntime:
    """The WebGPU provider, Dawn. It says neither which adapter it takes nor the GPU's time."""

    def __init__(self):
        # Where there is no GPU, it needs to be told that a software adapter will do.
        os.environ["ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"] = "1"
        import onnxruntime
        import onnxruntime_ep_webgpu as webgpu

        self.ort = onnxruntime
        onnxruntime.set_default_logger_severity(3)
        onnxruntime.register_execution_provider_library("webgpu", webgpu.get_library_path())
        found = [d for d in onnxruntime.get_ep_devices() if d.ep_name == webgpu.get_ep_name()]
        if not found:
            sys.exit("onnxruntime's WebGPU provider finds no adapter")
        self.devices = found[:1]

    def about(self):
        from importlib.metadata import version

        names = ["onnxruntime", "onnxruntime-ep-webgpu"]
        return ", ".join(f"{name} {version(name)}" for name in names)

    def prepare(self, layer):
        options = self.ort.SessionOptions()
        options.log_severity_level = 3
        # An error where a node would run on the CPU.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        # What its documentation says to set where speed counts.
        options.add_provider_for_devices(self.devices, {"validationMode": "disabled"})
        session = self.ort.InferenceSession(onnx_model(layer), options)
        x = np.ascontiguousarray(layer.x.transpose(1, 0, 2))

        def canonical(outputs):
            return [from_onnx(outputs[0]), *outputs[1:]]

        return (lambda: session.run(None, {"X": x})), None, canonical


class Torch:
    """nn.LSTM and nn.GRU: cuDNN's on an NVIDIA GPU. `kind`: f32, tf32 or f16."""

    def __init__(self, kind, device):
        import torch

        self.torch, self.kind, self.device = torch, kind, device
        # In cuDNN's recurrent layers, and in products outside of them.
        torch.backends.cudnn.allow_tf32 = kind == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"

    def about(self):
        torch = self.torch
        if self.device == "cpu":
            return f"PyTorch {torch.__version__} on the CPU (a dry run)"
        name, cudnn = torch.cuda.get_device_name(), torch.backends.cudnn.version()
        return f"PyTorch {torch.__version__}, cuDNN {cudnn}, {name}"

    def prepare(self, layer):
        torch = self.torch
        dtype = torch.float16 if self.kind == "f16" else torch.float32
        # Sequences are [timesteps, batch, features], as cuDNN has them.
        net = torch_module(layer, batch_first=False).to(self.device, dtype)
        net.flatten_parameters()
        x = torch.from_numpy(np.ascontiguousarray(layer.x.transpose(1, 0, 2))).to(dtype)

        def run():
            with torch.inference_mode():
                y, states = net(x.to(self.device))
                states = states if isinstance(states, tuple) else (states,)
                return [array.cpu() for array in (y, *states)]

        def gpu_time():
            with torch.inference_mode():
                there = x.to(self.device)
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                torch.cuda.synchronize()
                begin.record()
                net(there)
                end.record()
                end.synchronize()
                return begin.elapsed_time(end) / 1e3

        def canonical(outputs):
            y, *states = (array.float().numpy() for array in outputs)
            return [y.transpose(1, 0, 2), *states]

        return run, (None if self.device == "cpu" else gpu_time), canonical


def measured(seconds, act):
    """The median of what `act` returns, called for so long."""
    values, began = [], time.perf_counter()
    while len(values) < LEAST_CALLS or time.perf_counter() - began < seconds:
        values.append(act())
    return float(np.median(values))


def main():
    name, *arguments = sys.argv[1:]
    engines = {"birnn": Birnn, "onnxruntime": OnnxRuntime, "torch": Torch}
    # What libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = engines[name](*arguments)
    print(json.dumps({"about": engine.about()}), file=answers, flush=True)
    prepared = None
    for line in sys.stdin:
        asked = json.loads(line)
        wanted = asked["cell"], tuple(asked["shape"])
        # A layer is asked for once a round.
        if wanted != prepared:
            run, gpu_time, canonical = engine.prepare(Layer(*wanted))
            prepared = wanted
            run()  # the first call compiles kernels, or tunes them
        np.savez(asked["out"], *canonical(run()))

        def call():
            began = time.perf_counter()
            run()
            return time.perf_counter() - began

        answer = {"call": measured(asked["seconds"], call), "gpu": None}
        # birnn says nothing where the adapter has no timestamps.
        if gpu_time is not None and gpu_time() is not None:
            answer["gpu"] = measured(asked["seconds"] / 2, gpu_time)
        print(json.dumps(answer), file=answers, flush=True)


main()
