"""``Session.predict``: many rows, batch after batch."""

from __future__ import annotations

import collections
import importlib
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from birnn._arrays import as_array
from birnn._errors import InputError
from birnn._outputs import Array, Outputs

if TYPE_CHECKING:
    from birnn import Pending, Session

# Enough rows to keep a GPU or all cores busy; few enough to hear Ctrl-C and to save memory.
BATCH = 1024
# Calls that are under way at a time, so that a GPU has the next one when it is done with one.
IN_FLIGHT = 3
# Seconds after which a prediction is long enough to show its progress.
DELAY = 1.0


def predict(
    session: Session,
    given: tuple[Any, ...],
    *,
    batch_size: int | None = None,
    mask: Any = None,
    lengths: Any = None,
    initial_state: Any = None,
    progress: bool | None = None,
) -> Array | Outputs:
    """See ``Session.predict`` in ``_birnn.pyi``."""
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it has to be 1 or more")
    inputs = _by_name(session, given)
    rows = [array.shape[_axis(session, array)] for array in inputs.values() if array.ndim]
    extras = {"mask": mask, "lengths": lengths, "initial_state": initial_state}
    if batch_size is None:
        most = max(rows, default=1)
        # States go on from row to row.
        whole = most <= BATCH or session._is_stateful() or not _in_parts(session, inputs, extras)
        batch_size = most if whole else BATCH
    else:
        _check_parts(session, inputs, extras)
    if len(set(rows)) != 1 or rows[0] <= batch_size:
        # One call, or what the call is refused for.
        outputs: Array | Outputs = session(inputs, **extras)
        return outputs
    batches = _Batches(session, inputs, extras, rows[0])
    return batches.run(batch_size, progress)


def _check_parts(session: Session, inputs: dict[str, Any], extras: dict[str, Any]) -> None:
    """That the rows run in batches, whatever the values: arrays of the shapes stand for them."""
    zero = np.zeros((), np.float32)
    shapes = {name: np.broadcast_to(zero, array.shape) for name, array in inputs.items()}
    session._check_parts((shapes,), **extras)


def _in_parts(session: Session, inputs: dict[str, Any], extras: dict[str, Any]) -> bool:
    try:
        _check_parts(session, inputs, extras)
    except InputError as error:
        if error.kind == "Parts":
            return False
        raise
    return True


class _Batches:
    """The batches of a prediction, and the arrays that their outputs are put together in."""

    def __init__(
        self, session: Session, inputs: dict[str, Any], extras: dict[str, Any], rows: int
    ) -> None:
        self.session = session
        self.inputs = inputs
        self.extras = extras
        self.rows = rows
        self.arrays: list[Array] = []

    def run(self, batch_size: int, progress: bool | None) -> Array | Outputs:
        under_way: collections.deque[tuple[int, int, Pending]] = collections.deque()
        with _Progress(self.rows, progress) as bar:
            for start in range(0, self.rows, batch_size):
                stop = min(start + batch_size, self.rows)
                under_way.append((start, stop, self._submit(start, stop)))
                if len(under_way) >= IN_FLIGHT:
                    bar.update(self._take(*under_way.popleft()))
            while under_way:
                bar.update(self._take(*under_way.popleft()))
        if len(self.arrays) == 1:
            return self.arrays[0]
        return Outputs(tuple(self.arrays), self.session.output_names)

    def _submit(self, start: int, stop: int) -> Pending:
        def part(array: Any) -> Any:
            return _part(array, _axis(self.session, array), start, stop)

        inputs = {name: part(array) for name, array in self.inputs.items()}
        several = len(self.session.input_names) > 1
        extras = {
            "mask": _rows(self.extras["mask"], several, start, stop),
            "lengths": _rows(self.extras["lengths"], several, start, stop),
            "initial_state": _states(self.extras["initial_state"], start, stop),
        }
        return self.session.submit(inputs, **extras)

    def _take(self, start: int, stop: int, pending: Pending) -> int:
        outputs = pending.wait()
        arrays = outputs if isinstance(outputs, tuple) else (outputs,)
        names = self.session.output_names
        for index, array in enumerate(arrays):
            axis = _axis(self.session, array) if array.ndim else 0
            if array.ndim == 0 or array.shape[axis] != stop - start:
                raise InputError(
                    f"{names[index]} has shape {list(array.shape)} for a batch of {stop - start} "
                    "rows: its first axis is no batch; call the session itself"
                )
            if index == len(self.arrays):
                shape = list(array.shape)
                shape[axis] = self.rows
                self.arrays.append(np.empty(shape, np.float32))
            _part(self.arrays[index], axis, start, stop)[...] = array
        return stop - start


def _by_name(session: Session, given: tuple[Any, ...]) -> dict[str, Any]:
    """The inputs as arrays, by name."""
    names = session.input_names
    only = given[0] if len(given) == 1 else None
    if isinstance(only, dict):
        by_name = only
    else:
        arrays = tuple(only) if _is_list(only, len(names)) else given
        if len(arrays) != len(names) or any(isinstance(array, dict) for array in arrays):
            session(*given)  # which says what is wrong
        by_name = dict(zip(names, arrays, strict=True))
    return {name: as_array(array, f'input "{name}"') for name, array in by_name.items()}


def _is_list(value: Any, inputs: int) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether it is a list of inputs, and no array that is written as a list."""
    if not isinstance(value, (list, tuple)):
        return False
    is_array = any(hasattr(part, "__array__") or hasattr(part, "__dlpack__") for part in value[:1])
    return inputs > 1 or is_array or not value


def _axis(session: Session, array: Any) -> int:
    return session._batch_axis(array.ndim)


def _part(array: Any, axis: int, start: int, stop: int) -> Any:
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _rows(extra: Any, several: bool, start: int, stop: int) -> Any:
    """The rows of a mask or of lengths; of several inputs they stand in a dict or a list."""
    if extra is None:
        return None
    if isinstance(extra, dict):
        return {name: _rows(value, False, start, stop) for name, value in extra.items()}
    if several and isinstance(extra, (list, tuple)):
        return [_rows(value, False, start, stop) for value in extra]
    return np.asarray(extra)[start:stop]


def _states(states: Any, start: int, stop: int) -> Any:
    """The rows of initial states, which stand in lists and dicts."""
    if states is None:
        return None
    if isinstance(states, dict):
        return {layer: _states(value, start, stop) for layer, value in states.items()}
    if isinstance(states, (list, tuple)):
        return [as_array(state, "an initial state")[start:stop] for state in states]
    return as_array(states, "an initial state")[start:stop]


class _Progress:
    """A bar of tqdm's, where that is installed and somebody looks; nothing else otherwise."""

    def __init__(self, rows: int, wanted: bool | None) -> None:
        self.bar: Any = None
        if wanted is None:
            wanted = sys.stderr is not None and (sys.stderr.isatty() or _is_notebook())
        if wanted:
            try:
                tqdm = importlib.import_module("tqdm.auto").tqdm
            except ImportError:
                return
            self.bar = tqdm(total=rows, unit="row", delay=DELAY)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, rows: int) -> None:
        if self.bar is not None:
            self.bar.update(rows)


def _is_notebook() -> bool:
    """Whether the code runs in a kernel of Jupyter's."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
