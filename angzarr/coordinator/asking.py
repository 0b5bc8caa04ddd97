"""Asking components: how long an answer is waited for, on whose account, and what it means that none comes.

The coordinator waits for each answer as long as its configuration says. What it asks on behalf of a caller it asks for
no longer than that caller waits, and business servers are told so; reactions outlive whoever caused them, and have all
of the coordinator's own time.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.hot import NeedsEventsError
from angzarr.log import get_logger

T = TypeVar("T")

_log = get_logger(__name__)
_ends_at: ContextVar[float | None] = ContextVar("_ends_at", default=None)
_caller_leaves_at: ContextVar[float | None] = ContextVar("_caller_leaves_at", default=None)


class OutOfTimeError(TimeoutError):
    """An endpoint noticed itself that its time is over."""


class CallerLeftError(Exception):
    """An endpoint's time is over because the caller's is; no failure of either. Whoever waited is being cancelled."""


@contextmanager
def caller_waits(seconds: float | None) -> Iterator[None]:
    """What is asked in the block is asked on behalf of a caller that waits so long; None for no end of its own."""
    if seconds is None:
        yield
        return
    leaves_at, outer = asyncio.get_running_loop().time() + seconds, _caller_leaves_at.get()
    before = _caller_leaves_at.set(leaves_at if outer is None else min(leaves_at, outer))
    try:
        yield
    finally:
        _caller_leaves_at.reset(before)


def on_nobodys_behalf() -> None:
    """What this task asks from now on it asks on the coordinator's own account, whoever started the task."""
    _caller_leaves_at.set(None)


def seconds_left() -> float | None:
    """How long the endpoint that is being asked has for its answer; None outside of ``guarded``."""
    end = _ends_at.get()
    return None if end is None else end - asyncio.get_running_loop().time()


async def guarded(what: str, operation: Awaitable[T], limit: float) -> T:
    """Await an endpoint's answer; an endpoint that raises what it may not has failed, and nobody else.

    Args:
        what: who it is, for the error and the log.
        operation: the call.
        limit: seconds it may take; ``seconds_left`` says to the call how many are left, or that the caller leaves
            before.

    Raises:
        TimeoutError: it did not answer in time.
        CallerLeftError: it noticed that the caller's time is over.
        GRPCError: the endpoint's own; INTERNAL for any other exception, with its traceback in the log.
    """
    end, leaves_at = asyncio.get_running_loop().time() + limit, _caller_leaves_at.get()
    hurried = leaves_at is not None and leaves_at < end
    before = _ends_at.set(leaves_at if hurried else end)
    try:
        async with asyncio.timeout(limit):
            return await _answer(what, operation)
    except OutOfTimeError as error:
        if hurried:
            raise CallerLeftError(f"{what} did not answer before the caller's deadline") from error
        raise
    finally:
        _ends_at.reset(before)


async def _answer(what: str, operation: Awaitable[T]) -> T:
    try:
        return await operation
    except (GRPCError, NeedsEventsError, OutOfTimeError):
        raise
    except Exception as error:
        _log.exception("endpoint_raised", endpoint=what, exc_info=error)
        text = f"{what} raised {type(error).__name__}; the coordinator's log has the traceback"
        raise GRPCError(Status.INTERNAL, text) from error
