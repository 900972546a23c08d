"""What counts as an input, and how it is refused."""

import array
import subprocess
import sys

import numpy as np
import pytest
from conftest import close, fixture

import birnn

RNG = np.random.default_rng(5)


@pytest.fixture
def ids_session():
    """Of an Embedding, which reads ids."""
    return birnn.load(fixture("layers/" + embedding_case())).compile("cpu")


def embedding_case():
    for path in sorted(fixture("layers").glob("*embedding*.keras")):
        rows = birnn.load(path).summary().rows
        inputs = [row for row in rows if row.class_name == "InputLayer"]
        if len(inputs) == 1 and inputs[0].given_as == "ids":
            return path.name
    raise AssertionError("no model with an Embedding")


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_number_type(lstm2, dtype, order):
    x = RNG.integers(0, 2, (2, 3, 2))
    given = x.astype(np.dtype(dtype).newbyteorder(order))
    assert np.array_equal(lstm2(given)[0], lstm2(x.astype("f4"))[0])


def test_float64_is_rounded_as_keras_rounds_it(lstm2):
    x = RNG.normal(size=(2, 3, 2))
    assert np.array_equal(lstm2(x)[0], lstm2(x.astype("f4"))[0])
    for value in [np.nan, np.inf, -np.inf]:
        x[0, 0, 0] = value
        assert np.array_equal(lstm2(x)[0], lstm2(x.astype("f4"))[0], equal_nan=True)


def test_every_memory_order(lstm2):
    x = RNG.normal(size=(4, 6, 2)).astype("f4")
    expected = lstm2(x)[0]
    wide = np.zeros((8, 12, 4), "f4")
    wide[::2, ::2, 1:3] = x
    packed = np.zeros(x.size * 4 + 1, "u1")
    packed[1:] = x.ravel().view("u1")
    fields = np.zeros(x.shape, [("pad", "u1"), ("value", "f4")])
    fields["value"] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    for given in [
        np.asfortranarray(x),
        x.transpose(1, 0, 2).copy().transpose(1, 0, 2),
        x[::-1].copy()[::-1],
        x[:, :, ::-1].copy()[:, :, ::-1],
        wide[::2, ::2, 1:3],
        packed[1:].view("f4").reshape(x.shape),
        fields["value"],
        read_only,
    ]:
        assert np.array_equal(lstm2(given)[0], expected)
    row = np.broadcast_to(x[:1], x.shape)
    assert np.array_equal(lstm2(row)[0], lstm2(row.copy())[0])


def test_whatever_is_an_array(lstm2):
    x = RNG.normal(size=(1, 3, 2)).astype("f4")
    expected = lstm2(x)[0]

    class OnlyDlpack:
        def __dlpack__(self, **options):
            return x.__dlpack__(**options)

        def __dlpack_device__(self):
            return x.__dlpack_device__()

    class Matrix(np.ndarray):
        pass

    view = memoryview(array.array("f", x.ravel().tolist())).cast("B").cast("f", x.shape)
    for given in [x.tolist(), view, OnlyDlpack(), x.view(Matrix), np.ma.masked_array(x)]:
        assert np.array_equal(lstm2(given)[0], expected)
        assert np.array_equal(lstm2.predict(given)[0], expected)


