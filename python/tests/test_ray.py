"""examples/ray_batch.py on a local cluster of two nodes."""

import os
import pathlib
import signal
import sys
import threading
import time

import numpy as np
import pytest
from conftest import close, fixture

import birnn

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
pq = pytest.importorskip("pyarrow.parquet")
import pyarrow as pa  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
ROWS, FILES = 6000, 6


@pytest.fixture(scope="module")
def ray_batch():
    sys.path.insert(0, str(EXAMPLES))
    import ray_batch

    yield ray_batch
    sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def cluster():
    """A head and another node. Workers find what the tests import."""
    path = os.pathsep.join([str(EXAMPLES), str(pathlib.Path(__file__).parent), *sys.path])
    os.environ["PYTHONPATH"] = path
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Files of Parquet, and the sequences in them."""
    folder = tmp_path_factory.mktemp("rows")
    x = np.random.default_rng(9).normal(size=(ROWS, 8, 2)).astype("f4")
    for part in range(FILES):
        ids = np.arange(part, ROWS, FILES)
        table = pa.table({"id": ids, "x": list(x[ids].reshape(len(ids), -1))})
        pq.write_table(table, folder / f"{part}.parquet")
    return folder, x


def check(target, x, model):
    """That each row is there once, with what the model returns of it."""
    table = pq.read_table(target)
    ids = table["id"].to_numpy()
    assert sorted(ids) == list(range(ROWS))
    y = np.stack(table["y"].to_numpy(zero_copy_only=False))
    close(y.reshape(ROWS, 8, 6), model.compile("cpu").predict(x[ids])[0])


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_once(cluster, rows, ray_batch, tmp_path, workers):
    folder, x = rows
    model = birnn.load(fixture("keras/notebook_lstm2.keras"))
    assert len(ray.nodes()) == 2
    start = time.perf_counter()
    options = {"timesteps": 8, "workers": workers, "batch_size": 500}
    ray_batch.run(model, str(folder), str(tmp_path / "out"), **options)
    seconds = time.perf_counter() - start
    print(f"\nRay, {workers} workers: {ROWS / seconds:.0f} rows a second, its start included")
    check(tmp_path / "out", x, model)


def test_every_row_once_when_a_worker_is_killed(cluster, rows, ray_batch, tmp_path):
    folder, x = rows
    model = birnn.load(fixture("keras/notebook_lstm2.keras"))
    (pids := tmp_path / "pids").mkdir()

    class Slow(ray_batch.Worker):
        """Says which process it is in when it is in the middle of its work."""

        def __call__(self, batch):
            result = super().__call__(batch)
            (pids / str(os.getpid())).touch()
            time.sleep(0.3)
            return result

    killed = []

    def kill():
        while not killed:
            for path in pids.iterdir():
                os.kill(int(path.name), signal.SIGKILL)
                killed.append(path.name)
                return
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    options = {"timesteps": 8, "workers": 2, "batch_size": 250, "worker": Slow}
    ray_batch.run(model, str(folder), str(tmp_path / "out"), **options)
    thread.join(timeout=60)
    assert killed and len(list(pids.iterdir())) >= 2  # others went on
    check(tmp_path / "out", x, model)
