"""Exceptions: birnn's errors with birnn's texts, each also of the class that Python has for it."""

__all__ = [
    "DeviceError",
    "DeviceLostError",
    "Error",
    "FileError",
    "InputError",
    "InputTypeError",
    "MissingFileError",
    "ModelError",
    "OutOfMemoryError",
    "ReadError",
    "UnknownNameError",
    "UnsupportedError",
]


class Error(Exception):
    """Something that birnn refused or that failed.

    ``str(error)`` is a sentence that names the value at fault.
    ``kind`` is the name of the variant of Rust's ``birnn::Error``, such as ``"InputShape"``, or
    empty where birnn itself has none.
    """

    kind: str = ""

    def __str__(self) -> str:
        # OSError and KeyError would say something else.
        return str(self.args[0]) if self.args else ""


class InputError(Error, ValueError):
    """A call gives what the model doesn't take: another number of inputs, shape, length or id."""


class InputTypeError(InputError, TypeError):
    """An input is no array of numbers, or of a type that doesn't convert to float32."""


class ModelError(Error, ValueError):
    """Arguments, layers or weights don't fit together."""


class UnknownNameError(Error, KeyError):
    """A layer or an output of this name isn't there."""


class FileError(Error, ValueError):
    """A file is damaged, or of another format than it should be."""


class ReadError(Error, OSError):
    """A file can't be read; ``errno`` and ``filename`` are the system's."""


class MissingFileError(ReadError, FileNotFoundError):
    """There is no such file."""


class UnsupportedError(Error, NotImplementedError):
    """The model has a layer, an argument or an operator that birnn doesn't compute."""


class DeviceError(Error, RuntimeError):
    """There is no such device, it can't be opened, or a limit of it doesn't allow the call."""


class DeviceLostError(DeviceError):
    """The GPU is gone; see ``Session.rebuild`` and ``Session.recover_with``."""


class OutOfMemoryError(Error, MemoryError):
    """The GPU or the host has not enough memory."""


for _class in __all__:
    globals()[_class].__module__ = "birnn"
