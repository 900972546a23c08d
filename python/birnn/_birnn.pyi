"""The part of birnn that is in Rust. The texts are written by tests/test_stubs.py."""

import os
from collections.abc import Generator
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from birnn._arrays import Given

__version__: Final[str]

@final
class Adapter:
    """An adapter that was found, or the CPU path.

    It has its ``info``, why it is ``unusable`` (None where it isn't), and its limits in bytes.
    """
    @property
    def info(self) -> DeviceInfo: ...
    @property
    def unusable(self) -> str | None: ...
    @property
    def max_buffer_size(self) -> int | None: ...
    @property
    def max_storage_buffer_binding_size(self) -> int | None: ...

@final
class Device:
    """A device that models are compiled for. Sessions on the same Device share it.

    Args:
        wanted: "best" (a GPU, or else the CPU path; what the environment
            variable BIRNN_DEVICE names, where it is set), "gpu", "cpu", "reference", "gpu:1" or
            "pci:0000:3b:00.0" (see DeviceInfo), or part of an adapter's name.
        threads: how many threads the CPU path computes on (default: as many as cores).
        half_weights: whether weights of recurrent layers are stored in 16 bits, which changes
            results by up to 1e-3.
        allow_software: whether a software adapter may be chosen.
        autotune: whether a GPU times a few ways of running each layer.
        persistent: whether a GPU may run timesteps by workgroups that wait for each other.
        memory_budget: how many bytes of a GPU's memory a call may take.
        gpu_time: whether a GPU records how long it works on a call, for Session.gpu_time.

    Raises:
        DeviceError: there is no such device, or it can't be opened.
        ModelError: an option is no number that it can be.
    """
    def __new__(
        cls,
        wanted: str = "best",
        *,
        threads: int | None = None,
        half_weights: bool = False,
        allow_software: bool | None = None,
        autotune: bool = False,
        persistent: bool = False,
        memory_budget: int | None = None,
        gpu_time: bool = False,
    ) -> Device: ...
    @property
    def info(self) -> DeviceInfo:
        """Describes the device, and says why it was chosen."""

@final
class DeviceInfo:
    """Describes a device.

    It has its ``name``, ``kind``, ``backend`` and ``driver``; its ``index`` among the adapters
    and its ``pci`` address, for ``"gpu:1"`` and ``"pci:0000:3b:00.0"``; and the ``reason`` why
    it was chosen.
    """
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def index(self) -> int | None: ...
    @property
    def pci(self) -> str: ...
    @property
    def reason(self) -> str: ...

