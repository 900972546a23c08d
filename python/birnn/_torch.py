"""Live modules of PyTorch's, and their state dicts."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from birnn import _birnn
from birnn._arrays import _plain
from birnn._errors import InputTypeError
from birnn._loading import reading

if TYPE_CHECKING:
    from birnn import Model

# The names that safetensors has for NumPy's types.
_DTYPES = {
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "bool": "BOOL",
}


def from_torch(
    module: Any,
    *,
    prefix: str | None = None,
    nonlinearity: str | None = None,
    batch_first: bool | None = None,
) -> Model:
    """Takes a live recurrent module of PyTorch's as it is now, or a state dict of one.

    It is an ``nn.LSTM``, ``nn.GRU``, ``nn.RNN`` or a cell of these.

    A live module says itself what a state dict doesn't: its ``nonlinearity``, and with
    ``batch_first=False`` (PyTorch's default) the model takes and returns sequences as the module
    does, ``[timesteps, batch, features]``. Of a state dict, as of a file, arrays are batch first
    unless ``batch_first=False`` is given.
    A cell's model takes sequences, too: a step of the cell is a sequence of one timestep,
    ``output, h = session(x[:, None], initial_state=[h])``, of an ``LSTMCell`` ``output, h, c =
    session(x[:, None], initial_state=[h, c])``, each state ``[batch, units]``.

    The outputs are the output, then of each layer and direction the final hidden state and of an
    LSTM the cell state; ``outputs.h_n`` and ``outputs.c_n`` put them together as PyTorch does.

    Args:
        module: the module, or a mapping of names to tensors. Of a module with others in it
            ``prefix`` says which one.
        prefix: the name of the recurrent module in it, such as ``"encoder.lstm"``.
        nonlinearity: ``"tanh"`` or ``"relu"``, of a state dict of an ``RNN``.
        batch_first: whether sequences are ``[batch, timesteps, features]`` (default: what a live
            module says, and True of a state dict).

    Raises:
        TypeError: it is neither a module nor a state dict.
        FileError: it holds no recurrent module, or more than one.
        ModelError: weights don't fit together, or are NaN or infinite.
    """
    time_major = batch_first is False
    name = "the state dict"
    if not isinstance(module, Mapping):
        if not hasattr(module, "state_dict"):
            kind = type(module).__qualname__
            raise InputTypeError(
                f"from_torch takes a module of PyTorch's or a state dict, got {kind}"
            )
        part = module if prefix is None else module.get_submodule(prefix)
        name = type(part).__qualname__
        if _is_recurrent(part):
            # The module is all that there is.
            module, prefix = part, None
            if batch_first is None:
                time_major = not getattr(part, "batch_first", True)
            nonlinearity = nonlinearity or getattr(part, "nonlinearity", None)
        module = module.state_dict()
    options = reading(prefix=prefix, nonlinearity=nonlinearity)
    return _birnn.from_bytes("torch", name, _safetensors(module), options, time_major=time_major)


def _is_recurrent(module: Any) -> bool:
    """Whether it is one of PyTorch's recurrent modules, or of a class made of one."""
    names = {ancestor.__name__ for ancestor in type(module).__mro__}
    return bool(names & {"RNNBase", "RNNCellBase"})


def _safetensors(state: Mapping[str, Any]) -> bytes:
    """The file of safetensors' that holds these tensors."""
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    end = 0
    for name, tensor in state.items():
        array = _array(name, tensor)
        data = array.tobytes()
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [end, end + len(data)],
        }
        end += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def _array(name: str, tensor: Any) -> NDArray[Any]:
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
    array = _plain(tensor, f"tensor {name!r}")
    if array.dtype == object:
        raise InputTypeError(
            f"{name!r} of the state dict is no tensor of numbers but {type(tensor).__qualname__}; "
            "quantized modules (quantize_dynamic) keep such: give the module of before, or its "
            "state dict"
        )
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    if array.dtype.name not in _DTYPES:
        raise InputTypeError(f"tensor {name!r} has dtype {array.dtype}; give floats")
    return array
