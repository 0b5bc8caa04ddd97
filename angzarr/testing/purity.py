"""Noticing that a piece of the user's code reads a clock or rolls dice, even where the result does not show it."""

import datetime
import os
import random
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any as AnyValue

from angzarr.messages import now

_CLOCKS = frozenset({"time", "time_ns", "localtime", "gmtime", "ctime"})
_CLASS_CLOCKS = frozenset({"now", "utcnow", "today"})
_DICE_MODULES = frozenset({"random", "uuid", "secrets"})
_DICE = frozenset({"uuid1", "uuid4", "token_bytes", "token_hex", "token_urlsafe", "randbelow", "choice"})


@contextmanager
def noticed(packages: Collection[str]) -> Iterator[list[str]]:
    """Collect the clocks read and dice rolled by code of the given top-level packages within the block.

    Only calls written in that code count, not those its libraries make (a log line's time is no impurity), and
    neither do timers for measuring (``perf_counter``, ``monotonic``).

    Args:
        packages: top-level package names.

    Yields:
        What was noticed: call and place, each once.
    """
    found: list[str] = []
    before = sys.getprofile()

    def profile(frame: FrameType, event: str, argument: AnyValue) -> None:
        if event == "c_call":
            name, caller = _impure_builtin(argument), frame
        elif event == "call" and frame.f_back is not None:
            name, caller = _impure_function(frame), frame.f_back
        else:
            return
        if name and str(caller.f_globals.get("__name__", "")).partition(".")[0] in packages:
            place = f"{os.path.basename(caller.f_code.co_filename)}:{caller.f_lineno}"
            line = f"{name}() at {place}"
            if line not in found:
                found.append(line)

    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)


def _impure_builtin(function: AnyValue) -> str:
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):
        return (
            f"{owner.__name__}.{name}" if issubclass(owner, datetime.date) and name in _CLASS_CLOCKS else ""
        )
    if isinstance(owner, random.Random):
        return f"random.{name}" if name in {"random", "getrandbits"} else ""
    module = getattr(function, "__module__", None) or getattr(owner, "__name__", "")
    if module == "time" and name in _CLOCKS:
        return f"time.{name}"
    return "os.urandom" if name == "urandom" else ""


def _impure_function(frame: FrameType) -> str:
    if frame.f_code is now.__code__:
        return "now"
    module = frame.f_globals.get("__name__", "")
    if module not in _DICE_MODULES:
        return ""
    name = frame.f_code.co_name
    if module == "random":
        return f"random.{name}" if not name.startswith("_") and name != "seed" else ""
    return f"{module}.{name}" if name in _DICE else ""
