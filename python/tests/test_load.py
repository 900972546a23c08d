"""Files, errors, and what a model says of itself."""

import errno
import json
import pathlib
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from conftest import close, fixture

import birnn


def test_every_format():
    for name in [
        "keras/notebook_lstm2.keras",
        "keras/notebook_lstm2_keras2.h5",
        "torch/lstm.safetensors",
    ]:
        model = birnn.load(fixture(name))
        assert model.layer_names and model.input_names
        assert birnn.load(str(fixture(name))).layer_names == model.layer_names
    with np.load(fixture("onnx/exported_bilstm.npz")) as arrays:
        inputs = [arrays[key] for key in sorted(arrays.files) if key.startswith("in_")]
        outputs = [arrays[key] for key in sorted(arrays.files) if key.startswith("out_")]
    session = birnn.load(fixture("onnx/exported_bilstm.onnx")).compile("cpu")
    found = session(*inputs)
    found = found if isinstance(found, tuple) else (found,)
    for one, other in zip(found, outputs, strict=True):
        close(one, other, 1e-5)


def test_weights_alone_with_their_configuration(tmp_path):
    archive = zipfile.ZipFile(fixture("keras/notebook_lstm2.keras"))
    weights = tmp_path / "model.weights.h5"
    weights.write_bytes(archive.read("model.weights.h5"))
    model = birnn.load(weights, config=archive.read("config.json").decode())
    x = np.ones((2, 8, 2), "f4")
    expected = birnn.load(fixture("keras/notebook_lstm2.keras")).compile("cpu")(x)
    close(model.compile("cpu")(x)[0], expected[0])


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "none.keras"
    for kind in [FileNotFoundError, OSError, birnn.MissingFileError, birnn.Error]:
        with pytest.raises(kind) as error:
            birnn.load(path)
    assert error.value.errno == errno.ENOENT and pathlib.Path(error.value.filename) == path
    assert str(error.value).startswith(f"{path}: ")
    assert error.value.kind == "Io"


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("plain text")
    with pytest.raises(ValueError, match="notes.txt") as error:
        birnn.load(path)
    assert type(error.value) is birnn.FileError and error.value.kind == "MalformedFile"
    with pytest.raises(birnn.FileError):
        birnn.load(tmp_path)
    with pytest.raises(TypeError):
        birnn.load(7)


def test_what_is_not_supported():
    with pytest.raises(NotImplementedError, match="Conv3DTranspose") as error:
        birnn.load(fixture("layers/refused/conv3d_transpose.keras"))
    assert error.value.kind == "UnsupportedLayer" and isinstance(
        error.value, birnn.UnsupportedError
    )


def test_options_of_another_format():
    with pytest.raises(ValueError, match="prefix is an option of Torch files; this one is Keras's"):
        birnn.load(fixture("keras/notebook_lstm2.keras"), prefix="lstm")
    with pytest.raises(ValueError, match="custom is an option of Keras files"):
        birnn.load(fixture("torch/lstm.safetensors"), custom={})
    with pytest.raises(birnn.ModelError, match="nonlinearity"):
        birnn.load(fixture("torch/rnn_relu.pt"), nonlinearity="gelu")


def test_the_layout_is_said_of_pytorchs_files_and_birnns_own(tmp_path):
    file = fixture("torch/lstm.safetensors")
    model = birnn.load(file)
    features = model.summary().rows[0].output_shapes[0][-1]
    x = np.random.default_rng(3).normal(size=(3, 5, features)).astype("f4")
    expected = model.compile("cpu")(x)[0].transpose(1, 0, 2)
    time_first = birnn.load(file, batch_first=False)
    assert np.array_equal(time_first.compile("cpu")(x.transpose(1, 0, 2))[0], expected)
    path = tmp_path / "model.safetensors"
    for layout in [None, False]:
        with pytest.raises(birnn.ModelError, match=r"save\(.*, batch_first=True\) writes"):
            time_first.save(path, batch_first=layout)
    assert not path.exists()
    time_first.save(path, batch_first=True)
    saved = birnn.load(path)
    assert np.array_equal(saved.compile("cpu")(x)[0].transpose(1, 0, 2), expected)
    saved = birnn.load(path, batch_first=False)
    assert np.array_equal(saved.compile("cpu")(x.transpose(1, 0, 2))[0], expected)
    birnn.load(file, batch_first=True).save(path)
    for other in ["keras/notebook_lstm2.keras", "onnx/lstm_forward.onnx"]:
        with pytest.raises(birnn.FileError, match="batch_first is an option of PyTorch's"):
            birnn.load(fixture(other), batch_first=False)
    birnn.load(fixture("layers/file_h5_masked_embedding.h5")).save(path)
    with pytest.raises(birnn.FileError, match="batch_first: the input .* is no sequence"):
        birnn.load(path, batch_first=False)
    birnn.load(fixture("onnx/lstm_forward.onnx")).save(path)
    with pytest.raises(birnn.FileError, match="an ONNX model are what the file says"):
        birnn.load(path, batch_first=False)


