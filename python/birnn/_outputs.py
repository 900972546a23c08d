"""The arrays that a model with several outputs returns."""

from __future__ import annotations

from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from birnn._errors import UnknownNameError

Array = NDArray[np.float32]


class Outputs(tuple[Array, ...]):
    """All arrays that a model returned, in Keras's order: ``o, h1, c1, h2, c2 = session(x)``.

    ``names`` has the name of each, such as ``"output of lstm"`` or
    ``"forward hidden state of lstm"``; ``outputs[name]`` is the array of this name, and
    ``outputs["lstm"]`` the output of this layer.
    """

    names: tuple[str, ...]

    def __new__(cls, arrays: tuple[Array, ...], names: tuple[str, ...]) -> Outputs:
        outputs = super().__new__(cls, arrays)
        outputs.names = names
        return outputs

    @overload
    def __getitem__(self, key: str | SupportsIndex) -> Array: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Array, ...]: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> Array | tuple[Array, ...]:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for wanted in (key, f"output of {key}"):
            if wanted in self.names:
                return super().__getitem__(self.names.index(wanted))
        names = ", ".join(repr(name) for name in self.names)
        raise UnknownNameError(f"the model returns no {key!r}; it returns {names}")

    def as_dict(self) -> dict[str, Array]:
        """The arrays by name."""
        return dict(zip(self.names, self, strict=True))

    @property
    def h_n(self) -> Array:
        """PyTorch's ``h_n``, ``[layers · directions, batch, units]``: all final hidden states.

        Raises UnknownNameError where the model returns none.
        """
        return self._states("hidden state")

    @property
    def c_n(self) -> Array:
        """PyTorch's ``c_n``, ``[layers · directions, batch, units]``: all final cell states.

        Raises UnknownNameError where the model returns none.
        """
        return self._states("cell state")

    def _states(self, role: str) -> Array:
        named = list(zip(self.names, self, strict=True))
        states = [array for name, array in named if f"{role} of " in name]
        if not states and role == "hidden state":
            # Of an LSTM with a proj_size they are what the projections behind its layers return;
            # the first array is the output.
            states = [array for name, array in named[1:] if self._is_projected(name)]
        if not states:
            names = ", ".join(repr(name) for name in self.names)
            raise UnknownNameError(f"the model returns no {role}; it returns {names}")
        return np.stack(states)

    def _is_projected(self, name: str) -> bool:
        """Whether it is a projection of the states of an LSTM, whose cell states are there."""
        layer = name.removeprefix("output of ").removesuffix("_reverse")
        of_cell = f"cell state of {layer.removesuffix('_projection')}"
        is_projection = name.startswith("output of ") and layer.endswith("_projection")
        return is_projection and any(other.endswith(of_cell) for other in self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Outputs, (tuple(self), self.names))

    def __repr__(self) -> str:
        arrays = [
            f"{name}, shape {list(a.shape)}:\n{a}" for name, a in zip(self.names, self, strict=True)
        ]
        return "\n\n".join(arrays)


Outputs.__module__ = "birnn"
