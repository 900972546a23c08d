"""Calls: what goes in, what comes out, threads, event loops."""

import asyncio
import gc
import inspect
import json
import pickle
import threading

import numpy as np
import pytest
from conftest import close, fixture

import birnn
import birnn._predict


def arrays(name):
    """The inputs and outputs that Keras had."""
    with np.load(fixture(name)) as file:
        inputs = [file[key] for key in sorted(file.files) if key.startswith("input")]
        outputs = [file[key] for key in sorted(file.files) if key.startswith("output")]
    return inputs, outputs


def test_the_notebook_is_unpacked_as_in_keras(lstm2, x):
    o, h1, c1, h2, c2 = lstm2(x)
    _, expected = arrays("keras/notebook_lstm2.npz")
    for found, wanted in zip((o, h1, c1, h2, c2), expected, strict=True):
        close(found, wanted)


def test_one_output_is_an_array():
    session = birnn.load(fixture("keras/lstm_no_bias.keras")).compile("cpu")
    (x,), (y,) = arrays("keras/lstm_no_bias.npz")
    found = session(x)
    assert type(found) is np.ndarray and found.dtype == np.float32
    close(found, y)


def test_outputs_have_names(lstm2, x):
    outputs = lstm2(x)
    assert isinstance(outputs, tuple) and len(outputs) == 5
    assert outputs.names == lstm2.output_names
    assert outputs["output of bidirectional"] is outputs[0] is outputs["bidirectional"]
    assert outputs["forward hidden state of bidirectional"] is outputs[1]
    assert outputs["backward cell state of bidirectional"] is outputs[4]
    assert list(outputs.as_dict()) == list(outputs.names)
    assert [a.shape for a in outputs[1:3]] == [(1, 3), (1, 3)]
    close(outputs.h_n, np.stack([outputs[1], outputs[3]]))
    with pytest.raises(KeyError, match="the model returns no 'dense'; it returns 'output of"):
        outputs["dense"]
    assert "forward cell state of bidirectional, shape [1, 3]" in repr(outputs)


def test_outputs_own_their_memory(lstm2, x):
    output = lstm2(x)[0]
    before = output.copy()
    assert output.flags.writeable and output.flags.c_contiguous
    for _ in range(20):
        lstm2(x + 1)
    gc.collect()
    assert np.array_equal(output, before)
    output += 1
    assert not np.array_equal(lstm2(x)[0], output)


def test_inputs_by_place_list_and_name():
    session = birnn.load(fixture("keras/shared_two_inputs.keras")).compile("cpu")
    (a, b), expected = arrays("keras/shared_two_inputs.npz")
    first, second = session.input_names
    calls = [
        session(a, b),
        session([a, b]),
        session((a, b)),
        session({first: a, second: b}),
        session({second: b, first: a}),
        session.predict([a, b]),
        session.predict({second: b, first: a}),
        session.submit(a, b).wait(),
    ]
    for outputs in calls:
        for found, wanted in zip(outputs, expected, strict=True):
            close(found, wanted)


def test_masks_and_lengths_agree(any_time):
    session = birnn.load(any_time).compile("cpu")
    x = np.random.default_rng(1).normal(size=(3, 6, 2)).astype("f4")
    mask = np.arange(6) < np.array([[2], [6], [4]])
    by_mask = session(x, mask=mask)[0]
    name = session.input_names[0]
    for found in [
        session(x, lengths=[2, 6, 4]),
        session(x, lengths=np.array([2, 6, 4], "u1")),
        session(x, lengths={name: (2, 6, 4)}),
        session(x, mask=mask.astype("i8")),
        session(x, mask=mask.tolist()),
        session(x, mask={name: mask}),
        session.predict(x, lengths=[2, 6, 4], batch_size=2),
        session.predict(x, mask=mask, batch_size=2),
    ]:
        close(found[0], by_mask)
    assert not np.allclose(session(x)[0], by_mask)


