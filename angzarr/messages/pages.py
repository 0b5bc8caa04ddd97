"""Reading and making the pages of books."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias, TypeVar

import betterproto
from betterproto.lib.google.protobuf import Any

from angzarr import codec
from angzarr._gen.angzarr_client.proto.angzarr import (
    CommandBook,
    CommandPage,
    CommandResponse,
    Cover,
    EventBook,
    EventPage,
    MergeStrategy,
    PageHeader,
    SequenceRange,
    TemporalQuery,
)
from angzarr.messages.names import framework_name, type_name_from_url
from angzarr.messages.packing import try_unpack

M = TypeVar("M", bound=betterproto.Message)
Page: TypeAlias = EventPage | CommandPage

LAST_SEQUENCE = 2**32 - 1
"""The largest that a header can carry."""


def sequence_of(page: Page) -> int:
    """The page's explicit sequence; 0 without one, also for deferred headers."""
    header = page.__dict__.get("header")
    sequence: int = 0 if header is None else header.__dict__.get("sequence", 0)
    return sequence


def is_deferred(page: Page) -> bool:
    """Whether the coordinator is to find the sequence (external or angzarr deferred header)."""
    return betterproto.which_one_of(page.header, "sequence_type")[0] in {
        "external_deferred",
        "angzarr_deferred",
    }


def any_of(page: Page) -> Any | None:
    """The inline event or command; None for an external payload or none."""
    values = page.__dict__  # prepared classes keep what is present, and of a oneof only the chosen member
    payload: Any | None = values.get("event", values.get("command"))
    return payload


def type_url_of(page: Page) -> str | None:
    """The type URL of the inline payload; None for an external payload or none."""
    payload = any_of(page)
    return None if payload is None else payload.type_url


def payload_of(page: Page) -> bytes | None:
    """The bytes of the inline payload; None for an external payload or none."""
    payload = any_of(page)
    return None if payload is None else payload.value


def is_no_op(page: EventPage) -> bool:
    """Whether the page only holds the place of an event that is uncommitted or revoked."""
    payload = any_of(page)
    return payload is not None and framework_name(payload.type_url) == "NoOp"


def decode_page(page: Page, cls: type[M]) -> M | None:
    """The page's message, or None: another type, no inline payload, or bytes that cannot be decoded."""
    payload = any_of(page)
    return None if payload is None else try_unpack(payload, cls)


def decode_event(page: EventPage, full_type_name: str, cls: type[M]) -> M | None:
    """As ``decode_page``, for a type name that is given rather than the class's own."""
    payload = any_of(page)
    if payload is None or type_name_from_url(payload.type_url) != full_type_name:
        return None
    try:
        return codec.decode(cls, payload.value)
    except codec.DecodeError:
        return None


def next_sequence_of(book: EventBook) -> int:
    """The sequence the aggregate's next event gets, as the book says; 0 when it does not."""
    return book.next_sequence


def is_empty(book: EventBook | CommandBook) -> bool:
    """Whether the book has no pages."""
    return not book.pages


def first_page(book: EventBook) -> EventPage | None:
    """The book's first page, or None."""
    return book.pages[0] if book.pages else None


def last_page(book: EventBook) -> EventPage | None:
    """The book's last page, or None."""
    return book.pages[-1] if book.pages else None


def first_command(book: CommandBook) -> CommandPage | None:
    """The book's first page, or None."""
    return book.pages[0] if book.pages else None


def command_sequence_of(book: CommandBook) -> int:
    """The sequence the book's first page expects; 0 without pages or with a deferred header."""
    return sequence_of(book.pages[0]) if book.pages else 0


def merge_strategy_of(book_or_page: CommandBook | CommandPage) -> MergeStrategy:
    """The merge strategy of the page, or of the book's first page; MERGE_COMMUTATIVE without pages."""
    if isinstance(book_or_page, CommandPage):
        return book_or_page.merge_strategy
    return book_or_page.pages[0].merge_strategy if book_or_page.pages else MergeStrategy.MERGE_COMMUTATIVE


def events_of(response: CommandResponse | None) -> list[EventPage]:
    """The pages a command produced; ``[]`` when it produced none."""
    return [] if response is None else list(response.events.pages)


events_from_response = events_of


def new_command_page(sequence: int, command: Any) -> CommandPage:
    """A command page that expects a sequence."""
    return CommandPage(header=PageHeader(sequence=sequence), command=command)


def new_command_book(cover: Cover, pages: Sequence[CommandPage]) -> CommandBook:
    """A command book of those pages."""
    return CommandBook(cover=cover, pages=list(pages))


def range_selection(lower: int, upper: int | None = None) -> SequenceRange:
    """Sequences from ``lower`` to ``upper``, both inclusive; to the end without ``upper``."""
    return SequenceRange(lower=lower, upper=upper)


def temporal_by_sequence(sequence: int) -> TemporalQuery:
    """The state after the event of that sequence."""
    return TemporalQuery(as_of_sequence=sequence)


def temporal_by_time(at: datetime) -> TemporalQuery:
    """The state at a point in time (an aware datetime)."""
    return TemporalQuery(as_of_time=at)
