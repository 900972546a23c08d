"""Runs a model on all rows of Parquet files, on as many machines as a Ray cluster has.

    python examples/ray_batch.py MODEL INPUT OUTPUT --timesteps T [--workers 2] [--gpu]

INPUT and OUTPUT are folders of Parquet files. A row of the input has the columns `id` and `x`, its
sequence as one list of timesteps * features numbers; a row of the output has `id` and `y`, the
model's first output as one list. Each worker is an actor that holds a session. Where a worker dies,
Ray starts another one and runs its batches again. docs/python.md tells more.

Needs `pip install "ray[data]"` besides birnn.
"""

import argparse
import subprocess
import time

import birnn
import numpy as np
import ray


class Worker:
    """An actor: it opens its device and compiles the model once, and keeps the session."""

    def __init__(self, model: birnn.Model, timesteps: int, use_gpu: bool) -> None:
        self.session = model.compile(own_gpu() if use_gpu else "cpu")
        self.timesteps = timesteps

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = len(batch["id"])
        x = np.stack(batch["x"]).astype("float32").reshape(rows, self.timesteps, -1)
        outputs = self.session.predict(x, progress=False)
        y = outputs[0] if isinstance(outputs, tuple) else outputs
        return {"id": batch["id"], "y": y.reshape(rows, -1)}


def own_gpu() -> str:
    """The GPU that Ray gave to this actor, by its PCI address.

    Ray hides the others from CUDA alone: Vulkan sees all GPUs of a machine, in an order of its own.
    """
    (gpu,) = ray.get_gpu_ids()
    query = ["nvidia-smi", "--query-gpu=pci.bus_id", "--format=csv,noheader", f"--id={gpu}"]
    address = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    domain, rest = address.split(":", 1)  # 00000000:3B:00.0, of which Vulkan says 0000:3b:00.0
    return f"pci:{int(domain, 16):04x}:{rest.lower()}"


def run(
    model: birnn.Model,
    source: str,
    target: str,
    *,
    timesteps: int,
    workers: int = 2,
    use_gpu: bool = False,
    batch_size: int = 1024,
    worker: type[Worker] = Worker,
) -> None:
    """Reads all rows of `source`, and writes each once to `target`."""
    rows = ray.data.read_parquet(source).select_columns(["id", "x"])
    # A batch is a block: all workers have some, and no more is lost with one that dies.
    rows = rows.repartition(target_num_rows_per_block=batch_size)
    rows = rows.map_batches(
        worker,
        fn_constructor_kwargs={"model": model, "timesteps": timesteps, "use_gpu": use_gpu},
        compute=ray.data.ActorPoolStrategy(size=workers),
        batch_size=batch_size,
        num_gpus=1 if use_gpu else 0,
        num_cpus=0 if use_gpu else 1,
    )
    rows.write_parquet(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a file of any format that birnn reads")
    parser.add_argument("input", help="a folder of Parquet files")
    parser.add_argument("output", help="a folder for Parquet files")
    parser.add_argument("--timesteps", type=int, required=True, help="of each row")
    parser.add_argument("--workers", type=int, default=2, help="how many actors")
    parser.add_argument("--gpu", action="store_true", help="a GPU for each actor")
    args = parser.parse_args()
    ray.init()  # the cluster that RAY_ADDRESS names, or this machine
    start = time.perf_counter()
    run(
        birnn.load(args.model),
        args.input,
        args.output,
        timesteps=args.timesteps,
        workers=args.workers,
        use_gpu=args.gpu,
    )
    seconds = time.perf_counter() - start
    count = ray.data.read_parquet(args.output).count()
    print(f"{count} rows in {seconds:.1f} s: {count / seconds:.0f} rows a second")


if __name__ == "__main__":
    main()
