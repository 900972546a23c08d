"""How files are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from birnn import _birnn
from birnn._errors import InputTypeError, ModelError

if TYPE_CHECKING:
    from birnn import Model
    from birnn._custom import Build


def load(
    path: str | os.PathLike[str],
    *,
    custom: Mapping[str, Build] | None = None,
    lambdas: Mapping[str, Build] | None = None,
    activations: Mapping[str, str] | None = None,
    config: str | None = None,
    prefix: str | None = None,
    nonlinearity: str | None = None,
    tied: Mapping[str, str] | None = None,
    axis_lengths: Mapping[str, int] | None = None,
    fixed_inputs: Mapping[str, Any] | None = None,
    batch_first: bool | None = None,
) -> Model:
    """Reads a model from a file.

    It is one of Keras's (``.keras``, ``.h5``), of ONNX, or of PyTorch's (``.safetensors``, ``.pt``,
    ``.pth``). The content says which format it is, not the name. Nothing in a file is executed.

    Args:
        path: the file.
        custom: Keras: for each class of your own (``"package>Name"``) a function that is given a
            ``KerasLayer`` (its name, class and arguments) and returns what computes it: a
            ``Layer``, a layer of Keras's, a list of them, or a ``CustomLayer``.
            One that ``TimeDistributed`` or ``Bidirectional`` wraps and the cell of an ``RNN`` are
            of such classes, too; the latter two are one recurrent layer.
        lambdas: Keras: the same for each ``Lambda``, by its name.
        activations: Keras: for each activation function of your own (``"package>name"``) the one of
            Keras's that computes the same, such as ``"mish"``.
        config: Keras: what ``model.to_json()`` returned, for a file of weights alone: the text,
            not the name of a file.
        prefix: PyTorch: which of its modules it is, such as ``"encoder.lstm"``.
        nonlinearity: PyTorch: that of an ``RNN``, ``"tanh"`` (default) or ``"relu"``.
        tied: ONNX: inputs that no call gives, each with the output that it is in the next call.
        axis_lengths: ONNX: the length of all axes that the file calls so.
        fixed_inputs: ONNX: inputs that no call gives, with their values.
        batch_first: PyTorch and birnn's own form: False takes and returns sequences as
            ``[timesteps, batch, features]`` (default: ``[batch, timesteps, features]``, whatever
            the module did: files don't say it).

    Raises:
        FileNotFoundError, OSError: the file can't be read.
        FileError: it is damaged or of no format that birnn reads, or an option is of another one.
        UnsupportedError: the model computes something that birnn doesn't.
        ModelError: what the file says doesn't fit together.
        UnknownNameError: ``lambdas`` names a layer that is no Lambda of the model, or
            ``activations`` one that Keras doesn't have.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InputTypeError(
            f"load takes the name of a file, got {type(path).__qualname__}; write the content of "
            "one to a file first"
        )
    # Some are encoded twice.
    if config is not None and not (isinstance(config, str) and config.lstrip()[:1] in ("{", '"')):
        raise ModelError(
            f"config takes the text of a model's configuration, what model.to_json() returned, "
            f"got {config!r:.60}; of a file give pathlib.Path(...).read_text()"
        )
    options = reading(
        custom=custom,
        lambdas=lambdas,
        activations=activations,
        config=config,
        prefix=prefix,
        nonlinearity=nonlinearity,
        tied=tied,
        axis_lengths=axis_lengths,
        fixed_inputs=fixed_inputs,
        batch_first=batch_first,
    )
    return _birnn.load(os.fspath(path), options)


_NONE = {
    name: None
    for name in (
        "custom",
        "lambdas",
        "activations",
        "config",
        "prefix",
        "nonlinearity",
        "tied",
        "axis_lengths",
        "fixed_inputs",
        "batch_first",
    )
}


def reading(**options: Any) -> dict[str, Any]:
    """All options of ``load``, None where they aren't given."""
    maps = {name: dict(o) if isinstance(o, Mapping) else o for name, o in options.items()}
    return {**_NONE, **maps}