@final
class KerasLayer:
    """A layer in the file that Python builds: its names, and the arguments that its `get_config`
    wrote.
    """
    @property
    def name(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    @property
    def config(self) -> dict[str, Any]: ...

@final
class Model:
    """A network: its layers, how they are connected, and their weights.

    It comes from load, from_keras or from_torch; compile makes it ready to run.
    """
    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
    @property
    def output_names(self) -> list[str]:
        """What the model returns, in order, such as ``output of lstm``."""
    @property
    def layer_names(self) -> list[str]:
        """The names of the layers, in order."""
    def compile(
        self,
        device: Device | str | None = None,
        *,
        threads: int | None = None,
        half_weights: bool = False,
        allow_software: bool | None = None,
        autotune: bool = False,
        persistent: bool = False,
        memory_budget: int | None = None,
        gpu_time: bool = False,
    ) -> Session:
        """Makes the model ready to run: uploads its weights and builds the kernels.

        Args:
            device: a Device, or "best" (a GPU, or else the CPU path; what the environment
                variable BIRNN_DEVICE names, where it is set), "gpu", "cpu", "reference", "gpu:1" or
                "pci:0000:3b:00.0" (see DeviceInfo), or part of an adapter's name.
            threads: how many threads the CPU path computes on (default: as many as cores).
            half_weights: whether weights of recurrent layers are stored in 16 bits, which changes
                results by up to 1e-3.
            allow_software: whether a software adapter may be chosen.
            autotune: whether a GPU times a few ways of running each layer.
            persistent: whether a GPU may run timesteps by workgroups that wait for each other.
            memory_budget: how many bytes of a GPU's memory a call may take.
            gpu_time: whether a GPU records how long it works on a call, for Session.gpu_time.

        Raises:
            DeviceError: there is no such device, or it can't be opened.
            ModelError: a layer has no weights, an option is no number that it can be, or a Device
                and options are given.
            OutOfMemoryError: there is not enough memory.
        """
    def save(
        self,
        path: str | os.PathLike[str],
        *,
        half_weights: bool = False,
        batch_first: bool | None = None,
    ) -> None:
        """Writes the model in birnn's own form, which load reads: a ``.safetensors`` file.

        Args:
            path: the file, which is replaced; its name ends in ``.safetensors``.
            half_weights: whether weights are rounded to 16 bits.
            batch_first: of a model that takes ``[timesteps, batch, features]``, as a module of
                PyTorch's with ``batch_first=False``, True writes one that takes
                ``[batch, timesteps, features]``: no file says which. A pickle keeps the layout.

        Raises:
            OSError: the file can't be written.
            FileError: the name ends otherwise, as that of another form.
            ModelError: a layer has no weights, or the model takes the timesteps first.
        """
    def summary(self) -> Summary:
        """Lists the model's inputs and layers, with shapes and numbers of weights."""
    def weights(self, layer: str) -> list[NDArray[np.float32]]:
        """Copies the weights of a layer: the arrays of Keras's get_weights, in the same order.

        Raises:
            UnknownNameError (a KeyError): no layer has this name.
            ModelError: the layer's weights aren't set.
        """
    def _repr_html_(self) -> str: ...

@final
class Pending:
    """A call in flight, of ``Session.submit``: ``pending.wait()`` or ``await pending``."""
    def wait(self) -> Any:
        """Waits for the outputs, which are those of a call; it can be called again.

        Raises:
            DeviceError: the GPU failed meanwhile.
        """
    def __await__(self) -> Generator[Any, None, Any]: ...

@final
class Profile:
    """Where the time of calls went, of ``Session.profile``; printed it is a table.

    It has the ``device``, the number of ``calls``, their ``seconds`` together, the ``outputs`` of
    the last one, and:

    - ``operators``, a list of dicts in the order in which they ran, for ``pandas.DataFrame`` too:
      ``layer``, ``operator``, ``kernels`` (what computed it: kernels of the GPU; on the CPU
      "vectors", "plain" for plain code on one thread, or "view" where nothing is copied), ``shape``
      of what it writes, ``count`` (launches of kernels; on the CPU how often it ran), ``seconds``,
      and ``share`` of the whole;
    - ``outside_seconds``, in which no operator ran;
    - ``host_seconds``, a dict of what the host did: "inputs" (comparing them with the model),
      "prepare" (planning a new shape), and of a GPU "submit" and "wait".
    """
    @property
    def device(self) -> str: ...
    @property
    def calls(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def outside_seconds(self) -> float: ...
    @property
    def operators(self) -> list[dict[str, Any]]: ...
    @property
    def host_seconds(self) -> dict[str, float]: ...
    @property
    def outputs(self) -> Any: ...
    def trace(self) -> str:
        """The profile as Chrome's trace events: JSON that chrome://tracing and
        https://ui.perfetto.dev draw along time.
        """
    def save_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes ``trace()`` to a file.

        Args:
            path: the file, which is replaced.

        Raises:
            OSError: the file can't be written.
        """
    def _repr_html_(self) -> str: ...

@final
class Session:
    """A model made ready for a device by ``Model.compile``: ``outputs = session(x)``.

    It runs any batch and any number of timesteps that the model takes. Threads can share it: their
    calls come one after another. While birnn computes, other threads of Python run; arrays that it
    was given must not be written to meanwhile.
    """
    # An array or Outputs: which one, the model says, and no type checker. So that callers need not
    # ask each time, it is Any; `outputs: birnn.Outputs = session(x)` says which.
    def __call__(
        self,
        *inputs: Given,
        mask: Given | None = None,
        lengths: Given | None = None,
        initial_state: Given | None = None,
    ) -> Any:
        """Runs the model: ``session.run(x)``, or ``session(x)``, which is the same.

        Args:
            *inputs: an array, or one for each input of the model in order; also one list of them,
                or one dict of them by name. Sequences are [batch, timesteps, features], ids
                [batch, timesteps]. Anything that NumPy, DLPack or the buffer protocol makes an
                array of, in any memory order. float32 on the CPU is read where it is; smaller
                floats, integers and bools are converted, float64 is rounded. Whole numbers that
                float32 can't hold are refused.
            mask: [batch, timesteps], true where the timestep counts; of several inputs a dict by
                name, or a list.
            lengths: in place of a mask how many timesteps each row has, [batch]; of several inputs
                a dict by name, or a list. An input has a mask or lengths, not both.
            initial_state: the states that the first recurrent layer starts from, each
                [batch, units], in the order of Keras's initial_state; a dict gives them by layer.

        Returns:
            What Keras's predict returns: a float32 array of a model with one output, and of any
            other an Outputs, a tuple of arrays with names.

        Raises:
            InputError (a ValueError): the inputs don't fit the model.
            InputTypeError (also a TypeError): an input is no array of numbers.
            UnknownNameError (a KeyError): initial states are given for a layer that isn't there.
            DeviceError (a RuntimeError), OutOfMemoryError (a MemoryError): the call is too large,
                or the GPU failed.
        """
    def run(
        self,
        *inputs: Given,
        mask: Given | None = None,
        lengths: Given | None = None,
        initial_state: Given | None = None,
    ) -> Any:
        """Runs the model: ``session.run(x)``, or ``session(x)``, which is the same.

        Args:
            *inputs: an array, or one for each input of the model in order; also one list of them,
                or one dict of them by name. Sequences are [batch, timesteps, features], ids
                [batch, timesteps]. Anything that NumPy, DLPack or the buffer protocol makes an
                array of, in any memory order. float32 on the CPU is read where it is; smaller
                floats, integers and bools are converted, float64 is rounded. Whole numbers that
                float32 can't hold are refused.
            mask: [batch, timesteps], true where the timestep counts; of several inputs a dict by
                name, or a list.
            lengths: in place of a mask how many timesteps each row has, [batch]; of several inputs
                a dict by name, or a list. An input has a mask or lengths, not both.
            initial_state: the states that the first recurrent layer starts from, each
                [batch, units], in the order of Keras's initial_state; a dict gives them by layer.

        Returns:
            What Keras's predict returns: a float32 array of a model with one output, and of any
            other an Outputs, a tuple of arrays with names.

        Raises:
            InputError (a ValueError): the inputs don't fit the model.
            InputTypeError (also a TypeError): an input is no array of numbers.
            UnknownNameError (a KeyError): initial states are given for a layer that isn't there.
            DeviceError (a RuntimeError), OutOfMemoryError (a MemoryError): the call is too large,
                or the GPU failed.
        """
    def submit(
        self,
        *inputs: Given,
        mask: Given | None = None,
        lengths: Given | None = None,
        initial_state: Given | None = None,
    ) -> Pending:
        """Starts a call and returns while the GPU computes.

        Several calls can be in flight. The inputs are copied before it returns. On the CPU path it
        computes before it returns; run_async doesn't block there either. The arguments and errors
        are those of a call.

        Returns:
            A Pending: ``pending.wait()`` or ``await pending`` gives the outputs.
        """
    def profile(
        self,
        *inputs: Given,
        mask: Given | None = None,
        lengths: Given | None = None,
        initial_state: Given | None = None,
        calls: int = 1,
    ) -> Profile:
        """Runs the model and says where the time goes, layer by layer.

        Results, and the states that stateful layers are left with, are those of a call. The first
        call of a shape also plans its work: call the session before, where that is not to be
        measured. On a GPU, launches take some microseconds more while they are profiled.

        Args:
            *inputs, mask, lengths, initial_state: as of a call.
            calls: how many calls are made and added up (at least 1).

        Returns:
            A Profile.

        Raises:
            As a call; DeviceError also where a GPU has no timestamps, ValueError where calls is 0.
        """
    def predict(
        self,
        *inputs: Given,
        batch_size: int | None = None,
        mask: Given | None = None,
        lengths: Given | None = None,
        initial_state: Given | None = None,
        progress: bool | None = None,
    ) -> Any:
        """Runs the model on many rows, batch after batch; Ctrl-C is heard between batches.

        The results are those of one call with all rows; of a stateful model, whose states go from
        batch to batch, they are those of Keras's predict. Masks, lengths and initial states are
        those of all rows, too.

        Args:
            *inputs: as of a call.
            batch_size: how many rows a batch has (default 1024; all rows of a stateful model, of an
                ONNX model, which doesn't say which axis is the batch, and of one whose operations
                may read several rows at once: of the last two any batch_size is refused).
            mask, lengths, initial_state: as of a call.
            progress: whether a bar of tqdm's shows how far it is, where tqdm is installed (default:
                in a terminal or notebook, after a second).

        Returns:
            As a call.

        Raises:
            As a call; InputError also where the rows can't run in batches.
        """
    async def run_async(
        self,
        *inputs: Given,
        mask: Given | None = None,
        lengths: Given | None = None,
        initial_state: Given | None = None,
    ) -> Any:
        """Runs the model without blocking the event loop: ``outputs = await session.run_async(x)``.

        A thread of the loop's makes the call. The arguments, results and errors are those of a
        call. Arrays must not be written to before it is done.
        """
    def reset_states(self) -> None:
        """Makes stateful layers start from zeros in the next call, as Keras's reset_states."""
    def rebuild(self, device: Device | str) -> None:
        """Builds the session again on a device, after DeviceLostError or to move it there.

        Args:
            device: a Device, or a name as Model.compile takes it.

        Raises:
            DeviceError, OutOfMemoryError: as Model.compile.
        """
    def recover_with(self, *devices: str) -> None:
        """Makes calls go on when the GPU is lost: on the first of these devices that opens, such as
        ``session.recover_with("gpu", "cpu")``.
        """
    @property
    def device(self) -> DeviceInfo:
        """The device that it runs on, and why it was chosen."""
    @property
    def gpu_time(self) -> float | None:
        """How many seconds the GPU worked on the last call.

        From the beginning of its first kernel to the end of its last one, without copies to and
        from the GPU. None before the first call, on the CPU path, and unless the device was opened
        with gpu_time=True and has timestamps.
        """
    @property
    def input_names(self) -> list[str]:
        """The names of the model's inputs, in order."""
    @property
    def output_names(self) -> tuple[str, ...]:
        """What the model returns, in order, such as ``output of lstm``."""
    def _batch_axis(self, axes: int) -> int: ...
    def _is_stateful(self) -> bool: ...
    def _check_parts(
        self,
        inputs: tuple[Any, ...],
        mask: Given | None = None,
        lengths: Given | None = None,
        initial_state: Given | None = None,
    ) -> None: ...

@final
class Summary:
    """A table of a model's inputs and layers: its ``rows``, and the number of ``parameters``."""
    @property
    def rows(self) -> list[SummaryRow]: ...
    @property
    def parameters(self) -> int: ...
    def _repr_html_(self) -> str: ...

@final
class SummaryRow:
    """An input or a layer of a model. In shapes None is any length."""
    @property
    def name(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    @property
    def output_shapes(self) -> list[list[int | None]]: ...
    @property
    def parameters(self) -> int: ...
    @property
    def connected_to(self) -> list[str]: ...
    @property
    def given_as(self) -> str | None: ...

def devices() -> list[Adapter]:
    """Lists the adapters that were found, best first, and the CPU path."""

def load(path: str | os.PathLike[str], reading: dict[str, Any]) -> Model: ...
def from_bytes(
    format: str, name: str, bytes: bytes, reading: dict[str, Any], time_major: bool
) -> Model: ...