def test_a_mask_and_lengths_are_not_given_together(lstm2):
    x = np.zeros((2, 4, 2), "f4")
    mask, (name,) = np.ones((2, 4), bool), lstm2.input_names
    for call in [lstm2, lstm2.predict, lstm2.submit]:
        for masks, lengths in [(mask, [4, 2]), ({name: mask}, {name: [4, 2]})]:
            with pytest.raises(birnn.InputError, match='"input_layer" is given a mask and lengths'):
                call(x, mask=masks, lengths=lengths)
    lstm2(x, mask=mask, lengths={name: None})


def test_several_inputs_and_what_is_not_said_by_name():
    session = birnn.load(fixture("keras/shared_two_inputs.keras")).compile("cpu")
    (a, b), _ = arrays("keras/shared_two_inputs.npz")
    first, second = session.input_names
    lengths = [a.shape[1]] * len(a)
    for given in [lengths, np.array(lengths)]:
        with pytest.raises(birnn.InputError, match="several inputs .* by name, as in"):
            session([a, b], lengths=given)
    for given in [[lengths], [lengths] * 3]:
        with pytest.raises(birnn.InputError, match="masks or lengths are given for the 2 inputs"):
            session([a, b], lengths=given)
    # By input, in a list or a dict; with one row in each a list of arrays is still one by input.
    session([a, b], lengths=[lengths, None])
    session([a, b], lengths={second: lengths})
    session([a[:1], b[:1]], lengths=[np.array(lengths[:1]), np.array(lengths[:1])])
    mask = np.ones(b.shape[:2], bool)
    session([a, b], lengths={first: lengths}, mask={second: mask})
    for call in [session, session.predict]:
        with pytest.raises(birnn.InputTypeError, match="by their places or in one dict by name"):
            call(a, {second: b})


def test_a_missing_axis_is_named(lstm2):
    with pytest.raises(birnn.InputError) as error:
        lstm2(np.zeros((5, 2), "f4"))
    for words in ["[5, 2], expected [batch, timesteps, 2]; one sequence is x[None]", "x[:, None]"]:
        assert words in str(error.value)
    fixed = birnn.load(fixture("keras/notebook_lstm2.keras")).compile("cpu")
    with pytest.raises(birnn.InputError, match=r"one sequence is x\[None\]$"):
        fixed(np.zeros((8, 2), "f4"))
    with pytest.raises(birnn.InputError) as error:
        lstm2(np.zeros((5, 3), "f4"))
    assert str(error.value).endswith("expected [batch, timesteps, 2]")


def test_initial_states_by_list_and_by_layer(lstm2):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 5, 2)).astype("f4")
    states = [rng.normal(size=(3, 3)).astype("f4") for _ in range(4)]
    found = lstm2(x, initial_state=states)
    close(lstm2(x, initial_state={"bidirectional": tuple(states)})[0], found[0])
    close(lstm2.predict(x, initial_state=states, batch_size=2)[0], found[0])
    # Going on from the final states of the first timesteps gives those of the whole.
    whole, first = lstm2(x), lstm2(x[:, :2])
    rest = lstm2(x[:, 2:], initial_state=[first[1], first[2], *states[2:]])
    close(rest[1], whole[1])
    close(rest[2], whole[2])


def test_predict_is_one_call_in_batches(lstm2):
    x = np.random.default_rng(3).normal(size=(25, 4, 2)).astype("f4")
    whole = lstm2(x)
    for size in [1, 7, 24, 25, 100, None]:
        found = lstm2.predict(x, batch_size=size)
        assert found.names == whole.names
        for one, other in zip(found, whole, strict=True):
            close(one, other)
    with pytest.raises(ValueError, match="batch_size is 0"):
        lstm2.predict(x, batch_size=0)


