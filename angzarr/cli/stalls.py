"""Saying where the event loop was blocked: code that waits or computes too long in a handler stops everything else."""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

from angzarr.log import get_logger

_log = get_logger(__name__)


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
            if beat != told and time.monotonic() - beat > self._limit:
                told = beat
                _log.warning("event_loop_blocked", limit=self._limit, at=_place(self._thread))


def _place(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    stack = traceback.extract_stack(frame) if isinstance(frame, FrameType) else []
    own = [entry for entry in stack if "asyncio" not in entry.filename and "/anyio/" not in entry.filename]
    where = own[-1] if own else None
    return f"{where.filename}:{where.lineno} in {where.name}" if where else "unknown"
