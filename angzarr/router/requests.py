"""Requests as the dispatch algorithms see them, whether they came as messages or as bytes."""

from collections.abc import Sequence
from typing import Any, Protocol

from angzarr import codec
from angzarr.codec.wire import write_varint
from angzarr.error_codes import codes, messages
from angzarr.messages import CommandBook, Cover, EventBook, any_of
from angzarr.router.faults import malformed
from angzarr.router.state import Fold, snapshot_of


class CommandView(Protocol):
    """A command book: whose it is, and the payloads of its pages."""

    domain: str
    root: bytes
    correlation_id: str
    payloads: Sequence[tuple[str, bytes]]

    def cover(self) -> Cover:
        """The book's cover."""

    def cover_field(self) -> bytes:
        """The same, encoded as a book's field."""


class History(Protocol):
    """The events so far."""

    @property
    def next_sequence(self) -> int:
        """Sequence of the next event."""

    @property
    def snapshot_sequence(self) -> int | None:
        """Sequence of the snapshot it starts from, if any."""

    def fold(self, fold: Fold, instance: Any) -> Any:
        """The state it gives."""


class BookHistory:
    """The events so far, as a message; None for none."""

    def __init__(self, book: EventBook | None) -> None:
        self._book = book
        self.next_sequence: int = 0 if book is None else book.next_sequence
        self.is_read = True

    @property
    def snapshot_sequence(self) -> int | None:
        snapshot = None if self._book is None else snapshot_of(self._book)
        return None if snapshot is None else snapshot.sequence

    def fold(self, fold: Fold, instance: Any) -> Any:
        return fold.over(instance, self._book)


class _NoHistory(BookHistory):
    def fold(self, fold: Fold, instance: Any) -> Any:
        return fold.fresh(instance)


NO_HISTORY = _NoHistory(None)


class BookCommands:
    """A command book, as a message."""

    def __init__(self, book: CommandBook, payloads: Sequence[tuple[str, bytes]]) -> None:
        cover = book.cover
        self.domain: str = cover.domain
        self.root: bytes = cover.root.value
        self.correlation_id: str = cover.correlation_id
        self.payloads = payloads
        self._book = book

    def cover(self) -> Cover:
        return self._book.cover

    def cover_field(self) -> bytes:
        return field_of(self._book.cover)

    def vouches_for(self, cover: bytes) -> bool:
        """Whether a cover is known to be well-formed; not by this one, whose bytes were not kept."""
        return False


def field_of(cover: Cover) -> bytes:
    """A cover encoded as a book's field."""
    encoded = codec.encode(cover)
    return b"\x0a" + write_varint(len(encoded)) + encoded


def require_commands(book: CommandBook) -> BookCommands:
    """A command book with everything that dispatching needs.

    Raises:
        DispatchError: MISSING_COMMAND_PAGE, no pages; MISSING_COMMAND_BOOK, no domain; MISSING_COMMAND_PAYLOAD, a page
            without an inline command or without its type.
    """
    if not book.pages:
        raise malformed(codes.MISSING_COMMAND_PAGE, messages.MISSING_COMMAND_PAGE)
    if not book.cover.domain:
        raise malformed(codes.MISSING_COMMAND_BOOK, messages.MISSING_COMMAND_BOOK)
    payloads = []
    for page in book.pages:
        payload = any_of(page)
        if payload is None or not payload.type_url:
            raise malformed(codes.MISSING_COMMAND_PAYLOAD, messages.MISSING_COMMAND_PAYLOAD)
        payloads.append((payload.type_url, payload.value))
    return BookCommands(book, payloads)
