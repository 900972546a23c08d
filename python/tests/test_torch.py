"""Live modules of PyTorch's, beside PyTorch itself."""

import pickle

import numpy as np
import pytest
from conftest import close

import birnn

torch = pytest.importorskip("torch")
nn = torch.nn
RNG = np.random.default_rng(7)


def random(*shape):
    return RNG.normal(size=shape).astype("f4")


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_modules(kind, batch_first, options):
    module = kind(4, 6, batch_first=batch_first, **options).eval()
    x = random(5, 3, 4)
    with torch.no_grad():
        output, states = module(torch.from_numpy(x))
    session = birnn.from_torch(module).compile("cpu")
    outputs = session(x)
    close(outputs[0], output)
    h_n = states[0] if kind is nn.LSTM else states
    close(outputs.h_n, h_n)
    if kind is nn.LSTM:
        close(outputs.c_n, states[1])
    else:
        with pytest.raises(KeyError, match="no cell state"):
            _ = outputs.c_n
    close(session.predict(x, batch_size=2)[0], output)
    close(session.predict(x, batch_size=2).h_n, h_n)


def test_the_nonlinearity_is_the_modules():
    module = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)
    x = random(2, 5, 3)
    with torch.no_grad():
        output, _ = module(torch.from_numpy(x))
    close(birnn.from_torch(module).compile("cpu")(x)[0], output)
    state = module.state_dict()
    close(birnn.from_torch(state, nonlinearity="relu").compile("cpu")(x)[0], output)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_run_all_timesteps(kind):
    cell = kind(3, 4)
    x = random(2, 5, 3)
    state = None
    with torch.no_grad():
        for t in range(5):
            state = cell(torch.from_numpy(x[:, t]), state)
    h = state[0] if kind is nn.LSTMCell else state
    close(birnn.from_torch(cell).compile("cpu")(x)[0][:, -1], h)


def test_a_module_in_another_and_state_dicts():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4)
            self.out = nn.Linear(4, 2)

    tagger = Tagger().double()
    x = random(5, 2, 3)
    with torch.no_grad():
        output, _ = tagger.lstm(torch.from_numpy(x).double())
    close(birnn.from_torch(tagger, prefix="lstm").compile("cpu")(x)[0], output)
    by_state = birnn.from_torch(tagger.state_dict(), prefix="lstm").compile("cpu")
    close(by_state(x.transpose(1, 0, 2))[0], output.numpy().transpose(1, 0, 2))
    for module in [tagger, tagger.state_dict()]:
        with pytest.raises(ValueError, match="holds more than the recurrent module"):
            birnn.from_torch(module)
    with pytest.raises(TypeError, match="a module of PyTorch's or a state dict, got int"):
        birnn.from_torch(7)


def test_pickles_keep_the_layout():
    model = birnn.from_torch(nn.GRU(3, 4))
    x = random(5, 2, 3)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.compile("cpu")(x)[0], model.compile("cpu")(x)[0])
    assert copy.compile("cpu")(x)[0].shape == (5, 2, 4)


def test_types_of_weights():
    for dtype in [torch.float16, torch.bfloat16, torch.float64]:
        module = nn.GRU(3, 4, batch_first=True).to(dtype)
        x = random(2, 5, 3)
        with torch.no_grad():
            output, _ = module.float()(torch.from_numpy(x))
        close(birnn.from_torch(module).compile("cpu")(x)[0], output)


def test_tensors_are_inputs():
    session = birnn.from_torch(nn.LSTM(3, 4, batch_first=True)).compile("cpu")
    x = torch.from_numpy(random(2, 5, 3))
    expected = session(x.numpy())[0]
    trained = x.clone().requires_grad_()
    for given in [x, trained, x.double(), x.transpose(0, 1).contiguous().transpose(0, 1)]:
        assert np.array_equal(session(given)[0], expected)
    half = x.bfloat16()
    assert np.array_equal(session(half)[0], session(half.float())[0])
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    assert np.array_equal(session(x, mask=mask)[0], session(x, lengths=torch.tensor([3, 3]))[0])
    with pytest.raises(birnn.InputTypeError, match='input "input"'):
        session(torch.complex(x, x))


