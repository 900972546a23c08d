"""Live models of Keras's, beside Keras itself. KERAS_BACKEND says which backend."""

import os

import numpy as np
import pytest
from conftest import close

import birnn

pytest.importorskip("jax" if os.environ.get("KERAS_BACKEND") == "jax" else "tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers
RNG = np.random.default_rng(6)


def notebook(cell, **options):
    x = keras.Input(shape=(8, 2))
    return keras.Model(x, layers.Bidirectional(cell(3, **options))(x))


@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_the_notebook(cell, return_sequences):
    model = notebook(cell, return_state=True, return_sequences=return_sequences)
    x = RNG.normal(size=(1, 8, 2))
    expected = model.predict(x, verbose=0)
    outputs = birnn.from_keras(model).compile("cpu").predict(x)
    assert len(outputs) == len(expected)
    for one, other in zip(outputs, expected, strict=True):
        close(one, other)


def test_what_predict_returns_has_keras_structure():
    tokens = keras.Input(shape=(None,), dtype="int32", name="tokens")
    extra = keras.Input(shape=(4,), name="extra")
    h = layers.Embedding(50, 6, mask_zero=True)(tokens)
    h = layers.Bidirectional(layers.LSTM(5))(h)
    h = layers.Concatenate()([h, extra])
    tag = layers.Dense(3, activation="softmax", name="tag")(h)
    score = layers.Dense(1, name="score")(h)
    model = keras.Model([tokens, extra], [tag, score])
    ids = RNG.integers(0, 50, (9, 7))
    ids[:, 5:] = 0
    given = [ids, RNG.normal(size=(9, 4)).astype("f4")]
    expected = model.predict(given, verbose=0)
    session = birnn.from_keras(model).compile("cpu")
    outputs = session.predict(given, batch_size=4)
    for one, other in zip(outputs, expected, strict=True):
        close(one, other)
    close(outputs["tag"], expected[0])
    close(session({"extra": given[1], "tokens": ids})["score"], expected[1])


def test_a_sequential_model_that_was_trained():
    model = keras.Sequential(
        [keras.Input((None, 3)), layers.GRU(4, return_sequences=True), layers.Dense(2)]
    )
    model.compile("adam", "mse")
    x = RNG.normal(size=(16, 5, 3)).astype("f4")
    before = birnn.from_keras(model).compile("cpu")(x)
    model.fit(x, RNG.normal(size=(16, 5, 2)), epochs=1, verbose=0)
    after = birnn.from_keras(model).compile("cpu")(x)
    close(after, model.predict(x, verbose=0))
    assert not np.allclose(before, after)


def test_a_mask_and_states_of_a_call():
    x = keras.Input((6, 2))
    model = keras.Model(x, layers.LSTM(3, return_state=True)(layers.Masking()(x)))
    session = birnn.from_keras(model).compile("cpu")
    given = RNG.normal(size=(4, 6, 2)).astype("f4")
    lengths = np.array([6, 2, 1, 4])
    padded = np.where(np.arange(6)[:, None] < lengths[:, None, None], given, 0)
    expected = model.predict(padded, verbose=0)
    for one, other in zip(session(padded), expected, strict=True):
        close(one, other)


def test_rows_that_read_each_other_are_not_cut_into_batches():
    # Keras 2 has no keras.ops.
    mean = keras.ops.mean if hasattr(keras, "ops") else keras.backend.mean
    x = keras.Input((4, 3))
    h = layers.GRU(5)(x)
    model = keras.Model(x, h - mean(h, axis=0, keepdims=True))
    session = birnn.from_keras(model).compile("cpu")
    given = RNG.normal(size=(1100, 4, 3)).astype("f4")
    whole = session(given)
    close(whole, model.predict(given, batch_size=1100, verbose=0))
    close(session.predict(given), whole)
    with pytest.raises(birnn.InputError, match="a mean over the batch: run all rows in one call"):
        session.predict(given, batch_size=100)
    apart = keras.Model(x, h - mean(h, axis=1, keepdims=True))
    session = birnn.from_keras(apart).compile("cpu")
    close(session.predict(given, batch_size=100), session(given))


def test_a_class_of_ones_own():
    @keras.saving.register_keras_serializable("birnn_tests")
    class Gain(layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],), initializer="random_normal")

        def call(self, x):
            return x * self.gain

    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4), Gain()])

    def gain(layer):
        # A Dense whose kernel has the gains on its diagonal.
        return birnn.CustomLayer(
            birnn.Layer("Dense", units=4, use_bias=False),
            weights=lambda arrays: [np.diag(arrays[0][1])],
        )

    x = RNG.normal(size=(2, 5, 3)).astype("f4")
    with pytest.raises(birnn.UnsupportedError, match="Gain"):
        birnn.from_keras(model)
    found = birnn.from_keras(model, custom={"birnn_tests>Gain": gain}).compile("cpu")(x)
    close(found, model.predict(x, verbose=0))

    def live(layer):
        return birnn.CustomLayer(
            layers.Dense(4, use_bias=False), weights=lambda a: [np.diag(a[0][1])]
        )

    found = birnn.from_keras(model, custom={"birnn_tests>Gain": live}).compile("cpu")(x)
    close(found, model.predict(x, verbose=0))

    def fails(arrays):
        raise LookupError("no gains")

    with pytest.raises(LookupError, match="no gains"):
        birnn.from_keras(
            model,
            custom={
                "birnn_tests>Gain": lambda _: birnn.CustomLayer(
                    birnn.Layer("Dense", units=4), weights=fails
                )
            },
        )


def test_what_is_no_model_that_was_built():
    with pytest.raises(TypeError, match="takes a model of Keras's, got int"):
        birnn.from_keras(7)
    with pytest.raises(ValueError, match="was not built"):
        birnn.from_keras(keras.Sequential([layers.LSTM(3)]))

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.lstm = layers.LSTM(3)

        def call(self, x):
            return self.lstm(x)

    model = Own()
    model(np.zeros((1, 2, 3), "f4"))
    with pytest.raises(NotImplementedError, match="class of its own"):
        birnn.from_keras(model)


def test_keras_2():
    """In a process of its own, where tf_keras is installed."""
    tf_keras = pytest.importorskip("tf_keras")
    x = tf_keras.Input((8, 2))
    layer = tf_keras.layers.Bidirectional(tf_keras.layers.GRU(3, return_state=True))
    model = tf_keras.Model(x, layer(x))
    given = RNG.normal(size=(2, 8, 2)).astype("f4")
    expected = model.predict(given, verbose=0)
    for one, other in zip(birnn.from_keras(model).compile("cpu")(given), expected, strict=True):
        close(one, other)
