"""Layers of birnn's, told in Keras's words, for classes and Lambdas whose code isn't in a file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from birnn._errors import ModelError

if TYPE_CHECKING:
    from birnn import KerasLayer

# What makes a layer's weights of those in the file, which come with their names.
Convert = Callable[[list[tuple[str, NDArray[np.float32]]]], Iterable[Any]]


class Layer:
    """One of birnn's layers by Keras's name of its class and Keras's arguments.

    ``birnn.Layer("Dense", units=4, activation="relu")``. What the arguments mean is checked when
    a file is loaded.
    """

    def __init__(self, class_name: str, **arguments: Any) -> None:
        self.class_name = class_name
        self.arguments = arguments

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"Layer({self.class_name!r}{arguments})"


@dataclasses.dataclass(frozen=True)
class CustomLayer:
    """What computes a layer of a class of its own.

    ``layers`` is a layer, or several, each on what the one before returns. A layer is a
    ``birnn.Layer`` or a live layer of Keras's, whose configuration is taken.

    ``supports_masking`` says that with masks they do what the class does; without it the layer is
    refused where its input has a mask. ``weights`` makes the layers' weights, in the order of
    Keras's ``get_weights()``, of those in the file; by default they are taken as they are.
    """

    layers: Any
    supports_masking: bool = False
    weights: Convert | None = None


# What builds a layer: it gets its name, class and arguments.
Build = Callable[["KerasLayer"], Any]


def described(made: Any) -> tuple[list[str], bool, Convert | None]:
    """What a function of the caller's returned, as JSON of Keras's for each layer."""
    custom = made if isinstance(made, CustomLayer) else CustomLayer(made)
    layers: Sequence[Any] = (
        custom.layers if isinstance(custom.layers, (list, tuple)) else [custom.layers]
    )
    if not layers:
        raise ModelError("a custom layer is computed by one of birnn's layers or more, got none")
    return [_config(layer) for layer in layers], custom.supports_masking, custom.weights


def _config(layer: Any) -> str:
    if isinstance(layer, Layer):
        return json.dumps({"class_name": layer.class_name, "config": layer.arguments})
    if not hasattr(layer, "get_config"):
        raise ModelError(
            f"a custom layer is a birnn.Layer, a layer of Keras's, a list of them or a "
            f"birnn.CustomLayer, got {layer!r}"
        )
    config: dict[str, Any] = {"class_name": type(layer).__name__, "config": layer.get_config()}
    if type(layer).__module__.split(".")[0] in ("tf_keras", "tensorflow"):
        config["keras_version"] = "2.15.0"
    return json.dumps(config, default=str)
