"""The pages of a raw history, folded one by one."""

from collections.abc import Callable
from typing import Any, TypeAlias

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import TYPE_URL_PREFIX, EventPage, any_of
from angzarr.router.calls import Method
from angzarr.router.raw.scan import page_head, sized
from angzarr.router.state import Fold, explicit_sequence

Applier: TypeAlias = tuple[Callable[[bytes, int, int], Any], Callable[[Any, Any], Any], Method] | tuple[()]
"""Parser and applier of an event type; empty for a type without."""

_PREFIX = TYPE_URL_PREFIX.encode()
PAGE_DEPTH = MAX_DEPTH - 2


class Unusual(Exception):
    """The book is not encoded in the usual order; the codec is to read it."""


def within(data: bytes, i: int, end: int) -> tuple[int, int]:
    """The bounds of the value whose length stands at ``i``.

    Raises:
        Unusual: it does not end by ``end``, or its length takes more than four bytes.
    """
    span = sized(data, i)
    if span is None or span[1] > end:
        raise Unusual
    return span


def _applier(fold: Fold | None, instance: Any, type_url: bytes) -> Applier:
    """What to do with events under a type URL.

    Raises:
        UnicodeDecodeError: the URL is not UTF-8.
    """
    if fold is None:
        type_url.decode()
        return ()
    known = fold.raw.get(type_url)
    if known is None:
        name = type_url.decode().rpartition("/")[2]
        method = fold.appliers.get(name)
        if method is None or method.message is None:
            return ()
        known = (codec.parser_for(method.message), method)
        if type_url == _PREFIX + name.encode():
            fold.raw[type_url] = known
    parse, method = known
    return (
        parse,
        getattr(instance, method.name) if method.takes == 2 else fold.bound(method, instance),
        method,
    )


def fold_pages(
    data: bytes, i: int, end: int, fold: Fold | None, instance: Any, state: Any, floor: int | None
) -> tuple[Any, int]:
    """Fold the pages from ``i`` on: the state, and where they end.

    One pass of the loop is one page. What precedes the event is matched as a whole. What precedes the event's value
    (its length, the type URL, the value's length) is looked up: where the same bytes were found well-formed before, and
    what is left of the page is as long as the value was then, they are well-formed here.
    """
    appliers: dict[bytes, Applier] = {}
    heads: dict[int, int] = {}  # size of a page → size of what precedes the value, from the event's length on
    events: dict[bytes, tuple[Applier, int]] = {}  # those bytes → applier, and size of the value
    match = page_head
    while i < end and data[i] == 0x1A:
        n = data[i + 1]
        if n < 128:
            i += 2
            stop = i + n
        else:
            i, stop = within(data, i + 1, end)
            n = stop - i
        if stop > end:
            raise Unusual
        matched = match(data, i, stop)
        if matched is None:
            state = _fold_page(
                codec.parser_for(EventPage)(data, i, stop, PAGE_DEPTH), fold, instance, state, floor
            )
            i = stop
            continue
        k = matched.end()
        size = heads.get(n, 0)
        known = events.get(data[k : k + size])
        if known is None or k + size + known[1] != stop:
            known = _read_event(data, k, stop, fold, instance, appliers)
            if known is None:
                state = _fold_page(
                    codec.parser_for(EventPage)(data, i, stop, PAGE_DEPTH), fold, instance, state, floor
                )
                i = stop
                continue
            heads[n] = size = stop - known[1] - k
            events[data[k : k + size]] = known
        applier, length = known
        if applier and (floor is None or _above(data, i, floor)):
            parse, apply, method = applier
            result = apply(state, parse(data, stop - length, stop))
            if result is not None and fold is not None:
                state = fold.after(method, state, result)
        i = stop
    return state, i


def _read_event(
    data: bytes, i: int, stop: int, fold: Fold | None, instance: Any, appliers: dict[bytes, Applier]
) -> tuple[Applier, int] | None:
    """Read an event that fills the rest of its page, from its length on: its applier, and the size of its value.

    None for one that does not fill it, or is encoded in an unusual way.
    """
    span = sized(data, i)
    if span is None or span[1] != stop or span[0] == stop:
        return None
    i = span[0]
    size = data[i + 1]
    start = i + 2
    i = start + size
    if data[start - 2] != 0x0A or size > 127 or i > stop:
        return None
    url = data[start:i]
    applier = appliers.get(url)
    if applier is None:
        applier = appliers[url] = _applier(fold, instance, url)
    if i == stop:
        return applier, 0
    span = sized(data, i + 1) if data[i] == 0x12 else None
    return None if span is None or span[1] != stop else (applier, stop - span[0])


def _above(data: bytes, i: int, floor: int) -> bool:
    """Whether a page whose head is of the usual form is above a snapshot's sequence; one without a sequence is."""
    if data[i] != 0x0A:
        return True
    sequence = 0
    for byte in reversed(data[i + 3 : i + 2 + data[i + 1]]):
        sequence = sequence << 7 | byte & 127
    return sequence > floor


def _fold_page(page: EventPage, fold: Fold | None, instance: Any, state: Any, floor: int | None) -> Any:
    payload = any_of(page)
    if fold is None or payload is None:
        return state
    sequence = explicit_sequence(page)
    if floor is not None and sequence is not None and sequence <= floor:
        return state
    return fold.apply(instance, state, payload.type_url, payload.value)
