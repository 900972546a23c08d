"""birnn's GPU path beside its peers on one bidirectional layer. `run.sh` beside this file calls it;
see there."""

import argparse
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parent.parent / "peers_cpu"))
from compare import GATES, SHAPES, above_zero, at_least_one, processor, shape_of  # noqa: E402

# The outputs are in [-1, 1] but for cell states; each engine sums in an order of its own. TF32 and
# float16 keep 11 bits of what is multiplied, and float16 as many of each sum and state.
TOLERANCES = {"f32": 2e-5, "tf32": 2e-2, "f16": 2e-2}
# The oldest Mesa whose software adapter Dawn takes.
LEAST_MESA = 25


class Engine:
    """A process of engines.py."""

    def __init__(self, title, kind, *arguments):
        self.title, self.kind = title, kind
        self.tells_gpu_time = arguments[0] != "onnxruntime"
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).parent / "engines.py", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self.answer()["about"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.title}: its process ended (status {self.process.wait()})")
        return json.loads(line)

    def measure(self, cell, shape, seconds, folder):
        """The times of a round, and the outputs."""
        out = pathlib.Path(folder) / "out.npz"
        asked = {"cell": cell, "shape": shape, "seconds": seconds, "out": str(out)}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        times = self.answer()
        with np.load(out) as arrays:
            return times, [arrays[name] for name in arrays.files]


def adapter(wanted):
    """birnn's name for the adapter that all engines take: onnxruntime doesn't say which one it
    takes, so there may be but one. With several, the system's Vulkan loader can leave some out."""
    import birnn

    found = [a.info for a in birnn.devices() if a.info.index is not None and not a.unusable]
    if wanted:
        return wanted
    gpus = [info for info in found if info.kind != "software GPU"] or found
    if not gpus:
        sys.exit(
            "no Vulkan adapter is found: install a GPU's driver, or Mesa's software driver "
            f"(tests/run.sh does), of Mesa {LEAST_MESA} or newer"
        )
    if len({info.pci or info.name for info in gpus}) > 1:
        sys.exit(
            f"there are several adapters, {', '.join(map(repr, gpus))}, and onnxruntime takes one "
            "of its own choice: leave one to the engines, by VK_DRIVER_FILES=FILE.json (its "
            "driver) or VK_LOADER_DEVICE_ID_FILTER, or name birnn's by --device"
        )
    mesa = re.search(r"Mesa (\d+)", gpus[0].driver)
    if gpus[0].kind == "software GPU" and mesa and int(mesa[1]) < LEAST_MESA:
        sys.exit(
            f"{gpus[0]!r}: onnxruntime's WebGPU provider needs Mesa {LEAST_MESA} or newer (Debian: "
            "apt-get install -t bookworm-backports mesa-vulkan-drivers)"
        )
    return f"gpu:{gpus[0].index}"


def there(*packages):
    return all(importlib.util.find_spec(package) for package in packages)


def has_cuda():
    if not there("torch"):
        return False
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def peers(options):
    """Starts those that were asked for, or that can run here."""
    wanted = options.peers or [
        *(["onnxruntime"] if there("onnxruntime", "onnxruntime_ep_webgpu") else []),
        *(["torch"] if options.dry_run or has_cuda() else []),
    ]
    if not wanted:
        sys.exit("no peer is installed: onnxruntime with onnxruntime-ep-webgpu, PyTorch with CUDA")
    if "onnxruntime" in wanted:
        yield Engine("onnxruntime WebGPU", "f32", "onnxruntime")
    if "torch" in wanted:
        for kind in TOLERANCES:
            title = f"PyTorch {kind}" if options.dry_run else f"cuDNN {kind}"
            yield Engine(title, kind, "torch", kind, "cpu" if options.dry_run else "cuda")


def row(engines, cell, shape, options, farthest):
    """Of each engine the medians of its rounds; the engines take turns."""
    times = [[] for _ in engines]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            expected = None
            for engine, list_ in zip(engines, times):
                time, outputs = engine.measure(cell, shape, options.seconds, folder)
                list_.append(time)
                expected = expected or outputs
                if [a.shape for a in outputs] != [a.shape for a in expected]:
                    sys.exit(f"{cell} {shape}: {engine.title} returns other shapes than birnn")
                # NumPy's largest of numbers with a NaN is NaN.
                far = float(np.max([np.max(np.abs(a - b)) for a, b in zip(outputs, expected)]))
                if not far < TOLERANCES[engine.kind]:
                    sys.exit(f"{cell} {shape}: {engine.title}'s outputs are {far} from birnn's")
                farthest[engine.title] = max(far, farthest.get(engine.title, 0.0))

    def median(rounds, key):
        values = [time[key] for time in rounds if time[key] is not None]
        return float(np.median(values)) if values else None

    return [{key: median(rounds, key) for key in ("call", "gpu")} for rounds in times]


def milliseconds(seconds):
    if seconds is None:
        return "–"
    return f"{seconds * 1e3:.3g}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


def main():
    options = arguments()
    ours = Engine("birnn", "f32", "birnn", adapter(options.device))
    engines = [ours, *peers(options)]
    abouts = dict.fromkeys(engine.about for engine in engines)
    print(f"{processor()}; birnn on {'; '.join(abouts)}\n")
    heads = ["(batch, timesteps, features, units)", "cell"]
    for engine in engines:
        heads.append(f"{engine.title}, ms")
        if engine.tells_gpu_time:
            heads.append("of it the GPU")
        if engine is not ours:
            heads.append(f"{engine.title} / birnn")
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads), flush=True)
    farthest = {}
    for cell in options.cells or GATES:
        for shape in options.shapes or SHAPES:
            times = row(engines, cell, shape, options, farthest)
            cells = [str(shape), cell.upper()]
            for engine, time in zip(engines, times):
                cells.append(milliseconds(time["call"]))
                if engine.tells_gpu_time:
                    cells.append(milliseconds(time["gpu"]))
                if engine is not ours:
                    cells.append(f"{time['call'] / times[0]['call']:.2f}")
            print("| " + " | ".join(cells) + " |", flush=True)
    differences = [
        f"{engine.title}'s by at most {farthest[engine.title]:.1e} "
        f"(allowed: {TOLERANCES[engine.kind]:.0e})"
        for engine in engines[1:]
    ]
    print(f"\nOutputs and states differ from birnn's: {', '.join(differences)}.")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "shapes",
        nargs="*",
        type=shape_of,
        metavar="B,T,D,U",
        help="batch, timesteps, features, units (default: the eight shapes of docs/performance.md)",
    )
    parser.add_argument(
        "--cell", dest="cells", action="append", choices=list(GATES), help="default: both"
    )
    parser.add_argument(
        "--peer",
        dest="peers",
        action="append",
        choices=["onnxruntime", "torch"],
        help="default: those that are installed, PyTorch where it has CUDA",
    )
    parser.add_argument(
        "--device",
        default=os.environ.get("BIRNN_DEVICE"),
        help="birnn's, as its --device has it (default: $BIRNN_DEVICE, or the only GPU)",
    )
    parser.add_argument(
        "--rounds", type=at_least_one, default=3, help="how often the engines take turns"
    )
    parser.add_argument(
        "--seconds", type=above_zero, default=1.0, help="an engine's turn, at least three calls"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="PyTorch on the CPU, where there is no CUDA"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
