"""Saying what holds the event loop, above all which handler: meanwhile no other call is answered and no signal heard.

A thread looks four times in the limit whether the loop turns; a call costs nothing more for that.
"""

import asyncio
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, TypeAlias

from structlog.stdlib import BoundLogger

from angzarr.log import get_logger

log: BoundLogger = get_logger(__name__)

Ended: TypeAlias = Callable[[float], None]
Report: TypeAlias = Callable[[FrameType, float], Ended | None]

LIMIT = 1.0
"""Seconds without a turn of the loop that are worth a warning."""
_REMEDY = "await what takes long, or build the Router with run_sync_handlers_in_thread=True"


def code_of(services: Iterable[Any]) -> dict[CodeType, str]:
    """The code of the handler classes among what is served, with its name as ``Class.method``.

    Args:
        services: routers, adapters of routers, and anything else, which has no handlers.
    """
    found: dict[CodeType, str] = {}
    for service in services:
        for info in getattr(getattr(service, "router", service), "handlers", ()):
            for base in reversed(info.cls.__mro__):
                for name, member in vars(base).items():
                    function = getattr(member, "__func__", member)
                    for layer in (function, inspect.unwrap(function)) if callable(function) else ():
                        if inspect.isfunction(layer):
                            found[layer.__code__] = f"{info.cls.__name__}.{name}"
    return found


@contextmanager
def naming_stalls(handlers: Mapping[CodeType, str], limit: float = LIMIT) -> Iterator[None]:
    """Log a warning when a handler holds the running loop for long, and another when it lets go.

    Args:
        handlers: what `code_of` found; without any, nothing is watched.
        limit: seconds without a turn that are worth it.
    """

    def report(frame: FrameType, seconds: float) -> Ended | None:
        name = _handler_in(frame, handlers)
        if not name:
            return None
        log.warning(
            "handler_blocks_event_loop",
            handler=name,
            seconds=round(seconds, 1),
            at=place_of(frame),
            remedy=_REMEDY,
        )
        return lambda total: log.warning("handler_blocked_event_loop", handler=name, seconds=round(total, 1))

    if not handlers:
        yield
        return
    with reporting_stalls(report, limit):
        yield


@contextmanager
def reporting_stalls(report: Report, limit: float) -> Iterator[None]:
    """Have a thread look whether the running loop turns.

    Args:
        report: called in that thread, once or until it answers something, when the loop does not turn: with where the
            loop's thread is and the seconds since its last turn. Its answer is called with all the seconds when the
            loop turns again; None says that the place is not worth a report.
        limit: seconds without a turn that are worth it.
    """
    watch = _Watch(report, limit)
    watch.beat()
    threading.Thread(target=watch.look, name="angzarr-stalls", daemon=True).start()
    try:
        yield
    finally:
        watch.stop()


class _Watch:
    def __init__(self, report: Report, limit: float) -> None:
        self._report = report
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stopped = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._last = time.monotonic()

    def beat(self) -> None:
        """The loop turns."""
        self._last = time.monotonic()
        self._timer = self._loop.call_later(self._limit / 4, self.beat)

    def stop(self) -> None:
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Look after the loop until it is told to stop; runs in a thread of its own."""
        while not self._stopped.wait(self._limit / 4):
            last = self._last
            seconds = time.monotonic() - last
            if seconds <= self._limit:
                continue
            ended = self._told(seconds)
            if ended is None:
                continue
            while self._last == last and not self._stopped.wait(self._limit / 4):
                pass
            if self._last != last:
                ended(self._last - last)

    def _told(self, seconds: float) -> Ended | None:
        frame = sys._current_frames().get(self._thread)
        if frame is None or frame.f_code.co_filename == __file__:  # the loop turns just now
            return None
        return self._report(frame, seconds)


def place_of(frame: FrameType) -> str:
    """Where a frame is, for people."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _handler_in(at: FrameType, handlers: Mapping[CodeType, str]) -> str:
    """The outermost handler's method on a stack, since handlers call methods of their own; ``""`` for none."""
    found = ""
    frame: FrameType | None = at
    while frame is not None:
        found = handlers.get(frame.f_code, found)
        frame = frame.f_back
    return found
