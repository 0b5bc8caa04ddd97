"""States kept with the bytes of the histories they came from.

A history that begins with the bytes of one seen before, which one comparison of memory tells, is folded on from the
state that one gave; handlers get copies. Anything else is a miss, never a wrong state. It needs pure appliers and
states that can be copied.
"""

import copy
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

import betterproto

from angzarr import codec
from angzarr.log import get_logger
from angzarr.router.state import Fold

Key: TypeAlias = tuple[Fold, bytes]

_OVERHEAD = 1024
_IMMUTABLE = frozenset(
    {int, str, bytes, float, bool, type(None), datetime, date, time, timedelta, Decimal, UUID}
)
_log = get_logger(__name__)


@dataclass(slots=True)
class _Entry:
    pages: bytes
    state: Any
    size: int


class StateCache:
    """The least recently used go first when the histories kept exceed the limit.

    Args:
        limit: bytes of history, with an allowance for each state.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size: int = 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._uncopyable: set[Fold] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: Key) -> tuple[bytes, Any] | None:
        """Take out what is kept under a fold and the head of a book: the pages, and the state after them."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self.size -= entry.size
        return entry.pages, entry.state

    def keep(self, key: Key, pages: bytes, state: Any) -> Any:
        """Keep a state and the pages it came from.

        Returns:
            A copy of the state, for a handler to do with as it likes.
        """
        fold = key[0]
        size = len(key[1]) + len(pages) + _OVERHEAD
        if fold in self._uncopyable or size > self.limit:
            return state
        try:
            mine = copy_of(state)
        except Exception as error:
            self._uncopyable.add(fold)
            _log.warning("state_not_cached", state=type(state).__name__, cause=str(error))
            return state
        self._entries[key] = _Entry(pages, state, size)
        self.size += size
        while self.size > self.limit:
            _, oldest = self._entries.popitem(last=False)
            self.size -= oldest.size
        return mine


def copy_of(state: Any) -> Any:
    """A deep copy of a state."""
    if isinstance(state, betterproto.Message):
        return codec.clone(state)
    values = getattr(state, "__dict__", None)
    if (
        values is not None
        and _is_plain(state.__class__)
        and all(type(v) in _IMMUTABLE for v in values.values())
    ):
        mine = object.__new__(type(state))
        mine.__dict__.update(values)
        return mine
    return copy.deepcopy(state)


@cache
def _is_plain(cls: type) -> bool:
    """Whether instances are their ``__dict__`` and nothing else, and are copied without ceremony."""
    if hasattr(cls, "__deepcopy__") or hasattr(cls, "__copy__") or issubclass(cls, BaseException):
        return False
    ordinary = cls.__reduce_ex__ is object.__reduce_ex__ and cls.__getstate__ is object.__getstate__
    return ordinary and all(
        not base.__dict__.get("__slots__") and "__setstate__" not in base.__dict__ and not _is_builtin(base)
        for base in cls.__mro__[:-1]
    )


def _is_builtin(cls: type) -> bool:
    return cls.__module__ == "builtins"
