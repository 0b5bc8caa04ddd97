"""What sagas and process managers have in common: the pages that trigger them, and the books they answer."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import betterproto

from angzarr import codec
from angzarr.destinations import Destinations
from angzarr.messages import (
    CommandBook,
    Cover,
    EventBook,
    EventPage,
    any_of,
    framework_name,
    has_field,
    type_name_from_url,
)
from angzarr.router.faults import malformed
from angzarr.router.state import explicit_sequence, inline_events

B = TypeVar("B", CommandBook, EventBook)


@dataclass(frozen=True, slots=True)
class Checks:
    """Codes and texts of what can be wrong with a trigger, which differ between the kinds."""

    empty: tuple[str, str]
    no_payload: tuple[str, str]
    bad_type_url: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Trigger:
    """One page with an inline event, and what a handler of it may ask for."""

    type_url: str
    value: bytes
    source_seq: int
    cover: Cover | None
    destinations: Destinations

    @property
    def name(self) -> str:
        """Full name of the event."""
        return type_name_from_url(self.type_url)

    @property
    def is_notification(self) -> bool:
        """Whether it tells of a rejection."""
        return framework_name(self.type_url) == "Notification"

    def extra(self, name: str) -> Any:
        """The value of an opt-in parameter."""
        if name == "destinations":
            return self.destinations
        if name == "source_seq":
            return self.source_seq
        if name == "correlation_id":
            return "" if self.cover is None else self.cover.correlation_id
        if self.cover is not None:
            return codec.clone(self.cover)
        return None if name == "source_cover" else Cover()


def cover_of(book: EventBook) -> Cover | None:
    """The book's cover, or None."""
    return book.cover if has_field(book, "cover") else None


def has_notification(book: EventBook) -> bool:
    """Whether some page tells of a rejection."""
    return any(framework_name(payload.type_url) == "Notification" for payload in inline_events(book.pages))


def triggers_of(book: EventBook, sequences: Mapping[str, int], checks: Checks) -> list[Trigger]:
    """The pages to react to, in order.

    Raises:
        DispatchError: the kind's codes for a book without pages, without any inline event, or with an inline event
            whose type URL names nothing.
    """
    if not book.pages:
        raise malformed(*checks.empty)
    cover = cover_of(book)
    triggers = []
    for page in book.pages:
        payload = any_of(page)
        if payload is None:
            continue
        if not type_name_from_url(payload.type_url):
            code, text = checks.bad_type_url
            raise malformed(code, text, type_url=payload.type_url)
        seq = source_sequence(page)
        destinations = Destinations(dict(sequences), source=cover, source_seq=seq)
        triggers.append(Trigger(payload.type_url, payload.value, seq, cover, destinations))
    if not triggers:
        raise malformed(*checks.no_payload)
    return triggers


def source_sequence(page: EventPage) -> int:
    """The sequence a reaction to the page refers to: its own, or that of the deferred event's source; else 0."""
    deferred = page.header.angzarr_deferred if _arm_of(page) == "angzarr_deferred" else None
    return explicit_sequence(page) or 0 if deferred is None else deferred.source_seq


def _arm_of(page: EventPage) -> str:
    return betterproto.which_one_of(page.header, "sequence_type")[0]


def correlated(books: Iterable[B], cover: Cover | None) -> Iterator[B]:
    """The books as they are; one whose cover has no correlation id gets the trigger's, in a copy."""
    correlation_id = "" if cover is None else cover.correlation_id
    for book in books:
        if correlation_id and book.cover.domain and not book.cover.correlation_id:
            copied = codec.clone(book)
            copied.cover.correlation_id = correlation_id
            yield copied
        else:
            yield book
