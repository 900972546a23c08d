"""Runs the ONNX models of wheels in onnxruntime, and writes what it computed as cases for
tests/formats/onnx_files.rs.

usage: onnx_models.py FOLDER WHEEL…

FOLDER/cases gets each model with its arrays, FOLDER/int8 those whose kernels are whole numbers, and
FOLDER/inputs what `birnn run` takes; the models themselves are never part of this project.
"""

import io
import pathlib
import sys
import tarfile
import zipfile

import numpy as np
import onnxruntime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fixtures"))
import fixture_io  # noqa: E402

# Of each model the inputs that aren't random numbers, and the lengths of axes: by parts of its path.
# An input may be `ids N` below N, `mask`, an array, or lengths in place of those of the file.
INPUTS = {
    "silero_vad_16k_sequence": {"input": (7, 576), "h": (1, 1, 128), "c": (1, 1, 128)},
    "silero_vad_openvino_16k": {},
    "silero_vad_half": {"input": (3, 576), "state": (2, 3, 128)},
    "silero_vad": {"input": (3, 576), "state": (2, 3, 128), "sr": np.array(16000)},
    "romanizer/resources/persian/encoder": {"src": ("ids 30", 3, 9), "src_mask": ("mask", 3, 9)},
    "romanizer/resources/encoder": {"src": ("ids 30", 3, 9), "src_mask": ("mask", 3, 9)},
    "decoder": {
        "prefix": ("ids 20", 3, 4),
        "memory": (3, 9, 256),
        "src_mask": ("mask", 3, 9),
        "hidden": (3, 2, 256),
    },
    "dksplit": {"chars": ("ids 30", 3, 21)},
    "df_dec": {"emb": (1, 10, 512), "c0": (1, 64, 10, 96)},
    "erb_dec": {
        "emb": (1, 10, 512),
        "e3": (1, 64, 10, 8),
        "e2": (1, 64, 10, 8),
        "e1": (1, 64, 10, 16),
        "e0": (1, 64, 10, 32),
    },
    "export/enc": {"feat_erb": (1, 1, 10, 32), "feat_spec": (1, 2, 10, 96)},
    "ddddocr/common": {"input1": (1, 1, 64, 160)},
}
# Those with whole numbers as kernels, which onnxruntime multiplies with inputs of 8 bits, and birnn
# with the inputs as they are.
INT8 = ["int8", "common_old"]
# What isn't recurrent.
LEFT_OUT = ["common_det"]


def array(random, what, declared):
    """An input: random numbers of the declared shape, or as `what` says."""
    kinds = {
        "tensor(float)": np.float32,
        "tensor(int64)": np.int64,
        "tensor(bool)": bool,
        "tensor(int32)": np.int32,
        "tensor(float16)": np.float16,
    }
    kind = kinds[declared.type]
    if isinstance(what, np.ndarray):
        return what.astype(kind)
    if what is None:
        what = tuple(n if isinstance(n, int) else 1 for n in declared.shape)
    if what and isinstance(what[0], str):
        word, *shape = what
        if word == "mask":
            lengths = random.integers(1, shape[1] + 1, shape[0])
            lengths[0] = shape[1]
            return (np.arange(shape[1]) < lengths[:, None]).astype(kind)
        return random.integers(1, int(word.split()[1]), shape).astype(kind)
    return (random.standard_normal(what) * 0.5).astype(kind)


def models(wheel):
    """The ONNX files of a wheel, also those in an archive in it."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".onnx"):
                yield name, archive.read(name)
            elif name.endswith("onnx.tar.gz"):
                with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as inner:
                    for member in inner.getmembers():
                        if member.name.endswith(".onnx"):
                            yield member.name, inner.extractfile(member).read()


def main(folder, *wheels):
    folders = {False: pathlib.Path(folder) / "cases", True: pathlib.Path(folder) / "int8"}
    given = pathlib.Path(folder) / "inputs"
    for cases in [*folders.values(), given]:
        cases.mkdir(parents=True, exist_ok=True)
    count = 0
    for wheel in wheels:
        for name, content in models(wheel):
            if any(part in name for part in LEFT_OUT):
                continue
            session = onnxruntime.InferenceSession(content)
            random = np.random.default_rng(7)
            special = next((s for part, s in INPUTS.items() if part in name), {})
            inputs = {i.name: array(random, special.get(i.name), i) for i in session.get_inputs()}
            outputs = session.run(None, inputs)
            cases = folders[any(part in name for part in INT8)]
            case = name.removesuffix(".onnx").replace("/", "_").lstrip("._")
            (cases / f"{case}.onnx").write_bytes(content)
            arrays = {f"in_{i}": np.asarray(x, np.float32) for i, x in enumerate(inputs.values())}
            arrays |= {f"out_{i}": np.asarray(y, np.float32) for i, y in enumerate(outputs)}
            fixture_io.write_npz(cases / f"{case}.npz", arrays)
            np.savez(given / f"{case}.npz", *inputs.values())
            count += 1
    print(f"{count} models")


if __name__ == "__main__":
    main(*sys.argv[1:])