def doubled(_):
    return birnn.Layer("Rescaling", scale=2.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("layers/refused/lambda.keras", {"lambdas": {"double": doubled}}),
        ("layers/refused/custom_layer.keras", {"custom": {"birnn_fixtures>Doubled": doubled}}),
        ("torch/rnn_relu.pt", {"nonlinearity": "relu"}),
        ("torch/tagger.safetensors", {"prefix": "lstm"}),
        ("onnx/lstm_forward_lengths.onnx", {"tied": {"initial_h": "Y_h", "initial_c": "Y_c"}}),
        ("onnx/lstm_forward_lengths.onnx", {"axis_lengths": {"batch": 2}}),
    ],
)
def test_what_options_made_of_a_model_is_saved(name, options, tmp_path):
    if name.endswith(".onnx"):
        options = {**options, "fixed_inputs": {"sequence_lens": [5, 3]}}
    model, path = birnn.load(fixture(name), **options), tmp_path / "model.safetensors"
    model.save(path)
    rng, inputs = np.random.default_rng(2), []
    for row in model.summary().rows:
        if row.class_name == "InputLayer":
            shape = [axis or n for axis, n in zip(row.output_shapes[0], [5, 2, 3], strict=False)]
            inputs.append(rng.normal(size=shape).astype("f4"))
    sessions = [model.compile("cpu"), birnn.load(path).compile("cpu")]
    # A tied model goes on from call to call.
    for _ in range(2):
        one, other = (session(*inputs) for session in sessions)
        assert len(one) == len(other) > 0 and all(map(np.array_equal, one, other))


def test_arguments_that_are_not_what_is_taken():
    file = fixture("keras/notebook_lstm2.keras")
    for given, kind in [(b"model.keras", "bytes"), (7, "int")]:
        with pytest.raises(birnn.InputTypeError, match=f"the name of a file, got {kind}"):
            birnn.load(given)
    for given in ["two.json", fixture("two.json"), {"class_name": "Functional"}]:
        with pytest.raises(birnn.ModelError, match=r"takes the text .*read_text\(\)"):
            birnn.load(file, config=given)
    with pytest.raises(birnn.ModelError, match=r'axis_lengths\["batch"\] is -1; it has to be'):
        birnn.load(fixture("onnx/lstm_bidirectional.onnx"), axis_lengths={"batch": -1})
    model = birnn.load(file)
    for name, value in [("threads", -1), ("threads", 1.5), ("memory_budget", -(2**70))]:
        with pytest.raises(birnn.ModelError, match=f"{name} is {value}; it has to be a whole"):
            model.compile("cpu", **{name: value})
        with pytest.raises(birnn.ModelError, match=f"{name} is {value}; it has to be a whole"):
            birnn.Device("cpu", **{name: value})
    with pytest.raises(TypeError, match=r"Model.compile\(\) got an unexpected .*devise"):
        model.compile(devise="cpu")
    with pytest.raises(birnn.InputTypeError, match="a birnn.Device or a name such as .*, got int"):
        model.compile(7)


def test_a_lambda_that_is_not_there_is_named():
    double, path = doubled, fixture("layers/refused/lambda.keras")
    with pytest.raises(KeyError, match=r'no Lambda is named "dbl"; .*\["double", "gru"\]'):
        birnn.load(path, lambdas={"double": double, "dbl": double})
    # A layer of birnn's own isn't replaced.
    with pytest.raises(birnn.UnknownNameError, match='no Lambda is named "gru"'):
        birnn.load(path, lambdas={"double": double, "gru": double})
    # Of classes there may be more than a model has.
    birnn.load(path, lambdas={"double": double}, custom={"Gain": double})


