"""Saying where the event loop was blocked: code that waits or computes too long in a handler stops everything else."""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from angzarr.log import get_logger

_log = get_logger(__name__)
_LOOP = ("asyncio", "selectors", "uvloop", "anyio", __file__)


@asynccontextmanager
async def report_stalls(limit: float = 0.2) -> AsyncIterator[None]:
    """Log a warning, with the place in the code, when the event loop does not turn for a while.

    Args:
        limit: seconds without a turn that are worth a warning.
    """
    watch = _Watch(threading.get_ident(), limit)
    beating = asyncio.create_task(watch.beat(), name="stalls")
    thread = threading.Thread(target=watch.look, name="stalls", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.stopped.set()
        beating.cancel()


class _Watch:
    def __init__(self, thread: int, limit: float) -> None:
        self.stopped = threading.Event()
        self._thread = thread
        self._limit = limit
        self._beat = time.monotonic()

    async def beat(self) -> None:
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(self._limit / 4)

    def look(self) -> None:
        told = 0.0
        while not self.stopped.wait(self._limit / 4):
            beat = self._beat
            if beat == told or time.monotonic() - beat <= self._limit:
                continue
            place = _place(self._thread)
            if place:
                told = beat
                _log.warning("event_loop_blocked", limit=self._limit, at=place)


def _place(thread: int) -> str:
    """Where a thread is; ``""`` when that is the event loop itself, which then only was not given the processor."""
    stack = traceback.extract_stack(sys._current_frames().get(thread))
    if not stack or any(part in stack[-1].filename for part in _LOOP):
        return ""
    return f"{stack[-1].filename}:{stack[-1].lineno} in {stack[-1].name}"
