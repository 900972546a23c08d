"""Waiting without blocking an event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from birnn import Outputs, Pending, Session
    from birnn._outputs import Array


def wait(pending: Pending) -> Generator[Any, None, Array | Outputs]:
    """What ``await pending`` does: a thread of the loop's waits."""
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(None, pending.wait).__await__()


async def run(session: Session, inputs: tuple[Any, ...], **options: Any) -> Array | Outputs:
    """``session(...)`` on a thread of the loop's."""
    loop = asyncio.get_running_loop()
    call = functools.partial(session, *inputs, **options)
    outputs: Array | Outputs = await loop.run_in_executor(None, call)
    return outputs