def test_no_copy_is_made_where_none_is_needed():
    """Of an input of 200 MB the process grows by less than that."""
    code = """
import birnn, numpy as np, resource, sys
session = birnn.load(sys.argv[1]).compile("cpu")
x = np.ones((1, 400_000, 128), "f4")
session(x[:, :10])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    session(x[..., :2], 1)
except birnn.InputError as error:
    print(error)
try:
    session(x)
except birnn.InputError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    path = str(fixture("keras/notebook_lstm2.keras"))
    code = code.replace("session(x[:, :10])", "session(x[:, :8, :2])")
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    *errors, grown = run.stdout.splitlines()
    assert len(errors) == 2 and int(grown) < 50_000, run.stdout


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (np.zeros((1, 3, 2), complex), 'input "input_layer" has dtype complex128'),
        (np.array([[["a", "b"]]]), 'input "input_layer" has dtype <U1'),
        (np.array([[[None, 1]]]), 'input "input_layer" has dtype object'),
        (np.array([np.zeros((1, 2)), np.zeros((2, 2)), None], object), "rows of different lengths"),
        (np.zeros((1, 3, 2), np.longdouble), "has dtype float128"),
        (np.zeros((1, 3, 2), "M8[s]"), "has dtype datetime64"),
        (np.zeros((1, 3, 2), [("a", "f4")]), "has dtype"),
        (np.ma.masked_array(np.zeros((1, 3, 2)), mask=True), "is a masked array"),
        (object(), 'input "input_layer" has dtype object'),
        ([[1.0], [1.0, 2.0]], 'input "input_layer" is no array of numbers'),
        (None, 'input "input_layer" has dtype object'),
        (b"x", 'input "input_layer" has dtype |S1'),
    ],
)
def test_what_is_no_array_of_numbers(lstm2, given, text):
    for call in [lstm2, lstm2.predict, lstm2.submit]:
        with pytest.raises(TypeError) as error:
            call(given)
        assert isinstance(error.value, (birnn.InputTypeError, ValueError))
        assert text in str(error.value)


def test_values_that_float32_cannot_hold(lstm2, ids_session):
    ids = np.zeros((1, 3), "i8")
    (name,) = ids_session.input_names
    for dtype, value in [
        ("i8", 2**24 + 1),
        ("i4", -(2**24) - 1),
        ("u8", 2**64 - 1),
        ("u4", 2**32 - 1),
    ]:
        ids = np.zeros((2, 3), dtype)
        ids[1, 2] = value
        with pytest.raises(birnn.InputError) as error:
            ids_session(ids)
        assert f'input "{name}" holds {value} at [1, 2], which is a whole number' in str(
            error.value
        )
    with pytest.raises(ValueError, match=r"holds 1e\+?300 at \[0, 1, 0\], which is too large"):
        lstm2(np.array([[[0, 0], [1e300, 0]]]))
    # 2^24 and its doubles are no more than what float32 holds.
    with pytest.raises(birnn.InputError, match="reads whole numbers from 0 to below"):
        ids_session(np.full((1, 3), 2**30))


def test_shapes_that_do_not_fit(lstm2):
    name = 'input "input_layer"'
    for shape in [(), (2,), (3, 2), (1, 8, 3), (1, 1, 8, 2)]:
        with pytest.raises(ValueError) as error:
            lstm2(np.zeros(shape, "f4"))
        assert error.value.kind == "InputShape" and f"{name} has shape {list(shape)}" in str(
            error.value
        )
    for shape, axis in [((0, 8, 2), "batch"), ((1, 0, 2), "timesteps")]:
        for call in [lstm2, lstm2.predict]:
            with pytest.raises(birnn.InputError, match=f"its {axis} axis is empty"):
                call(np.zeros(shape, "f4"))
    with pytest.raises(birnn.InputError):
        lstm2(np.zeros((1, 8, 0), "f4"))


def test_other_numbers_of_inputs_and_names(lstm2, x):
    for call in [lambda: lstm2(), lambda: lstm2(x, x), lambda: lstm2([x, x]), lambda: lstm2({})]:
        with pytest.raises(
            birnn.InputError, match=r'the model takes 1 input \(\["input_layer"\]\), got'
        ):
            call()
    with pytest.raises(birnn.InputError, match="input \"y\" isn't one of the model's"):
        lstm2({"y": x})
    with pytest.raises(birnn.InputError, match="input \"y\" isn't one of the model's"):
        lstm2(x, mask={"y": np.ones((1, 8), bool)})
    with pytest.raises(TypeError):
        lstm2(x, masks=1)
    with pytest.raises(TypeError):
        lstm2({1: x})


def test_masks_lengths_and_states_that_do_not_fit(lstm2, x):
    with pytest.raises(
        birnn.InputError, match=r"the mask of input \"input_layer\" has shape \[8\]"
    ):
        lstm2(x, mask=np.ones(8, bool))
    with pytest.raises(birnn.InputError, match="mask"):
        lstm2(x, mask=np.ones((1, 7), bool))
    with pytest.raises(birnn.InputTypeError, match="dtype complex128; give bools"):
        lstm2(x, mask=np.ones((1, 8), complex))
    with pytest.raises(birnn.InputError, match="the length of row 0"):
        lstm2(x, lengths=[9])
    with pytest.raises(birnn.InputError, match="that of row 0 is -1"):
        lstm2(x, lengths=[-1])
    with pytest.raises(birnn.InputTypeError, match="expected whole numbers"):
        lstm2(x, lengths=[1.5])
    with pytest.raises(birnn.InputError, match="length"):
        lstm2(x, lengths=[8, 8])
    state = np.zeros((1, 3), "f4")
    with pytest.raises(birnn.ModelError, match="initial_state"):
        lstm2(x, initial_state=[state])
    with pytest.raises(birnn.InputError, match=r"shape \[3\]"):
        lstm2(x, initial_state=[state, state[0], state, state])
    with pytest.raises(birnn.InputError, match="shape"):
        lstm2(x, initial_state=[state[:, :2]] * 4)
    with pytest.raises(KeyError, match="no layer is named"):
        lstm2(x, initial_state={"lstm": [state] * 4})


def test_bytes_that_call_themselves_bool(lstm2, x):
    strange = np.full((1, 8), 7, "u1").view(bool)
    close(lstm2(x, mask=strange)[0], lstm2(x, mask=np.ones((1, 8), bool))[0])


def test_jax_arrays(lstm2, x):
    jnp = pytest.importorskip("jax.numpy")
    expected = lstm2(x)[0]
    assert np.array_equal(lstm2(jnp.asarray(x))[0], expected)
    halves = jnp.asarray(x, jnp.bfloat16)
    assert np.array_equal(lstm2(halves)[0], lstm2(np.asarray(halves, "f4"))[0])
