"""The events a request produces, stamped: sequence, time, and in the end the book's cover and next sequence."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

import betterproto

from angzarr import codec
from angzarr.codec.wire import write_varint
from angzarr.errors import EncodeError
from angzarr.messages import Any as PackedAny
from angzarr.messages import (
    BusinessResponse,
    Cover,
    EventBook,
    EventPage,
    PageHeader,
    RevocationResponse,
    Snapshot,
    any_of,
    full_type_url_for,
    has_field,
    now,
)
from angzarr.messages.pages import LAST_SEQUENCE
from angzarr.router.calls import Method
from angzarr.router.faults import wrong_return

_NOT_EVENTS = frozenset({BusinessResponse, EventBook, EventPage, RevocationResponse, Snapshot})


class Kind:
    """An event class that handlers return.

    Attributes:
        type_url: its type URL.
        encode: its encoder.
        heads: what precedes values of some lengths in an encoded page, from the event's tag on.
    """

    __slots__ = ("encode", "heads", "type_url")

    def __init__(self, cls: type[betterproto.Message]) -> None:
        self.type_url: str = full_type_url_for(cls)
        self.encode: Callable[[Any], bytes] = codec.encoder_for(cls)
        self.heads: dict[int, bytes] = {}

    def head(self, size: int) -> bytes:
        """What precedes a value of so many bytes in an encoded page, from the event's tag on."""
        url = self.type_url.encode()
        head = b"\x0a" + write_varint(len(url)) + url
        if size:
            head += b"\x12" + write_varint(size)
        head = b"\x1a" + write_varint(len(head) + size) + head
        if size < _LONGEST_KEPT:
            self.heads[size] = head
        return head


_LONGEST_KEPT = 256
_kinds: dict[type, Kind] = {}
"""The event classes that have been emitted."""

kind_of: Callable[[type], Kind | None] = _kinds.get
"""The kind of an event class that has been emitted before; None for any other class."""

NewEvent: TypeAlias = tuple[int, Kind, bytes]
"""An event to be stored: its sequence, class and bytes."""
Item: TypeAlias = NewEvent | EventPage


class Emission:
    """Collects what handlers return and numbers it.

    Args:
        next_sequence: sequence of the first event.
    """

    __slots__ = ("cover", "created_at", "items", "next_sequence", "snapshot")

    def __init__(self, next_sequence: int) -> None:
        self.next_sequence: int = next_sequence
        self.items: list[Item] = []
        self.cover: Cover | None = None
        self.snapshot: Snapshot | None = None
        self.created_at: datetime | None = None
        """The time of all events of one request, once it has been looked at."""

    def _now(self) -> datetime:
        if self.created_at is None:
            self.created_at = now()
        return self.created_at

    def add(self, method: Method, result: object) -> None:
        """Take what a handler returned: None, a message, a list or tuple of messages, or an EventBook.

        Raises:
            DispatchError: HANDLER_WRONG_RESPONSE_KIND, anything else.
        """
        if isinstance(result, EventBook):
            self.add_book(result)
        elif isinstance(result, list | tuple):
            for event in result:
                self._add_event(method, event)
        elif result is not None:
            self._add_event(method, result)

    def add_plain(self, result: object) -> bool:
        """Take None, or an event of a class that was emitted before; False, and nothing taken, for anything else."""
        if result is None:
            return True
        kind = kind_of(type(result))
        if kind is None:
            return False
        self.items.append((self.next_sequence, kind, kind.encode(result)))
        self.next_sequence += 1
        return True

    def _add_event(self, method: Method, event: object) -> None:
        if event is not None and self.add_plain(event):
            return
        cls = type(event)
        if not issubclass(cls, betterproto.Message) or cls in _NOT_EVENTS:
            raise wrong_return(method, event)
        _kinds[cls] = Kind(cls)
        self.add_plain(event)

    def add_book(self, book: EventBook) -> None:
        """Take a book as it is; pages without sequence or time get one. The first cover that says anything wins."""
        if self.cover is None and has_field(book, "cover") and codec.encode(book.cover):
            self.cover = book.cover
        if has_field(book, "snapshot"):
            self.snapshot = book.snapshot
        for page in book.pages:
            self.items.append(self._stamped(page))
        if book.next_sequence:
            self.next_sequence = book.next_sequence

    def _stamped(self, page: EventPage) -> EventPage:
        stamped = codec.clone(page)
        name, _ = betterproto.which_one_of(page.header, "sequence_type")
        if not name:
            stamped.header.sequence = self.next_sequence
        if name in {"", "sequence"}:
            self.next_sequence = stamped.header.sequence + 1
        if not has_field(page, "created_at"):
            stamped.created_at = self._now()
        return stamped

    def require_room(self) -> None:
        """Make sure that the aggregate's next event can be numbered.

        Raises:
            EncodeError: it would be beyond the last sequence, 2**32 - 1.
        """
        if self.next_sequence > LAST_SEQUENCE:
            raise EncodeError(f"{self.next_sequence} is beyond the last sequence", "EventBook.next_sequence")

    def payloads(self, start: int = 0) -> Iterator[tuple[str, bytes]]:
        """Type URL and bytes of the inline events from a position on."""
        for item in self.items[start:]:
            if isinstance(item, tuple):
                yield item[1].type_url, item[2]
            elif (payload := any_of(item)) is not None:
                yield payload.type_url, payload.value

    def book(self, cover: Cover | None) -> EventBook:
        """The book of everything collected.

        Args:
            cover: the request's cover; a book that a handler returned with its own cover keeps that.

        Raises:
            EncodeError: the aggregate has no sequence left.
        """
        self.require_room()
        chosen = cover if self.cover is None else self.cover
        book = EventBook(pages=[self._page(item) for item in self.items], next_sequence=self.next_sequence)
        if chosen is not None:
            book.cover = codec.clone(chosen)
        if self.snapshot is not None:
            book.snapshot = self.snapshot
        return book

    def _page(self, item: Item) -> EventPage:
        if isinstance(item, EventPage):
            return item
        sequence, kind, value = item
        return EventPage(
            header=PageHeader(sequence=sequence),
            created_at=self._now(),
            event=PackedAny(type_url=kind.type_url, value=value),
        )
