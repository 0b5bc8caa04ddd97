"""Forms of event pages seen before, so that the next page of the same form is recognised by one comparison."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from angzarr import codec
from angzarr.messages import type_name_from_url
from angzarr.router.calls import Method
from angzarr.router.raw.scan import page_head, sized

T = TypeVar("T")
Applier: TypeAlias = tuple[Callable[[bytes, int, int], Any], Method]
Form: TypeAlias = tuple[int, int, int, T | None]
"""What precedes an event's value: how many bytes, which bits of them matter, and these; then what is done with it."""
Shape: TypeAlias = Form[Applier]
"""The form of a page of a history; then what applies its event."""

_MOST = 2048
_OF_ONE_SIZE = 8


class Forms(Generic[T]):
    """The forms seen; a bounded number, since names and sizes come from outside.

    Args:
        use: what is done with an event, by its type URL; None for nothing.

    Attributes:
        by_size: the forms of pages of one size, the latest found first.
    """

    def __init__(self, use: Callable[[str], T | None]) -> None:
        self.by_size: dict[int, tuple[Form[T], ...]] = {}
        self._use = use
        self._count = 0

    def learn(self, data: bytes, i: int, stop: int) -> Form[T] | None:
        """Read a page; None for one that is encoded in an unusual way.

        Raises:
            IndexError: the data ends in the middle.
            UnicodeDecodeError: the type URL is not UTF-8.
        """
        head = page_head(data, i, stop)
        if head is None:
            return None
        event = head.end()
        found = _type_and_value(data, event, stop)
        if found is None:
            return None
        type_url, value = found
        mask = int.from_bytes(_digits_masked(data[i:event]) + b"\xff" * (value - event))
        form = value - i, mask, int.from_bytes(data[i:value]) & mask, self._use(type_url)
        self._keep(stop - i, form)
        return form

    def _keep(self, size: int, form: Form[T]) -> None:
        if self._count >= _MOST:
            self.by_size.clear()
            self._count = 0
        self._count += 1
        self.by_size[size] = (form, *self.by_size.get(size, ())[: _OF_ONE_SIZE - 1])


class Shapes(Forms[Applier]):
    """The forms of pages of histories.

    Args:
        appliers: the applier of each event, by full name.
    """

    def __init__(self, appliers: Mapping[str, Method]) -> None:
        def applier(type_url: str) -> Applier | None:
            method = appliers.get(type_name_from_url(type_url))
            if method is None or method.message is None:
                return None
            return codec.parser_for(method.message), method

        super().__init__(applier)


def _type_and_value(data: bytes, i: int, stop: int) -> tuple[str, int] | None:
    """The type URL of an event that fills the rest of its page, from its length on, and where its value begins.

    None for one that does not fill it, or is encoded in an unusual way.
    """
    event = sized(data, i)
    if event is None or event[1] != stop or event[0] == stop:
        return None
    i = event[0]
    size = data[i + 1]
    url_end = i + 2 + size
    if data[i] != 0x0A or size > 127 or url_end > stop:
        return None
    value = (stop, stop)
    if url_end < stop:
        span = sized(data, url_end + 1) if data[url_end] == 0x12 else None
        if span is None or span[1] != stop:
            return None
        value = span
    return data[i + 2 : url_end].decode(), value[0]


def _digits_masked(head: bytes) -> bytes:
    """For each byte of a page's head which bits matter: of the digits of sequence and time, whether more follow."""
    mask = bytearray(b"\xff" * len(head))
    i = 0
    while i < len(head) - 1:  # the header, the time; last comes the event's tag
        stop = i + 2 + head[i + 1]
        i += 2
        while i < stop:
            i += 1
            while head[i] & 0x80:
                mask[i] = 0x80
                i += 1
            mask[i] = 0x80
            i += 1
    return bytes(mask)
