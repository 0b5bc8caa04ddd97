"""The history of a raw request: folded where it lies, payloads without an applier never decoded."""

from typing import Any

from angzarr import codec
from angzarr.codec.wire import MAX_DEPTH
from angzarr.messages import Cover, EventBook, Snapshot
from angzarr.router.raw.cache import StateCache
from angzarr.router.raw.commands import RawCommands
from angzarr.router.raw.pages import PAGE_DEPTH, Unusual, fold_pages, within
from angzarr.router.requests import NO_HISTORY, BookCommands, BookHistory
from angzarr.router.state import Fold, snapshot_of

_BOOK_DEPTH = MAX_DEPTH - 1


def history_at(
    data: bytes, start: int, end: int, command: RawCommands | BookCommands, cache: StateCache | None
) -> "RawHistory | BookHistory":
    """The history at these bounds of a request."""
    if end - start < 256 and (start == end or command.vouches_for(data[start:end])):
        return NO_HISTORY  # nothing but the command's cover
    return RawHistory(data, start, end, command, cache)


class RawHistory:
    """An EventBook within the bytes of a request.

    Args:
        data: the request.
        start: where the book begins.
        end: where it ends.
        command: the request's command book, whose cover is usually the history's too; None for none.
        cache: states to go on from, or None.
    """

    _book: BookHistory | None = None
    _next: int | None = None
    _snapshot: Snapshot | None = None
    _pages = -1

    def __init__(
        self,
        data: bytes,
        start: int,
        end: int,
        command: RawCommands | BookCommands | None = None,
        cache: StateCache | None = None,
    ) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._command = command
        self._cache = cache

    @property
    def next_sequence(self) -> int:
        """Sequence of the next event, as the book says. Reads the whole book if nothing else has."""
        if self._next is None:
            try:
                i = self._pages if self._pages >= 0 else self._read_head()
                _, i = fold_pages(self._data, i, self._end, None, None, None, None)
                self._next = next_sequence_at(self._data, i, self._end)
            except Exception:
                self._read_all()
        assert self._next is not None
        return self._next

    @property
    def is_read(self) -> bool:
        """Whether the whole book is known to be well-formed."""
        return self._next is not None

    def read_rest(self) -> None:
        """Read what nobody has asked for.

        Raises:
            DecodeError: the book is malformed.
        """
        if self._next is None:
            self._next = self.next_sequence

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
        if self._book is not None:
            return self._book.fold(fold, instance)
        try:
            if self._cache is not None:
                return self._read_on(self._cache, fold, instance)
            i = self._pages if self._pages >= 0 else self._read_head()
            state, floor = (
                (fold.fresh(instance), None) if self._snapshot is None else self._from_snapshot(fold)
            )
            state, i = fold_pages(self._data, i, self._end, fold, instance, state, floor)
            self._next = next_sequence_at(self._data, i, self._end)
        except Exception:
            return self._read_all().fold(fold, instance)
        return state

    def _read_all(self) -> BookHistory:
        """Let the codec read the book: it is unusual, or something is wrong, which the fold over messages says best."""
        self._book = BookHistory(codec.parser_for(EventBook)(self._data, self._start, self._end, _BOOK_DEPTH))
        self._next = self._book.next_sequence
        return self._book

    def _from_snapshot(self, fold: Fold) -> tuple[Any, int]:
        """The state before the pages, and the sequence it covers."""
        assert self._snapshot is not None
        return fold.from_snapshot(self._snapshot.state), self._snapshot.sequence

    def _read_on(self, cache: StateCache, fold: Fold, instance: Any) -> Any:
        """As ``fold``, from where an earlier history ended if this one begins with it."""
        data, end = self._data, self._end
        first = i = self._pages if self._pages >= 0 else self._read_head()
        key = (fold, data[self._start : first])
        kept = cache.take(key)
        if kept is not None and first + len(kept[0]) <= end and data.startswith(kept[0], first):
            state, floor = kept[1], None if self._snapshot is None else self._snapshot.sequence
            i += len(kept[0])
        else:
            state, floor = (
                (fold.fresh(instance), None) if self._snapshot is None else self._from_snapshot(fold)
            )
        state, i = fold_pages(data, i, end, fold, instance, state, floor)
        self._next = next_sequence_at(data, i, end)
        return cache.keep(key, data[first:i], state)

    def _read_head(self) -> int:
        """Read cover and snapshot; where the pages begin."""
        data, i, end = self._data, self._start, self._end
        if i < end and data[i] == 0x0A:
            n = data[i + 1]
            start, i = (i + 2, i + 2 + n) if n < 128 and i + 2 + n <= end else within(data, i + 1, end)
            if self._command is None or not self._command.vouches_for(data[self._start : i]):
                codec.parser_for(Cover)(data, start, i, PAGE_DEPTH)
        if i < end and data[i] == 0x12:
            start, i = within(data, i + 1, end)
            self._snapshot = snapshot_of(
                EventBook(snapshot=codec.parser_for(Snapshot)(data, start, i, PAGE_DEPTH))
            )
        self._pages = i
        return i


def next_sequence_at(data: bytes, i: int, end: int) -> int:
    """The next sequence that follows a book's pages; 0 for none.

    Raises:
        Unusual: something else follows, or it is encoded in an unusual way.
    """
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
    if data[i] != 0x30 or data[end - 1] > 127 or i + 1 + shift // 7 != end or not 0 < shift <= 28:
        raise Unusual
    return value