def test_states_are_those_of_pytorch():
    module = nn.LSTM(3, 4, batch_first=True)
    x, h, c = random(2, 5, 3), random(1, 2, 4), random(1, 2, 4)
    with torch.no_grad():
        output, _ = module(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
    close(birnn.from_torch(module).compile("cpu")(x, initial_state=[h[0], c[0]])[0], output)


def test_saving_keeps_the_layout_or_refuses(tmp_path):
    module = nn.LSTM(5, 8, bidirectional=True)
    x = random(7, 2, 5)
    with torch.no_grad():
        output, _ = module(torch.from_numpy(x))
    model, path = birnn.from_torch(module), tmp_path / "model.safetensors"
    assert repr(model).endswith("parameters, [timesteps, batch, features]>")
    with pytest.raises(birnn.ModelError, match=r"\[timesteps, batch, features\].*batch_first=True"):
        model.save(path)
    assert not path.exists()
    model.save(path, batch_first=True)
    close(birnn.load(path).compile("cpu")(x.swapaxes(0, 1))[0], output.numpy().swapaxes(0, 1))
    close(birnn.load(path, batch_first=False).compile("cpu")(x)[0], output)
    # What says nothing of the time isn't asked.
    for other in [nn.GRU(3, 4, batch_first=True), nn.GRUCell(3, 4), nn.GRU(3, 4).state_dict()]:
        birnn.from_torch(other).save(path)
    state = module.state_dict()
    close(birnn.from_torch(state, batch_first=False).compile("cpu")(x)[0], output)
    turned = birnn.from_torch(module, batch_first=True).compile("cpu")
    close(turned(x.swapaxes(0, 1))[0], output.numpy().swapaxes(0, 1))


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_projected_states_are_those_of_pytorch(options, tmp_path):
    module = nn.LSTM(5, 8, proj_size=3, batch_first=True, **options)
    x = random(2, 6, 5)
    with torch.no_grad():
        output, (h_n, c_n) = module(torch.from_numpy(x))
    model, path = birnn.from_torch(module), tmp_path / "model.safetensors"
    model.save(path)
    for session in [model.compile("cpu"), birnn.load(path).compile("cpu")]:
        outputs = session(x)
        close(outputs[0], output)
        close(outputs.h_n, h_n)
        close(outputs.c_n, c_n)
        close(session.predict(x, batch_size=1).h_n, h_n)


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_a_step_of_a_cell(kind):
    cell = kind(5, 8)
    session = birnn.from_torch(cell).compile("cpu")
    states = [random(2, 8) for _ in range(2 if kind is nn.LSTMCell else 1)]
    for x in random(3, 2, 5):
        given = [torch.from_numpy(state) for state in states]
        with torch.no_grad():
            expected = cell(torch.from_numpy(x), tuple(given) if len(given) > 1 else given[0])
        output, *states = session(x[:, None], initial_state=states)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for found, wanted in zip(states, expected, strict=True):
            close(found, wanted)
        close(output[:, 0], expected[0])
    with pytest.raises(birnn.InputError, match=r"as PyTorch's cells take it, is x\[:, None\]"):
        session(x)


def test_shapes_in_errors_have_the_modules_layout():
    session = birnn.from_torch(nn.GRU(5, 8)).compile("cpu")
    for call in [session, session.predict, session.submit, session.profile]:
        with pytest.raises(birnn.InputError) as error:
            call(random(7, 2, 4))
        assert "[7, 2, 4], expected [timesteps, batch, 5]" in str(error.value)
        with pytest.raises(birnn.InputError, match=r"expected \[timesteps, batch, 5\]; one seq"):
            call(random(7, 5))
        with pytest.raises(birnn.InputError, match=r"shape \[0, 2, 5\]: its timesteps axis"):
            call(random(0, 2, 5))
    h_0 = random(1, 2, 8)
    with pytest.raises(birnn.InputError, match=r"expected \[2, 8\]; PyTorch's h_0 and c_0"):
        session(random(7, 2, 5), initial_state=h_0)
    session(random(7, 2, 5), initial_state={session_layer(session): h_0[0]})


def session_layer(session):
    """The name of the only layer, which the outputs have."""
    return session.output_names[0].removeprefix("output of ")


def test_packed_sequences_have_a_way_out():
    module = nn.GRU(3, 4, batch_first=True)
    x, lengths = torch.from_numpy(random(2, 5, 3)), [5, 2]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    with torch.no_grad():
        output, _ = nn.utils.rnn.pad_packed_sequence(module(packed)[0], batch_first=True)
    session = birnn.from_torch(module).compile("cpu")
    for call in [session, session.predict, session.submit]:
        with pytest.raises(birnn.InputTypeError, match=r"pad_packed_sequence\(packed, batch_f"):
            call(packed)
    padded, lengths = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    close(session(padded, lengths=lengths)[0], output)
    with pytest.raises(birnn.InputTypeError, match=r"pad_packed_sequence\(packed\)"):
        birnn.from_torch(nn.GRU(3, 4)).compile("cpu")(packed)


def test_weight_norm_and_quantized_modules_have_a_way_out():
    module = nn.LSTM(3, 4, batch_first=True)
    nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    with pytest.raises(birnn.FileError, match="parametrize.remove_parametrizations"):
        birnn.from_torch(module)
    x = random(2, 5, 3)
    with torch.no_grad():
        output, _ = module(torch.from_numpy(x))
    nn.utils.parametrize.remove_parametrizations(module, "weight_hh_l0")
    close(birnn.from_torch(module).compile("cpu")(x)[0], output)
    quantized = {"weight_hh_l0": torch.zeros(4, 1), "_all_weight_values.0.param": object()}
    with pytest.raises(birnn.InputTypeError, match="the module of before"):
        birnn.from_torch(quantized)
