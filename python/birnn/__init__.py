"""Recurrent networks of Keras, PyTorch or ONNX, run on any GPU or on the CPU.

    import birnn

    model = birnn.load("model.keras")  # or birnn.from_keras(model), birnn.from_torch(module)
    session = model.compile()  # on the best device; uploads the weights, builds the kernels
    outputs = session(x)  # x: [batch, timesteps, features]

The documentation is docs/python.md of the project.
"""

from birnn._birnn import (
    Adapter,
    Device,
    DeviceInfo,
    KerasLayer,
    Model,
    Pending,
    Profile,
    Session,
    Summary,
    SummaryRow,
    __version__,
    devices,
)
from birnn._custom import CustomLayer, Layer
from birnn._errors import (
    DeviceError,
    DeviceLostError,
    Error,
    FileError,
    InputError,
    InputTypeError,
    MissingFileError,
    ModelError,
    OutOfMemoryError,
    ReadError,
    UnknownNameError,
    UnsupportedError,
)
from birnn._keras import from_keras
from birnn._loading import load
from birnn._outputs import Outputs
from birnn._torch import from_torch

__all__ = [
    "Adapter",
    "CustomLayer",
    "Device",
    "DeviceError",
    "DeviceInfo",
    "DeviceLostError",
    "Error",
    "FileError",
    "InputError",
    "InputTypeError",
    "KerasLayer",
    "Layer",
    "MissingFileError",
    "Model",
    "ModelError",
    "OutOfMemoryError",
    "Outputs",
    "Pending",
    "Profile",
    "ReadError",
    "Session",
    "Summary",
    "SummaryRow",
    "UnknownNameError",
    "UnsupportedError",
    "__version__",
    "devices",
    "from_keras",
    "from_torch",
    "load",
]

for _function in (from_keras, from_torch, load):
    _function.__module__ = "birnn"
del _function