def test_activations_of_another_name():
    path = fixture("layers/refused/custom_activation.keras")
    with pytest.raises(birnn.UnsupportedError, match=r"activations of birnn\.load"):
        birnn.load(path)
    named = "birnn_fixtures>scaled_tanh"
    session = birnn.load(path, activations={named: "tanh"}).compile("cpu")
    x = np.full((2, 5), 9.0, np.float32)
    assert np.abs(session(x)).max() <= 1.0
    with pytest.raises(birnn.UnknownNameError, match="'crelu'|\"crelu\""):
        birnn.load(path, activations={named: "crelu"})


def test_the_options_of_torch_and_onnx_files():
    assert birnn.load(fixture("torch/tagger.safetensors"), prefix="lstm").layer_names == ["lstm_l0"]
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("f4")
    with np.load(fixture("torch/arrays.npz")):
        pass
    relu = birnn.load(fixture("torch/rnn_relu.pt"), nonlinearity="relu")
    features = relu.summary().rows[0].output_shapes[0][-1]
    x = np.random.default_rng(0).normal(size=(2, 3, features)).astype("f4")
    tanh = birnn.load(fixture("torch/rnn_relu.pt"), nonlinearity="tanh")
    assert not np.allclose(relu.compile("cpu")(x)[0], tanh.compile("cpu")(x)[0])


def test_a_nonlinearity_that_nobody_said_is_told():
    with pytest.warns(UserWarning, match="tanh is taken .nonlinearity=") as warned:
        birnn.load(fixture("torch/rnn_relu.pt"))
    assert warned[0].filename == __file__  # it points at the caller
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        birnn.load(fixture("torch/rnn_relu.pt"), nonlinearity="tanh")
        birnn.load(fixture("torch/lstm.safetensors"))


def test_errors_name_pythons_arguments():
    said = {
        "torch/tagger.safetensors": ("(prefix)", "torch.onnx.export"),
        "layers/refused/lambda.keras": ("(lambdas of birnn.load)",),
        "layers/refused/custom_layer.keras": (
            "(custom of birnn.load)",
            "docs/generated/support.md lists",
        ),
        "layers/keras2_weights_only_lstm_weights.h5": ("(config of birnn.load)",),
        "layers/refused/conv3d_transpose.keras": ("(custom of birnn.load)",),
    }
    for name, words in said.items():
        with pytest.raises(birnn.Error) as error:
            birnn.load(fixture(name))
        for word in words:
            assert word in str(error.value)
        assert "Options::" not in str(error.value) and "Model::" not in str(error.value)
    with pytest.raises(birnn.ModelError, match="no axis of an open length is called .batches."):
        birnn.load(fixture("onnx/lstm_bidirectional.onnx"), axis_lengths={"batches": 1})


def test_values_that_an_onnx_model_does_not_take():
    session = birnn.load(fixture("onnx/places/gather.onnx")).compile("cpu")
    assert session(np.array([[0, -1, 4]])).shape == (1, 3, 3)
    takes = '"the_Gather" takes whole numbers from -5 to 4'
    with pytest.raises(birnn.InputError, match=rf'"ids" holds 5 at \[0, 2\]; {takes}'):
        session(np.array([[0, -1, 5]]))
    with pytest.raises(birnn.InputError, match=r'"ids" holds 0.5 at \[0, 0\]; it takes whole'):
        session(np.array([[0.5]]))
    state = birnn.load(fixture("onnx/lstm_forward_lengths.onnx")).compile("cpu")
    with pytest.raises(birnn.InputError, match='tied={"initial_h": "Y_h", "initial_c": "Y_c"}'):
        state(np.zeros((5, 2, 3), "f4"))


