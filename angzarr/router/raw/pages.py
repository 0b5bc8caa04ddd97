"""The pages of a raw history, folded one by one."""

from typing import TYPE_CHECKING, Any

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import EventPage, any_of
from angzarr.router.raw.scan import sized
from angzarr.router.raw.shapes import Shapes
from angzarr.router.state import Fold, explicit_sequence

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE_DEPTH = MAX_DEPTH - 2
_UNAPPLIED = Shapes({})
"""The forms of pages met where no event has an applier."""


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


def fold_pages(
    data: bytes, i: int, end: int, fold: Fold | None, instance: Any, state: Any, floor: int | None
) -> tuple[Any, int]:
    """Fold the pages from ``i`` on: the state, and where they end.

    One pass of the loop is one page. Where a page as long as this one, with the same bytes up to the event's value but
    for the digits of sequence and time, was found well-formed before, this one is.
    """
    shapes = _UNAPPLIED if fold is None else fold.shapes
    known = shapes.by_size
    appliers: dict[str, Callable[[Any, Any], Any]] = {}
    from_bytes = int.from_bytes
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
        for shape in known.get(n, ()):
            if from_bytes(data[i : i + shape[0]]) & shape[1] == shape[2]:
                break
        else:
            learnt = shapes.learn(data, i, stop)
            if learnt is None:
                page = codec.parser_for(EventPage)(data, i, stop, PAGE_DEPTH)
                state = _fold_page(page, fold, instance, state, floor)
                i = stop
                continue
            shape = learnt
        size, _, _, applier = shape
        if applier is not None and fold is not None and (floor is None or _above(data, i, floor)):
            parse, method = applier
            apply = appliers.get(method.name)
            if apply is None:
                apply = appliers[method.name] = (
                    getattr(instance, method.name) if method.takes == 2 else fold.bound(method, instance)
                )
            result = apply(state, parse(data, i + size, stop))
            if result is not None:
                state = fold.after(method, state, result)
        i = stop
    return state, i


def _above(data: bytes, i: int, floor: int) -> bool:
    """Whether a page whose head is of the usual form is above a snapshot's sequence; one without a sequence is."""
    return data[i] != 0x0A or sequence_at(data, i) > floor


def sequence_at(data: bytes, i: int) -> int:
    """The sequence of a page whose head is of the usual form; 0 for one without."""
    sequence = 0
    if data[i] == 0x0A:
        for byte in reversed(data[i + 3 : i + 2 + data[i + 1]]):
            sequence = sequence << 7 | byte & 127
    return sequence


def _fold_page(page: EventPage, fold: Fold | None, instance: Any, state: Any, floor: int | None) -> Any:
    payload = any_of(page)
    if fold is None or payload is None:
        return state
    sequence = explicit_sequence(page)
    if floor is not None and sequence is not None and sequence <= floor:
        return state
    return fold.apply(instance, state, payload.type_url, payload.value)
