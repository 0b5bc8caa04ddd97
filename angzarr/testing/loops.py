"""Awaiting from synchronous code: hypothesis is synchronous, handlers are not."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any as AnyValue
from typing import TypeVar

from anyio.from_thread import start_blocking_portal

T = TypeVar("T")


class Loop:
    """Runs coroutines from synchronous code, whether or not a loop runs in this thread.

    ``with Loop() as loop: loop.run(perform, subject, ...)``.

    Args:
        background: run in a thread of its own through an anyio portal, so that tasks go on between calls. Otherwise,
            where no loop runs in this thread, in this thread: quicker, but between calls everything stands still.
    """

    def __init__(self, *, background: bool = False) -> None:
        self._background = background
        self._stack = ExitStack()
        self._run: Callable[..., AnyValue] | None = None

    def __enter__(self) -> "Loop":
        if self._background or _loop_runs_here():
            portal = self._stack.enter_context(start_blocking_portal("asyncio"))
            self._run = portal.call
        else:
            # not made the thread's current loop, which may be a plugin's
            own = asyncio.new_event_loop()
            self._stack.callback(_finish, own)
            self._run = lambda function, *args: own.run_until_complete(function(*args))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run = None
        self._stack.close()

    def run(self, function: Callable[..., Awaitable[T]], *args: AnyValue) -> T:
        """Await ``function(*args)`` in the loop.

        Raises:
            RuntimeError: the loop is not open.
        """
        if self._run is None:
            raise RuntimeError("the loop is closed: use it inside its with block")
        result: T = self._run(function, *args)
        return result


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
