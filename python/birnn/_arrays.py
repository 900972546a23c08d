"""NumPy arrays of whatever a caller gives, as the part in Rust reads them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from birnn._errors import InputError, InputTypeError


class HasArray(Protocol):
    """What makes an array of NumPy's of itself, such as a tensor of PyTorch's."""

    def __array__(self, *args: Any, **options: Any) -> Any: ...


class HasDlpack(Protocol):
    """What hands its memory on by DLPack."""

    def __dlpack__(self, *args: Any, **options: Any) -> Any: ...


# What a call takes: an array, or arrays in a list or by the names of inputs or layers. What stands
# in these is looked at when the call is made: type checkers would want mixed lists annotated.
Given: TypeAlias = Union[ArrayLike, HasArray, HasDlpack, Sequence[Any], Mapping[str, Any]]

# What the part in Rust converts itself, with a look at every value.
_CHECKED = ("float64", "int32", "int64", "uint32", "uint64")


def as_array(value: Any, what: str) -> NDArray[Any]:
    """An aligned array of the machine's byte order: float32, or a type of ``_CHECKED``.

    ``what`` says which array it is, as in ``input "x"``. There is a copy only where another type,
    byte order or alignment needs one.
    """
    array = _plain(value, what)
    native = array.dtype.newbyteorder("=")
    if native == np.float32 or native.name in _CHECKED:
        wanted = native
    elif _is_small(native):
        wanted = np.dtype(np.float32)
    else:
        raise InputTypeError(
            f"{what} has dtype {array.dtype}, which doesn't convert to float32 without loss; "
            f"{_instead(native)}"
        )
    return np.require(array, wanted, ["ALIGNED"])


def _plain(value: Any, what: str) -> NDArray[Any]:
    """An array of NumPy's of any array, buffer, nested list or number; without a copy if it can."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise InputTypeError(
                f"{what} is a masked array, whose mask is of values; give the timesteps that count "
                "as mask=, and value.filled(...) as the input"
            )
        return np.asarray(value.data)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    # A tensor of PyTorch's that is trained has no NumPy array, and NumPy has no bfloat16.
    if type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach"):
        value = value.detach()
        if value.device.type != "cpu":
            raise InputTypeError(f"{what} is on {value.device}; give it as x.cpu()")
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise InputTypeError(f"{what} is no array of numbers: {error}") from error


def _is_small(dtype: np.dtype[Any]) -> bool:
    """Whether float32 has all values: also of ml_dtypes' floats, such as the bfloat16 of JAX."""
    is_number = dtype.kind in "biuf" or (dtype.kind == "V" and dtype.names is None)
    return is_number and np.can_cast(dtype, np.float32, "safe")


def _instead(dtype: np.dtype[Any]) -> str:
    """What to do about a type that isn't taken."""
    if dtype.kind == "c":
        return "give its real and imaginary parts as features"
    if dtype.kind == "O":
        return "are its rows of different lengths? Pad them and give lengths="
    if dtype.kind in "fiu":
        return "give x.astype('float32') where rounding is meant"
    return "give numbers"


def as_mask(value: Any, what: str) -> NDArray[np.uint8]:
    """1 where the value isn't zero, and else 0."""
    array = _plain(value, what)
    if array.dtype.kind not in "biuf":
        raise InputTypeError(f"{what} has dtype {array.dtype}; give bools, or numbers 0 and 1")
    # Of bools the bytes, of which any but 0 is true.
    numbers = array.view(np.uint8) if array.dtype == np.bool_ else array
    mask: NDArray[np.uint8] = np.not_equal(numbers, 0).astype(np.uint8)
    return mask


def as_lengths(value: Any, what: str) -> list[int]:
    """The number of timesteps of each row."""
    array = _plain(value, what)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise InputTypeError(
            f"{what} have shape {list(array.shape)} and dtype {array.dtype}, expected whole "
            "numbers, [batch]"
        )
    lengths = [int(length) for length in array]
    for row, length in enumerate(lengths):
        if length < 0:
            raise InputError(f"{what}: that of row {row} is {length}")
    return lengths


def as_weight(value: Any) -> NDArray[np.float32]:
    """A weight, in float32."""
    return np.ascontiguousarray(_plain(value, "a weight"), dtype=np.float32)


def as_values(value: Any, name: str) -> NDArray[Any]:
    """The value of an input that no call gives: int64, uint8 for bools, or float32."""
    array = _plain(value, f'input "{name}"')
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind == "b":
        return as_mask(array, name)
    if array.dtype.kind != "f":
        raise InputTypeError(f'input "{name}" has dtype {array.dtype}; give numbers')
    return array.astype(np.float32)
