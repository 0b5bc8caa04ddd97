"""Work that outlives whoever waits for it: what was begun durably is finished, whenever the caller hangs up."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anyio.abc import TaskGroup
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator.asking import on_nobodys_behalf
from angzarr.log import get_logger

T = TypeVar("T")

_log = get_logger(__name__)
_STOPPED = "The coordinator was stopped; what is stored goes on when it is started again"


async def outliving(group: TaskGroup, operation: Coroutine[Any, Any, T]) -> T:
    """Await an operation that goes on when its caller is cancelled, and has no caller's deadline.

    Args:
        group: parent of the task that it runs in.
        operation: what is to be done.

    Raises:
        GRPCError: UNAVAILABLE, the group was cancelled or has ended; or what the operation raises.
    """
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    try:
        group.start_soon(_run, operation, future)
    except RuntimeError as error:  # the group has ended
        operation.close()
        raise GRPCError(Status.UNAVAILABLE, _STOPPED) from error
    return await _heard(future)


async def _run(operation: "Coroutine[Any, Any, T]", future: "asyncio.Future[T]") -> None:
    on_nobodys_behalf()
    try:
        result = await operation
    except Exception as error:
        future.set_exception(error)
    except BaseException:
        future.set_exception(GRPCError(Status.UNAVAILABLE, _STOPPED))
        raise
    else:
        future.set_result(result)


async def _heard(future: "asyncio.Future[T]") -> T:
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_unheard)
        raise


def _unheard(future: "asyncio.Future[Any]") -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _log.warning("failed_after_its_caller_left", error=str(error))


async def stored(future: "asyncio.Future[list[Any]]", after: Callable[[list[Any]], T]) -> T:
    """Await a write and do what is to be done once it is stored, whether or not the caller is there to see it.

    Args:
        future: what the store answered to ``submit``.
        after: takes the results.
    """
    try:
        results = await asyncio.shield(future)
    except asyncio.CancelledError:
        if not future.cancelled():
            future.add_done_callback(functools.partial(_afterwards, after))
        raise
    return after(results)


def _afterwards(after: Callable[[list[Any]], object], future: "asyncio.Future[list[Any]]") -> None:
    if not future.cancelled() and future.exception() is None:
        after(future.result())
