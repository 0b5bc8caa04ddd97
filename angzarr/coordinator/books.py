"""Stored bytes as books, and books as what is stored. Stored pages are copied, not decoded, wherever that is enough."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from angzarr import codec
from angzarr.codec.wire import write_varint
from angzarr.coordinator.store.records import (
    COMMITTED,
    MAIN,
    REVOKED,
    History,
    Key,
    StoredPage,
    StoredSnapshot,
)
from angzarr.messages import (
    UUID,
    Cover,
    Edition,
    EventBook,
    EventPage,
    NoOp,
    PageHeader,
    Snapshot,
    pack,
)
from angzarr.router.raw.unread import UnreadPages

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AT_ONCE = 1000
_LONG = 50
_TOO_LONG = 20_000
_MAIN_NAMES = frozenset({"", "angzarr"})


def key_of(cover: Cover) -> Key:
    """The aggregate that a cover addresses; the main timeline by all of its names."""
    return Key(cover.domain, edition_name(cover.edition.name), cover.root.value)


def edition_name(name: str) -> str:
    """An edition's name as it is stored: ``""`` for the main timeline by any of its names."""
    return MAIN if name in _MAIN_NAMES else name


def cover_of(key: Key, correlation_id: str = "") -> Cover:
    """The cover that addresses an aggregate."""
    cover = Cover(domain=key.domain, root=UUID(value=key.root), correlation_id=correlation_id)
    if key.edition != MAIN:
        cover.edition = Edition(name=key.edition)
    return cover


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The time that many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=microseconds)


def _field(tag: bytes, data: bytes) -> bytes:
    return tag + write_varint(len(data)) + data


def encode_book(
    cover: Cover,
    pages: Sequence[StoredPage],
    next_sequence: int,
    snapshot: StoredSnapshot | None = None,
) -> bytes:
    """An encoded EventBook of stored pages."""
    parts = [_field(b"\x0a", codec.encode(cover))]
    if snapshot is not None:
        parts.append(_field(b"\x12", snapshot.data))
    parts += (_field(b"\x1a", page.data) for page in pages)
    if next_sequence:
        parts.append(b"\x30" + write_varint(next_sequence))
    return b"".join(parts)


def encode_history(history: History, cascade_id: str = "") -> bytes:
    """An encoded EventBook of an aggregate's history, as a cascade sees it, or who belongs to none."""
    pages = visible(history.pages, cascade_id)
    return encode_book(cover_of(history.key), pages, history.next_sequence, history.snapshot)


def event_book(
    cover: Cover,
    pages: Sequence[StoredPage],
    next_sequence: int,
    snapshot: StoredSnapshot | None = None,
) -> EventBook:
    """An EventBook of stored pages."""
    book = EventBook(cover=cover, pages=[codec.decode(EventPage, page.data) for page in pages])
    book.next_sequence = next_sequence
    if snapshot is not None:
        book.snapshot = codec.decode(Snapshot, snapshot.data)
    return book


async def event_book_in_turns(
    cover: Cover,
    pages: Sequence[StoredPage],
    next_sequence: int,
    snapshot: StoredSnapshot | None = None,
) -> EventBook:
    """As ``event_book``; between the parts of a large one, others get their turn on the event loop."""
    book = event_book(cover, pages[:_AT_ONCE], next_sequence, snapshot)
    for start in range(_AT_ONCE, len(pages), _AT_ONCE):
        await asyncio.sleep(0)
        book.pages += [codec.decode(EventPage, page.data) for page in pages[start : start + _AT_ONCE]]
    return book


async def book_to_read(
    cover: Cover,
    pages: Sequence[StoredPage],
    next_sequence: int,
    snapshot: StoredSnapshot | None = None,
) -> EventBook:
    """As ``event_book``, for whoever asked for it: the pages of a long one are decoded when they are looked at.

    Those of one that is so long that this would hold up the event loop are decoded here, in turns with others' work.
    """
    if not _LONG <= len(pages) <= _TOO_LONG:
        return await event_book_in_turns(cover, pages, next_sequence, snapshot)
    book = event_book(cover, (), next_sequence, snapshot)
    book.pages = UnreadPages([page.data for page in pages])
    return book


def stored(pages: Sequence[EventPage], *, state: int = COMMITTED, cascade_id: str = "") -> list[StoredPage]:
    """Stamped pages as they are stored."""
    return [
        StoredPage(page.header.sequence, codec.encode(page), micros(page.created_at), state, cascade_id)
        for page in pages
    ]


def visible(pages: Sequence[StoredPage], cascade_id: str = "") -> list[StoredPage]:
    """The pages as one sees them: those of other cascades that are pending, and revoked ones, are NoOp pages."""
    return [page if not page.cascade_id else _two_phase(page, cascade_id) for page in pages]


def _two_phase(page: StoredPage, cascade_id: str) -> StoredPage:
    if page.state == COMMITTED:
        confirmed = codec.decode(EventPage, page.data)
        confirmed.no_commit = False
        return page._replace(data=codec.encode(confirmed))
    return page if page.state != REVOKED and page.cascade_id == cascade_id else _no_op(page)


def _no_op(page: StoredPage) -> StoredPage:
    reason = "revoked" if page.state == REVOKED else "uncommitted"
    event = pack(NoOp(original_sequence=page.sequence, cascade_id=page.cascade_id, reason=reason))
    held = EventPage(
        header=PageHeader(sequence=page.sequence), created_at=moment(page.created_at), event=event
    )
    held.cascade_id = page.cascade_id
    return page._replace(data=codec.encode(held))