def test_an_onnx_model_is_not_cut_into_batches(tmp_path):
    """Its first axis is the time: batches of it would be other sequences."""
    model = birnn.load(fixture("onnx/lstm_forward.onnx"))
    features = model.summary().rows[0].output_shapes[0][-1] or 3
    x = np.random.default_rng(4).normal(size=(6, 2, features)).astype("f4")
    path = tmp_path / "model.safetensors"
    model.save(path)
    for session in [model.compile("cpu"), birnn.load(path).compile("cpu")]:
        whole, found = session(x), session.predict(x)
        assert isinstance(whole, tuple) == isinstance(found, tuple)
        pairs = zip(whole, found, strict=True) if isinstance(whole, tuple) else [(whole, found)]
        assert all(np.array_equal(one, other) for one, other in pairs)
        # Of any size, as the program birnn refuses --batch-size.
        for size in [1, 2, 6, 100]:
            with pytest.raises(birnn.InputError, match="doesn't say which axis .* the batch") as e:
                session.predict(x, batch_size=size)
            assert e.value.kind == "Parts"


def test_a_stateful_model_goes_on_from_batch_to_batch():
    """As in Keras, where a batch size is asked for."""
    model = birnn.load(fixture("layers/stateful_bi_gru.keras"))
    session = model.compile("cpu")
    batch, timesteps, features = model.summary().rows[0].output_shapes[0]
    batch = batch or 3
    shape = (2 * batch, timesteps or 4, features)
    x = np.random.default_rng(6).normal(size=shape).astype("f4")
    found = session.predict(x, batch_size=batch)
    session.reset_states()
    parts = [session(x[:batch]), session(x[batch:])]
    close(found, np.concatenate(parts))


def test_a_bar_shows_the_rows(lstm2, monkeypatch):
    tqdm = pytest.importorskip("tqdm.auto")
    bars = []

    class Bar:
        def __init__(self, total, **_):
            self.total, self.done, self.is_closed = total, 0, False
            bars.append(self)

        def update(self, rows):
            self.done += rows

        def close(self):
            self.is_closed = True

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    x = np.zeros((10, 4, 2), "f4")
    lstm2.predict(x, batch_size=3, progress=True)
    lstm2.predict(x, batch_size=3, progress=False)
    (bar,) = bars
    assert (bar.total, bar.done, bar.is_closed) == (10, 10, True)


def test_ctrl_c_ends_a_prediction(lstm2, monkeypatch):
    calls = []
    take = birnn._predict._Batches._take

    def interrupted(self, *part):
        calls.append(part)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return take(self, *part)

    monkeypatch.setattr(birnn._predict._Batches, "_take", interrupted)
    x = np.zeros((1000, 4, 2), "f4")
    with pytest.raises(KeyboardInterrupt):
        lstm2.predict(x, batch_size=1)
    assert len(calls) == 3
    monkeypatch.undo()
    assert lstm2.predict(x, batch_size=100)[0].shape == (1000, 4, 6)


