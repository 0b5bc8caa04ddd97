"""Worker threads for synchronous handlers: one that is stuck can be left behind, by its caller and by the process.

anyio's own worker threads are joined when the interpreter ends, so that a stuck one would hold the process for ever;
and its limit is shared with what the library itself does in threads, which stuck handlers must not starve.
"""

import asyncio
import contextlib
import contextvars
import functools
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from angzarr.log import get_logger

T = TypeVar("T")

LIMIT = 40
"""Synchronous handlers that run at a time in one event loop."""

_IDLE_SECONDS = 30.0
_log = get_logger(__name__)
_limiters: RunVar[CapacityLimiter] = RunVar("angzarr_handler_threads")


class _Worker(threading.Thread):
    """Does one job at a time; ends when there was nothing to do for a while."""

    def __init__(self) -> None:
        super().__init__(name="angzarr-handler", daemon=True)
        self.jobs: queue.SimpleQueue[Callable[[], Callable[[], None]]] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                if self._may_end():
                    return
                continue
            tell = job()
            _idle.append(self)
            tell()
            del job, tell  # they hold a request and its state

    def _may_end(self) -> bool:
        """Whether nobody has just taken the worker out of the idle ones to give it a job."""
        try:
            _idle.remove(self)
        except ValueError:
            return False
        return True


_idle: deque[_Worker] = deque()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # threads do not survive a fork


def _start(job: Callable[[], Callable[[], None]]) -> None:
    """Have a job done; it returns how to tell that it is done, by when the worker may be given the next."""
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
        worker.start()
    worker.jobs.put(job)


async def in_thread(function: Callable[[], T], name: str) -> T:
    """Call a function in a worker thread, with the caller's context variables.

    A caller that is cancelled does not wait for the function. It runs on, to no effect, and counts among the ``LIMIT``
    until it ends.

    Args:
        function: called without arguments.
        name: what the log calls it when it is left behind.

    Returns:
        What it returned; what it raised is raised.
    """
    limiter, caller = _limiter(), object()
    await limiter.acquire_on_behalf_of(caller)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def finish(result: Any, error: BaseException | None) -> None:
        limiter.release_on_behalf_of(caller)
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def job() -> Callable[[], None]:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = context.run(function)
        except StopIteration as error:  # which a future cannot hold
            failure = RuntimeError(f"{name} raised StopIteration")
            failure.__cause__ = error
        except BaseException as error:
            failure = error
        return functools.partial(tell, result, failure)

    def tell(result: T | None, failure: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, result, failure)

    _start(job)
    try:
        return await done
    except asyncio.CancelledError:
        if done.cancelled():
            _log.warning("handler_left_in_thread", handler=name)
        raise


def _limiter() -> CapacityLimiter:
    found = _limiters.get(None)
    if found is None:
        found = CapacityLimiter(LIMIT)
        _limiters.set(found)
    return found
