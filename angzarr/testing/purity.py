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
_ENVIRONMENT = frozenset({"getenv", "__getitem__"})
_FILES = frozenset({"open", "read_text", "read_bytes", "write_text", "write_bytes"})
_CHANCE = ("random.", "SystemRandom.", "secrets.", "uuid.", "os.urandom")
_THE_DICE: AnyValue = getattr(random, "_inst", None)


@contextmanager
def noticed(packages: Collection[str]) -> Iterator[list[str]]:
    """Collect what code of the given top-level packages reads from outside within the block.

    That is clocks, dice, the environment, files, and hashes, which differ from process to process. Only calls written
    in that code count, not those its libraries make (a log line's time is no impurity). Neither do timers for
    measuring (``perf_counter``, ``monotonic``), nor dice of its own that it has loaded (``random.Random(seed)``).

    Args:
        packages: top-level package names.

    Yields:
        What was noticed: call and place, each once.
    """
    found: list[str] = []
    before = sys.getprofile()

    def profile(frame: FrameType, event: str, argument: AnyValue) -> None:
        caller: FrameType | None
        if event == "c_call":
            name, caller = _impure_builtin(argument, frame), frame
        elif event == "call" and frame.f_back is not None:
            name, caller = _impure_function(frame), _caller_of(frame)
        else:
            return
        if name and caller and str(caller.f_globals.get("__name__", "")).partition(".")[0] in packages:
            place = f"{os.path.basename(caller.f_code.co_filename)}:{caller.f_lineno}"
            line = f"{name}() at {place}"
            if line not in found:
                found.append(line)

    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)


def is_chance(line: str) -> bool:
    """Whether what was noticed are dice, which fall otherwise the next time."""
    return line.startswith(_CHANCE)


def _impure_builtin(function: AnyValue, caller: FrameType) -> str:
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):
        return (
            f"{owner.__name__}.{name}" if issubclass(owner, datetime.date) and name in _CLASS_CLOCKS else ""
        )
    if isinstance(owner, random.Random):
        return f"random.{name}" if owner is _THE_DICE and name in {"random", "getrandbits"} else ""
    module = getattr(function, "__module__", None) or getattr(owner, "__name__", "")
    if module == "time" and name in _CLOCKS:
        return f"time.{name}"
    if name == "hash" and module == "builtins":
        return "" if caller.f_code.co_name == "__hash__" else "hash"
    if name == "open" and module in {"_io", "io"}:
        return "open"
    return "os.urandom" if name == "urandom" else ""


def _impure_function(frame: FrameType) -> str:
    if frame.f_code is now.__code__:
        return "now"
    module = frame.f_globals.get("__name__", "")
    name = frame.f_code.co_name
    if module in _DICE_MODULES:
        return _dice(frame, module, name)
    if module == "os" and name in _ENVIRONMENT:
        return "os.getenv" if name == "getenv" or frame.f_locals.get("self") is os.environ else ""
    if str(module).partition(".")[0] == "pathlib" and name in _FILES:
        return f"Path.{name}"
    return ""


def _dice(frame: FrameType, module: str, name: str) -> str:
    if module != "random":
        return f"{module}.{name}" if name in _DICE else ""
    if name.startswith("_") or name == "seed":
        return ""
    owner = frame.f_locals.get("self")
    if isinstance(owner, random.SystemRandom):
        return f"SystemRandom.{name}"
    own = isinstance(owner, random.Random) and owner is not _THE_DICE
    return "" if own else f"random.{name}"


def _caller_of(frame: FrameType) -> FrameType | None:
    """Who called, past the mapping methods that ``os.environ`` inherits."""
    caller = frame.f_back
    while caller is not None and caller.f_globals.get("__name__") in {"collections.abc", "os"}:
        caller = caller.f_back
    return caller