def test_a_lambda_and_a_class_of_ones_own():
    def double(layer):
        assert (layer.name, layer.class_name) == ("double", "Lambda")
        assert isinstance(layer.config, dict) and layer.config["name"] == "double"
        return birnn.Layer("Rescaling", scale=2.0)

    model = birnn.load(fixture("layers/refused/lambda.keras"), lambdas={"double": double})
    assert model.layer_names == ["double", "gru"]
    seen = []

    def doubled(layer):
        seen.append(layer)
        return birnn.CustomLayer(
            [birnn.Layer("Rescaling", scale=4.0), birnn.Layer("Rescaling", scale=0.5)]
        )

    path = fixture("layers/refused/custom_layer.keras")
    model = birnn.load(path, custom={"birnn_fixtures>Doubled": doubled})
    assert seen and seen[0].name == "mine" and "Doubled" in repr(seen[0])
    assert "mine/layer_1" in model.layer_names
    one = birnn.load(
        path, custom={"birnn_fixtures>Doubled": lambda _: birnn.Layer("Rescaling", scale=2.0)}
    )
    shape = [axis or 3 for axis in model.summary().rows[0].output_shapes[0]]
    x = np.random.default_rng(0).normal(size=shape).astype("f4")
    assert np.array_equal(np.asarray(model.compile("cpu")(x)), np.asarray(one.compile("cpu")(x)))


@pytest.mark.parametrize(
    "name", ["keras/notebook_lstm2.keras", "torch/lstm.safetensors", "onnx/exported_bilstm.onnx"]
)
def test_models_are_pickled(name, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(fixture(name).read_bytes())
    model = birnn.load(path)
    content = pickle.dumps(model)
    path.unlink()
    for copy in [pickle.loads(content), pickle.loads(pickle.dumps(pickle.loads(content)))]:
        assert copy.output_names == model.output_names and copy.layer_names == model.layer_names
        shape = [axis or 2 for axis in model.summary().rows[0].output_shapes[0]]
        x = np.random.default_rng(8).normal(size=shape).astype("f4")
        found, expected = copy.compile("cpu")(x), model.compile("cpu")(x)
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one, other)


def test_models_are_saved(tmp_path):
    model = birnn.load(fixture("keras/lstm_last_state_b3t33u130f2.keras"))
    x = np.load(fixture("keras/lstm_last_state_b3t33u130f2.npz"))["input0"]
    path = tmp_path / "model.safetensors"
    model.save(path)
    expected = model.compile("cpu")(x)
    for one, other in zip(birnn.load(path).compile("cpu")(x), expected, strict=True):
        assert np.array_equal(one, other)
    size = path.stat().st_size
    model.save(str(path), half_weights=True)
    assert path.stat().st_size < 0.6 * size
    half = birnn.load(path).compile("cpu")(x)[0]
    np.testing.assert_allclose(half, expected[0], atol=1e-2)
    with pytest.raises(OSError):
        model.save(tmp_path / "none" / "model.safetensors")
    for name in ["model.onnx", "model.npz", "model.h5", "model.pt", "model.keras", "model"]:
        with pytest.raises(birnn.FileError, match=rf"{name}: .*which birnn.load reads: .*ends in"):
            model.save(tmp_path / name)
        assert not (tmp_path / name).exists()
    with pytest.raises(
        birnn.FileError, match="is an option of Keras files; this one is Portable's"
    ):
        birnn.load(path, lambdas={})


def test_outputs_are_pickled_and_sessions_are_not(lstm2, x):
    outputs = lstm2(x)
    copy = pickle.loads(pickle.dumps(outputs))
    assert copy.names == outputs.names and all(map(np.array_equal, copy, outputs))
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(lstm2)


def test_errors_are_pickled():
    error = birnn.MissingFileError("x: no such file")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_functions_that_fail_raise_what_they_raised():
    def fails(layer):
        raise ZeroDivisionError(f"in {layer.name}")

    path = fixture("layers/refused/lambda.keras")
    with pytest.raises(ZeroDivisionError, match="in double"):
        birnn.load(path, lambdas={"double": fails})
    for wrong, text in [
        (7, "a custom layer is a birnn.Layer"),
        ([], "one of birnn's layers or more, got none"),
        (birnn.Layer("Conv3DTranspose", filters=1), "Conv3DTranspose"),
        (birnn.Layer("Rescaling", scale="much"), "scale"),
        (birnn.Layer("Rescaling", scale=2.0, offsets=1), "offsets"),
    ]:
        with pytest.raises(birnn.Error) as error:
            birnn.load(path, lambdas={"double": lambda _, wrong=wrong: wrong})
        assert text in str(error.value)


