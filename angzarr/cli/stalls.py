"""Saying where the event loop was blocked: code that waits or computes too long in a handler stops everything else.

A watchdog finds whatever takes long. Where blockbuster is installed, it also finds calls that may: files, sockets and
sleeping in the event loop. In a development run they are reported, not forbidden.
"""

import asyncio
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from angzarr.log import get_logger

_log = get_logger(__name__)
_OURS = str(Path(__file__).parents[1])
_NOT_THE_USERS = (
    _OURS,
    "<",
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)
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


@contextmanager
def report_blocking_calls() -> Iterator[None]:
    """Log a warning for each place in the user's code that makes a blocking call in the event loop.

    Without blockbuster it does nothing.
    """
    try:
        from blockbuster import BlockBuster
    except ImportError:
        yield
        return
    blocking = BlockBuster()
    told: set[tuple[str, str]] = set()
    for name, function in blocking.functions.items():
        function.can_block_predicate = _reporting(name, function.can_block_predicate, told)
    blocking.activate()
    try:
        yield
    finally:
        blocking.deactivate()


def _reporting(name: str, may: Callable[..., bool], told: set[tuple[str, str]]) -> Callable[..., bool]:
    def allowed(*args: Any, **kwargs: Any) -> bool:
        if not may(*args, **kwargs):
            place = _users_place(sys._getframe(2))
            if place and (name, place) not in told:
                told.add((name, place))
                _log.warning("blocking_call", call=name, at=place)
        return True

    return allowed


def _users_place(frame: Any) -> str:
    """Where in the user's own code that is, if it was called by ours; ``""`` else, and while something is imported."""
    place = ""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return ""
        if not place and not file.startswith(_NOT_THE_USERS):
            place = f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
        elif place and file.startswith(_OURS):
            return place
        frame = frame.f_back
    return ""
