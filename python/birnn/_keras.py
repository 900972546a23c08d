"""Live models of Keras's."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from birnn import _birnn
from birnn._errors import InputTypeError, ModelError, UnsupportedError
from birnn._loading import reading

if TYPE_CHECKING:
    from birnn import Model
    from birnn._custom import Build


def from_keras(
    model: Any,
    *,
    custom: Mapping[str, Build] | None = None,
    lambdas: Mapping[str, Build] | None = None,
    activations: Mapping[str, str] | None = None,
) -> Model:
    """Takes a live model of Keras 2 or 3, of any backend, as it is now.

    The model is saved to a temporary file, as ``model.save`` does, and read from there.

    Args:
        model: a ``keras.Model`` or ``tf_keras.Model``, Sequential or functional, that was built.
        custom: see ``load``.
        lambdas: see ``load``.
        activations: see ``load``.

    Raises:
        TypeError: it is no model of Keras's.
        ModelError: it was not built: it has no weights yet.
        UnsupportedError: it has a layer or an argument that birnn doesn't compute.
        UnknownNameError: ``lambdas`` names a layer that is no Lambda of the model, or
            ``activations`` one that Keras doesn't have.
    """
    if not hasattr(model, "save") or not hasattr(model, "get_config"):
        raise InputTypeError(f"from_keras takes a model of Keras's, got {type(model).__qualname__}")
    if not getattr(model, "built", True):
        raise ModelError(
            f"the model {model.name!r} was not built: begin it with an Input, or call it once"
        )
    old = _is_keras_2(model)
    name = f"{model.name}.h5" if old else f"{model.name}.keras"
    with tempfile.TemporaryDirectory(prefix="birnn-") as folder, warnings.catch_warnings():
        # That HDF5 is legacy, and that the model isn't compiled.
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "model.h5" if old else "model.keras")
        if old:
            try:
                model.save(path, include_optimizer=False, save_format="h5")
            except NotImplementedError as error:
                raise UnsupportedError(
                    f"the model is of a class of its own, {type(model).__name__}, whose code isn't "
                    "in a file: rebuild it as a functional model, keras.Model(inputs, outputs), of "
                    "the same layers"
                ) from error
        else:
            model.save(path)
        with open(path, "rb") as file:
            content = file.read()
    options = reading(custom=custom, lambdas=lambdas, activations=activations)
    return _birnn.from_bytes("keras", name, content, options, time_major=False)


def _is_keras_2(model: Any) -> bool:
    """Keras 3 is the package `keras` alone; Keras 2 is `tf_keras`, or `keras` before 3."""
    for ancestor in type(model).__mro__:
        package = ancestor.__module__.split(".")[0]
        if package == "tf_keras":
            return True
        if package == "keras":
            version = getattr(sys.modules.get("keras"), "__version__", "3")
            return version.split(".")[0] == "2"
    # Keras 2 inside of TensorFlow, before 2.6.
    return True
