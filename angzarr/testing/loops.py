"""An event loop in a thread of its own: hypothesis is synchronous, handlers are not."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any as AnyValue
from typing import TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

T = TypeVar("T")


class Loop:
    """Runs coroutines from synchronous code, whether or not a loop runs in this thread.

    ``with Loop() as loop: loop.run(perform, subject, ...)``; tasks that a call starts live on until the block ends.
    """

    def __init__(self) -> None:
        self._manager = start_blocking_portal("asyncio")
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> "Loop":
        self._portal = self._manager.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._portal = None
        self._manager.__exit__(kind, error, trace)

    def run(self, function: Callable[..., Awaitable[T]], *args: AnyValue) -> T:
        """Await ``function(*args)`` in the loop's thread.

        Raises:
            RuntimeError: the loop is not open.
        """
        if self._portal is None:
            raise RuntimeError("the loop is closed: use it inside its with block")
        return self._portal.call(function, *args)