def test_the_summary():
    model = birnn.load(fixture("keras/notebook_lstm2.keras"))
    summary = model.summary()
    assert summary.parameters == 2 * 4 * (3 * (2 + 3) + 3)
    first, second = summary.rows
    assert (first.class_name, first.output_shapes) == ("InputLayer", [[None, 8, 2]])
    assert (second.name, second.class_name) == ("bidirectional", "Bidirectional")
    assert second.connected_to == ["input_layer"] and second.given_as is None
    text = repr(summary)
    assert text.startswith("Layer (type)") and text.endswith("Total params: 144")
    for html in [summary._repr_html_(), model._repr_html_()]:
        assert html.startswith("<table>") and "(None, 8, 2)" in html and "bidirectional" in html
    assert "144 parameters" in repr(model) and "SummaryRow" in repr(first)
    kernel, recurrent, bias, *_ = model.weights("bidirectional")
    assert [a.shape for a in (kernel, recurrent, bias)] == [(2, 12), (3, 12), (12,)]
    with pytest.raises(KeyError, match="no layer is named"):
        model.weights("lstm")


def test_names_are_escaped_in_notebooks(tmp_path):
    source = zipfile.ZipFile(fixture("keras/notebook_lstm2.keras"))
    path = tmp_path / "model.keras"
    config = json.loads(source.read("config.json"))
    text = json.dumps(config).replace('"input_layer"', '"<script>"')
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)
        for name in ["metadata.json", "model.weights.h5"]:
            archive.writestr(name, source.read(name))
    html = birnn.load(path)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_devices():
    *adapters, cpu = birnn.devices()
    assert cpu.info.kind == "CPU" and cpu.unusable is None and cpu.max_buffer_size is None
    for adapter in adapters:
        assert adapter.info.name and adapter.max_buffer_size > 0
        assert adapter.info.name in repr(adapter)
    device = birnn.Device("cpu", threads=1)
    assert device.info.name == "cpu" and "cpu" in repr(device)
    model = birnn.load(fixture("keras/notebook_lstm2.keras"))
    assert model.compile(device).device.name == "cpu"
    assert model.compile("reference").device.backend == "float64"
    assert model.compile(threads=1, device="cpu").device.name == "cpu"
    with pytest.raises(RuntimeError, match="no such adapter") as error:
        birnn.Device("no such adapter")
    assert error.value.kind == "NoAdapter"
    with pytest.raises(ValueError, match="has its options already"):
        model.compile(device, threads=2)
    with pytest.raises(RuntimeError, match="threads"):
        birnn.Device("cpu", threads=100_000)


def test_the_best_device_is_what_the_environment_says(monkeypatch):
    model = birnn.load(fixture("keras/notebook_lstm2.keras"))
    monkeypatch.setenv("BIRNN_DEVICE", "reference")
    assert model.compile().device.name == model.compile("best").device.name == "reference"
    monkeypatch.setenv("BIRNN_DEVICE", "no such adapter")
    with pytest.raises(birnn.DeviceError):
        model.compile()
    assert model.compile("cpu").device.name == "cpu"


def test_on_a_gpu(x):
    """On the first GPU, where there is one: a software adapter counts."""
    usable = [adapter for adapter in birnn.devices()[:-1] if adapter.unusable is None]
    if not usable:
        pytest.skip("NOT RUN: no GPU adapter")
    model = birnn.load(fixture("keras/notebook_lstm2.keras"))
    session = model.compile("gpu", allow_software=True)
    assert session.device.kind != "CPU"
    for one, other in zip(session(x), model.compile("cpu")(x), strict=True):
        close(one, other)
    many = np.random.default_rng(1).normal(size=(30, 8, 2)).astype("f4")
    pending = [session.submit(many[n : n + 10]) for n in (0, 10, 20)]
    parts = [call.wait()[0] for call in pending]
    close(np.concatenate(parts), session.predict(many, batch_size=7)[0])


def test_the_version():
    from importlib.metadata import version

    assert birnn.__version__ == version("birnn")
    manifest = (fixture("../..") / "Cargo.toml").read_text()
    assert f'version = "{birnn.__version__}"' in manifest