def test_a_signal_ends_a_prediction(any_time):
    """Without anything patched: Ctrl-C of a process of its own."""
    import signal
    import subprocess
    import sys
    import time

    code = """
import birnn, numpy as np, signal, sys
# What was started in the background of a shell ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
session = birnn.load(sys.argv[1]).compile("cpu")
print("begun", flush=True)
try:
    session.predict(np.zeros((3_000_000, 4, 2), "f4"), batch_size=1)
except KeyboardInterrupt:
    print("interrupted", session(np.zeros((1, 4, 2), "f4"))[0].shape, flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, any_time], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "begun\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=20)[0] == "interrupted (1, 4, 6)\n"


def test_submitted_calls_in_any_order(lstm2):
    inputs = [np.full((2, 3, 2), value, "f4") for value in range(8)]
    pending = [lstm2.submit(x) for x in inputs]
    for call, x in reversed(list(zip(pending, inputs, strict=True))):
        outputs = call.wait()
        assert call.wait() is outputs
        assert "done" in repr(call)
        close(outputs[0], lstm2(x)[0])


def test_calls_are_awaited(lstm2, x):
    async def several():
        pending = [lstm2.submit(x * n) for n in range(4)]
        return await asyncio.gather(*pending), await lstm2.run_async(x, lengths=[3])

    async def failing():
        await lstm2.run_async(x[0])

    waited, run = asyncio.run(several())
    for n, outputs in enumerate(waited):
        close(outputs[0], lstm2(x * n)[0])
    close(run[0], lstm2(x, lengths=[3])[0])
    with pytest.raises(birnn.InputError):
        asyncio.run(failing())


def test_an_event_loop_goes_on(lstm2):
    """While a call runs on a thread, the loop does other things."""
    x = np.zeros((512, 200, 2), "f4")

    async def both():
        done, turns = asyncio.ensure_future(lstm2.run_async(x)), 0
        while not done.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(both()) > 2


def test_threads_share_a_session(lstm2):
    inputs = [np.full((1 + n % 3, 5, 2), n / 7, "f4") for n in range(8)]
    expected = [lstm2(x)[0] for x in inputs]
    failures = []

    def work(x, wanted):
        for _ in range(100):
            if not np.array_equal(lstm2(x)[0], wanted):
                failures.append(x)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(inputs, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures and not any(thread.is_alive() for thread in threads)


def test_threads_do_everything_at_once(lstm2, tmp_path):
    """Models, sessions, errors and pickles are made and let go of on all threads.

    With the interpreter's lock threads take turns between such calls; on free-threaded Python,
    where test.sh runs this, too, they don't.
    """
    path = fixture("keras/notebook_lstm2.keras")
    x = np.full((2, 8, 2), 0.5, "f4")
    wanted = lstm2(x)[0]
    shared = birnn.load(path)
    start, failures = threading.Barrier(8), []

    def work(number):
        start.wait()
        for turn in range(10):
            model = birnn.load(path) if turn % 2 else pickle.loads(pickle.dumps(shared))
            session = model.compile("cpu", threads=1)
            pending = [lstm2.submit(x), session.submit(x)]
            results = [session(x), session.predict(x, batch_size=1, progress=False)]
            results += [one.wait() for one in pending]
            with pytest.raises(birnn.InputError) as error:
                session(x[0])
            assert error.value.kind == "InputShape"
            assert all(np.allclose(result[0], wanted, atol=2e-6) for result in results)
            assert model.summary().parameters == 144 and len(repr(shared.summary())) > 100
            model.save(tmp_path / f"{number}.safetensors")
            assert len(results[0]["forward hidden state of bidirectional"]) == 2
            session.rebuild(birnn.Device("cpu"))

    def checked(number):
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=checked, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not failures and not any(thread.is_alive() for thread in threads)


def test_the_lock_of_the_interpreter_is_given_up(lstm2):
    """Another thread of Python counts while a long call runs."""
    x = np.zeros((512, 300, 2), "f4")
    counted, is_over = [0], threading.Event()

    def count():
        while not is_over.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted[0]
        lstm2(x)
        after = counted[0]
    finally:
        is_over.set()
        thread.join()
    assert after > before + 100


def test_stateful_layers_go_on_until_they_are_reset():
    model = birnn.load(fixture("layers/stateful_bi_gru.keras"))
    session = model.compile("cpu")
    batch, timesteps, features = model.summary().rows[0].output_shapes[0]
    shape = (batch or 3, timesteps or 4, features)
    x = np.random.default_rng(4).normal(size=shape).astype("f4")
    first, second = (np.asarray(session(x)) for _ in range(2))
    assert not np.allclose(first, second)
    with pytest.raises(birnn.InputError, match="stateful"):
        session(x[:1])
    session.reset_states()
    assert np.array_equal(session(x), first)
    # All rows in one batch, as long as none is asked for.
    session.reset_states()
    assert np.array_equal(session.predict(x), first)
    assert np.array_equal(session.predict(x), second)
    session.reset_states()
    session(x[:1])


def test_the_device_is_told(lstm2):
    info = lstm2.device
    assert (info.name, info.kind, info.reason) == ("cpu", "CPU", "it was asked for")
    assert "cpu (CPU" in repr(lstm2)
    assert lstm2.input_names == ["input_layer"]


def test_the_gpu_times_a_call(lstm2, any_time, x):
    """On the first GPU, where there is one: a software adapter counts."""
    lstm2(x)
    assert lstm2.gpu_time is None
    if not [adapter for adapter in birnn.devices()[:-1] if adapter.unusable is None]:
        pytest.skip("NOT RUN: no GPU adapter")
    model = birnn.load(any_time)
    silent = model.compile("gpu", allow_software=True)
    silent(x)
    assert silent.gpu_time is None
    session = model.compile("gpu", allow_software=True, gpu_time=True)
    assert session.gpu_time is None
    session(x)
    taken = session.gpu_time
    try:
        session.profile(x)
    except birnn.DeviceError:
        assert taken is None  # an adapter without timestamps
    else:
        assert taken is not None and 0 < taken < 60


def test_a_session_moves(lstm2, x):
    before = lstm2(x)
    lstm2.rebuild(birnn.Device("reference"))
    assert lstm2.device.name == "reference"
    close(lstm2(x)[0], before[0])
    lstm2.recover_with("gpu", "cpu")
    lstm2.rebuild("cpu")
    assert lstm2.device.name == "cpu"
    close(lstm2(x)[0], before[0])
    with pytest.raises(TypeError, match="a birnn.Device or a name such as"):
        lstm2.rebuild(7)
    with pytest.raises(birnn.DeviceError):
        lstm2.rebuild("no such adapter")


def test_a_call_has_a_text(lstm2, x):
    text = inspect.getdoc(birnn.Session.__call__)
    assert text == inspect.getdoc(birnn.Session.run) and "initial_state: the states" in text
    assert list(inspect.signature(lstm2).parameters) == [
        "inputs",
        "mask",
        "lengths",
        "initial_state",
    ]
    assert callable(lstm2) and all(map(np.array_equal, lstm2(x), lstm2.run(x)))


def test_a_profile_says_where_the_time_goes(lstm2, x, tmp_path):
    expected = lstm2(x)
    profile = lstm2.profile(x, calls=3)
    assert type(profile) is birnn.Profile and profile.calls == 3
    for found, wanted in zip(profile.outputs, expected, strict=True):
        assert np.array_equal(found, wanted)
    assert profile.outputs.names == lstm2.output_names
    (row,) = [row for row in profile.operators if row["operator"] == "recurrent"]
    assert row["layer"] == "bidirectional" and row["kernels"] == ["vectors"]
    assert row["shape"] == [1, 8, 6] and row["count"] == 3
    seconds = sum(row["seconds"] for row in profile.operators)
    assert 0 < seconds <= profile.seconds
    assert profile.outside_seconds == pytest.approx(profile.seconds - seconds)
    assert sum(row["share"] for row in profile.operators) == pytest.approx(
        seconds / profile.seconds
    )
    assert set(profile.host_seconds) == {"inputs", "prepare"}
    assert "recurrent" in repr(profile) and profile.device in repr(profile)
    assert "<td>recurrent</td>" in profile._repr_html_()
    profile.save_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X"}
    assert [event["name"] for event in events].count("bidirectional") >= 3
    assert profile.trace() == (tmp_path / "trace.json").read_text()
    with pytest.raises(OSError):
        profile.save_trace(tmp_path / "nowhere" / "trace.json")
    with pytest.raises(ValueError, match="calls is 0"):
        lstm2.profile(x, calls=0)
    with pytest.raises(birnn.InputError):
        lstm2.profile(x[0])
