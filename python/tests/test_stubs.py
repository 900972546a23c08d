"""The types and texts: mypy on the package and on a user's program, texts as in the compiled part.

BIRNN_WRITE_DOCS=1 writes the texts into _birnn.pyi instead of comparing them.
"""

import ast
import inspect
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

import birnn
from birnn import _birnn

SOURCE = pathlib.Path(__file__).parents[1] / "birnn"
STUB = SOURCE / "_birnn.pyi"


def documented(tree):
    """Each definition of the stub with what it stands for and how deep it is."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            own = getattr(_birnn, node.name)
            yield node, own, 1
            for part in node.body:
                if (
                    isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
                    and part.name[0] != "_"
                ):
                    yield part, getattr(own, part.name), 2
            call = own.__dict__.get("__call__")
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == "__call__":
                    yield part, call, 2
        elif isinstance(node, ast.FunctionDef) and node.name == "devices":
            yield node, getattr(_birnn, node.name), 1


def test_texts_are_those_of_the_compiled_part():
    text = STUB.read_text()
    lines = text.splitlines()
    found = list(documented(ast.parse(text)))
    if os.environ.get("BIRNN_WRITE_DOCS") == "1":
        for node, own, depth in sorted(found, key=lambda item: -item[0].lineno):
            write(lines, node, inspect.getdoc(own), "    " * depth)
        STUB.write_text("\n".join(lines) + "\n")
        return
    assert len(found) > 30
    for node, own, _ in found:
        assert ast.get_docstring(node) == (inspect.getdoc(own) or None), node.name


def write(lines, node, doc, indent):
    """Puts a text behind a definition, in place of the one that is there."""
    if not doc:
        return
    if ast.get_docstring(node) is not None:
        old = node.body[0]
        del lines[old.lineno - 1 : old.end_lineno]
        last = old.lineno - 1
    elif isinstance(node, ast.ClassDef):
        last = node.lineno
    else:
        body = node.body[0]  # ... on the line of the definition
        lines[body.lineno - 1] = lines[body.lineno - 1].removesuffix(" ...")
        last = body.lineno
    quoted = f'"""{doc}"""' if "\n" not in doc else f'"""{doc}\n"""'
    lines[last:last] = textwrap.indent(quoted, indent).splitlines()


PROGRAM = """
import asyncio
import birnn
import numpy as np

def double(layer: birnn.KerasLayer) -> birnn.Layer:
    return birnn.Layer("Rescaling", scale=float(layer.config["factor"]))

model: birnn.Model = birnn.load("model.keras", lambdas={"double": double})
other: birnn.Model = birnn.load("model.keras", activations={"package>mine": "mish"})
session: birnn.Session = model.compile("cpu", threads=2)
outputs: birnn.Outputs = session(np.zeros((1, 8, 2)), lengths=[3])
h1: np.typing.NDArray[np.float32] = outputs["forward hidden state of lstm"]
o = session.predict(np.zeros((1, 8, 2)), batch_size=4, progress=True)
pending: birnn.Pending = session.submit(np.zeros((1, 8, 2)))
profile: birnn.Profile = session.profile(np.zeros((1, 8, 2)), calls=2)
layers: list[str] = [row["layer"] for row in profile.operators]

async def main() -> None:
    await session.run_async(np.zeros((1, 8, 2)))
    await pending

asyncio.run(main())
parameters: int = model.summary().parameters
model.save("model.safetensors", batch_first=True)
session.rebuild("cpu")
session({"x": np.zeros((1, 8, 2))}, mask={"x": [[True] * 8]}, initial_state={"lstm": [np.zeros(3)]})
session([np.zeros((1, 8, 2)), memoryview(b"x")], lengths=[[8], None], initial_state=np.zeros(3))
names: tuple[str, ...] = session.output_names
try:
    birnn.from_torch({}, nonlinearity="relu")
except birnn.FileError as error:
    print(error.kind)
"""


def test_types_are_whole_and_strict(tmp_path):
    mypy = pytest.importorskip("mypy.api")
    package = pathlib.Path(birnn.__file__).parent
    assert (package / "py.typed").exists()
    (tmp_path / "program.py").write_text(PROGRAM)
    wrong = (
        "import birnn\nbirnn.load(7)\nbirnn.devices()[0].info.nam\n"
        "birnn.load('m').compile()(object(), lengths=object())\n"
        "birnn.load('m').compile().profile(object())\n"
    )
    (tmp_path / "wrong.py").write_text(wrong)
    options = ["--strict", f"--cache-dir={tmp_path}"]
    out, err, status = mypy.run([*options, str(SOURCE), str(tmp_path / "program.py")])
    assert status == 0, out + err
    out, _, status = mypy.run([*options, str(tmp_path / "wrong.py")])
    assert status == 1 and "nam" in out and out.count("arg-type") == 4, out


def test_the_stub_has_what_is_there(tmp_path):
    pytest.importorskip("mypy.stubtest")
    command = [sys.executable, "-m", "mypy.stubtest", "birnn._birnn", "--ignore-missing-stub"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
