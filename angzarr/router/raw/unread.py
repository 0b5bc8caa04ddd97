"""Pages of a long event book that nobody has looked at yet.

A list in every respect. What it holds is decoded when something asks for it; the fold over it asks for nothing.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from angzarr import codec
from angzarr.codec.wire import write_varint
from angzarr.messages import EventPage

_reading = threading.Lock()


class UnreadPages(list[EventPage]):
    """Event pages that are decoded all together when first used.

    Args:
        pages: each of them encoded.

    Using it raises:
        DecodeError: a page is malformed.
    """

    __slots__ = ("_unread",)

    def __init__(self, pages: Sequence[bytes]) -> None:
        super().__init__()
        self._unread: Sequence[bytes] | None = pages

    def encoded(self) -> bytes | None:
        """The pages as an EventBook's fields; None when they have been decoded, and perhaps changed."""
        unread = self._unread
        if unread is None:
            return None
        return b"".join([b"\x1a" + write_varint(len(page)) + page for page in unread])

    def __len__(self) -> int:
        unread = self._unread
        return super().__len__() if unread is None else len(unread)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (list(self),)

    def _read(self) -> None:
        with _reading:
            if self._unread is not None:
                parse = codec.parser_for(EventPage)
                super().extend([parse(page, 0, len(page)) for page in self._unread])
                self._unread = None


def _after_reading(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def method(self: UnreadPages, *args: Any, **options: Any) -> Any:
        if self._unread is not None:
            self._read()
        return plain(self, *args, **options)

    return method


def _right_add(self: UnreadPages, other: list[Any]) -> list[Any]:
    return other + list(self)


USES: tuple[str, ...] = (
    *(
        "__add__",
        "__contains__",
        "__delitem__",
        "__eq__",
        "__ge__",
        "__getitem__",
        "__gt__",
        "__iadd__",
        "__imul__",
    ),
    *(
        "__iter__",
        "__le__",
        "__lt__",
        "__mul__",
        "__ne__",
        "__repr__",
        "__reversed__",
        "__rmul__",
        "__setitem__",
    ),
    *("append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"),
)
"""What of a list asks for what it holds."""

for _name in USES:
    setattr(UnreadPages, _name, _after_reading(getattr(list, _name)))
UnreadPages.__radd__ = _right_add  # type: ignore[attr-defined]
