"""The history of a raw request: folded where it lies, payloads without an applier never decoded."""

from collections.abc import Callable
from typing import Any, TypeAlias

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import TYPE_URL_PREFIX, Cover, EventBook, EventPage, Snapshot, any_of
from angzarr.router.calls import Method
from angzarr.router.raw.cache import StateCache
from angzarr.router.raw.commands import RawCommands
from angzarr.router.raw.scan import page_head, sized
from angzarr.router.requests import BookCommands, BookHistory
from angzarr.router.state import Fold, explicit_sequence, snapshot_of

Applier: TypeAlias = tuple[Callable[[bytes, int, int], Any], Callable[[Any, Any], Any], Method] | tuple[()]
"""Parser and applier of an event type; empty for a type without."""

_parse_book = codec.parser_for(EventBook)
_parse_page = codec.parser_for(EventPage)
_parse_cover = codec.parser_for(Cover)
_parse_snapshot = codec.parser_for(Snapshot)

_PREFIX = TYPE_URL_PREFIX.encode()
_BOOK_DEPTH = MAX_DEPTH - 1
_PAGE_DEPTH = MAX_DEPTH - 2


class _Unusual(Exception):
    """The book is not encoded in the usual order; the codec is to read it."""


class RawHistory:
    """An EventBook within the bytes of a request.

    Args:
        data: the request.
        start: where the book begins.
        end: where it ends.
        command: the request's command book, whose cover is usually the history's too.
        cache: states to go on from, or None.
    """

    __slots__ = ("_book", "_cache", "_command", "_data", "_end", "_next", "_pages", "_snapshot", "_start")

    def __init__(
        self,
        data: bytes,
        start: int,
        end: int,
        command: RawCommands | BookCommands,
        cache: StateCache | None = None,
    ) -> None:
        self._cache = cache
        self._command = command
        self._data = data
        self._start = start
        self._end = end
        self._book: BookHistory | None = None
        self._next: int | None = None
        self._snapshot: Snapshot | None = None
        self._pages = -1

    @property
    def next_sequence(self) -> int:
        """Sequence of the next event, as the book says. Reads the whole book if nothing else has."""
        if self._next is None:
            try:
                self._read_usual(None, None)
            except Exception:
                self._read_all()
        assert self._next is not None
        return self._next

    @property
    def is_read(self) -> bool:
        """Whether the whole book is known to be well-formed."""
        return self._next is not None

    @property
    def snapshot_sequence(self) -> int | None:
        """Sequence of the book's snapshot, or None."""
        if self._book is not None:
            return self._book.snapshot_sequence
        return None if self._snapshot is None else self._snapshot.sequence

    def fold(self, fold: Fold, instance: Any) -> Any:
        """The state it gives.

        Raises:
            DecodeError: the book is malformed.
            DispatchError: as ``Fold.over``.
        """
        if self._book is None:
            try:
                return self._read_usual(fold, instance)
            except Exception:
                self._read_all()
        assert self._book is not None
        return self._book.fold(fold, instance)

    def _read_all(self) -> None:
        """Let the codec read the book: it is unusual, or something is wrong, which the fold over messages says best."""
        self._book = BookHistory(_parse_book(self._data, self._start, self._end, _BOOK_DEPTH))
        self._next = self._book.next_sequence

    def _read_usual(self, fold: Fold | None, instance: Any) -> Any:
        if self._cache is not None and fold is not None:
            return self._read_on(self._cache, fold, instance)
        data, end = self._data, self._end
        i = self._read_head()
        state, floor = (None, None) if fold is None else self._beginning(fold, instance)
        if i < end and data[i] == 0x1A:
            state, i = _fold_pages(data, i, end, fold, instance, state, floor)
        self._next = _next_sequence(data, i, end)
        return state

    def _beginning(self, fold: Fold, instance: Any) -> tuple[Any, int | None]:
        """The state before the pages, and the sequence it covers."""
        if self._snapshot is None:
            return fold.fresh(instance), None
        return fold.from_snapshot(self._snapshot.state), self._snapshot.sequence

    def _read_on(self, cache: StateCache, fold: Fold, instance: Any) -> Any:
        """As ``_read_usual``, from where an earlier history ended if this one begins with it."""
        data, end = self._data, self._end
        first = i = self._read_head()
        key = (fold, data[self._start : first])
        kept = cache.take(key)
        if kept is not None and first + len(kept[0]) <= end and data.startswith(kept[0], first):
            state, floor = kept[1], None if self._snapshot is None else self._snapshot.sequence
            i += len(kept[0])
        else:
            state, floor = self._beginning(fold, instance)
        state, i = _fold_pages(data, i, end, fold, instance, state, floor)
        self._next = _next_sequence(data, i, end)
        return cache.keep(key, data[first:i], state)

    def _read_head(self) -> int:
        """Read cover and snapshot; where the pages begin."""
        if self._pages >= 0:
            return self._pages
        data, i, end = self._data, self._start, self._end
        if i < end and data[i] == 0x0A:
            n = data[i + 1]
            start, i = (i + 2, i + 2 + n) if n < 128 and i + 2 + n <= end else _within(data, i + 1, end)
            if not self._command.vouches_for(data[start:i]):
                _parse_cover(data, start, i, _PAGE_DEPTH)
        if i < end and data[i] == 0x12:
            start, i = _within(data, i + 1, end)
            self._snapshot = snapshot_of(EventBook(snapshot=_parse_snapshot(data, start, i, _PAGE_DEPTH)))
        self._pages = i
        return i


def _within(data: bytes, i: int, end: int) -> tuple[int, int]:
    span = sized(data, i)
    if span is None or span[1] > end:
        raise _Unusual
    return span


def _next_sequence(data: bytes, i: int, end: int) -> int:
    if i == end:
        return 0
    if i + 2 == end and data[i] == 0x30 and data[i + 1] < 128:
        return data[i + 1]
    value = shift = 0
    for byte in data[i + 1 : end]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    if data[i] != 0x30 or data[end - 1] > 127 or i + 1 + shift // 7 != end or shift > 28:
        raise _Unusual
    return value


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


def _fold_pages(
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
            i, stop = _within(data, i + 1, end)
            n = stop - i
        if stop > end:
            raise _Unusual
        matched = match(data, i, stop)
        if matched is None:
            state = _fold_page(_parse_page(data, i, stop, _PAGE_DEPTH), fold, instance, state, floor)
            i = stop
            continue
        k = matched.end()
        size = heads.get(n, 0)
        known = events.get(data[k : k + size])
        if known is None or k + size + known[1] != stop:
            known = _read_event(data, k, stop, fold, instance, appliers)
            if known is None:
                state = _fold_page(_parse_page(data, i, stop, _PAGE_DEPTH), fold, instance, state, floor)
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
