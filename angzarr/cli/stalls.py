"""Saying where the event loop was blocked: code that waits or computes too long in a handler stops everything else.

A watchdog finds whatever takes long. Where blockbuster is installed, it also finds calls that may: files, sockets and
sleeping in the event loop. In a development run they are reported, not forbidden.
"""

import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from angzarr.log import get_logger
from angzarr.server.stalls import place_of, reporting_stalls

_log = get_logger(__name__)
_OURS = str(Path(__file__).parents[1])
_NOT_THE_USERS = (
    _OURS,
    "<",
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)
_LOOP = ("asyncio", "selectors", "uvloop", "anyio")


def report_stalls(limit: float = 0.2) -> AbstractContextManager[None]:
    """Log a warning, with the place in the code, when the running event loop does not turn for a while.

    Args:
        limit: seconds without a turn that are worth a warning.
    """

    def report(frame: FrameType, seconds: float) -> Callable[[float], None] | None:
        if any(part in frame.f_code.co_filename for part in _LOOP):
            return None  # the loop itself, which only was not given the processor
        _log.warning("event_loop_blocked", limit=limit, at=place_of(frame))
        return lambda total: None

    return reporting_stalls(report, limit)


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
            place = place_of(frame)
        elif place and file.startswith(_OURS):
            return place
        frame = frame.f_back
    return ""
