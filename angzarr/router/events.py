"""A book of events as sagas, process managers and projectors see it, whether it came as a message or as bytes."""

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import TypeAlias

import betterproto

from angzarr.messages import (
    Cover,
    EventBook,
    EventPage,
    any_of,
    has_field,
    is_notification,
    type_name_from_url,
)
from angzarr.router.state import explicit_sequence

Event: TypeAlias = tuple[str, bytes, int]
"""An inline event's type URL, its bytes, and the sequence that a reaction to it refers to."""
Wanted: TypeAlias = Callable[[str], bool]
"""Whether a type URL is one that something is done about."""


@dataclass(slots=True)
class Events:
    """What a book holds.

    Attributes:
        cover: its cover, or None.
        next_sequence: sequence of the next event, as the book says.
        pages: how many pages it has.
        inline: how many of them have an inline event.
        found: those events, in order, that something is done about.
    """

    cover: Cover | None = None
    next_sequence: int = 0
    pages: int = 0
    inline: int = 0
    found: list[Event] = field(default_factory=list)


def handled(names: Container[str]) -> Wanted:
    """Wants the events of these full names."""
    return lambda type_url: type_name_from_url(type_url) in names


def reacted_to(names: Container[str]) -> Wanted:
    """Wants the events of these full names, rejections, and type URLs that name nothing, which are an error."""

    def wanted(type_url: str) -> bool:
        name = type_name_from_url(type_url)
        return name in names or not name or is_notification(type_url)

    return wanted


def events_of(book: EventBook, wanted: Wanted) -> Events:
    """What a message holds."""
    events = Events(book.cover if has_field(book, "cover") else None, book.next_sequence)
    for page in book.pages:
        add_page(events, page, wanted)
    return events


def add_page(events: Events, page: EventPage, wanted: Wanted) -> None:
    """Take in one more page."""
    events.pages += 1
    payload = any_of(page)
    if payload is not None:
        events.inline += 1
        if wanted(payload.type_url):
            events.found.append((payload.type_url, payload.value, source_sequence(page)))


def source_sequence(page: EventPage) -> int:
    """The sequence a reaction to the page refers to: its own, or that of the deferred event's source; else 0."""
    deferred = page.header.angzarr_deferred if _arm_of(page) == "angzarr_deferred" else None
    return explicit_sequence(page) or 0 if deferred is None else deferred.source_seq


def _arm_of(page: EventPage) -> str:
    return betterproto.which_one_of(page.header, "sequence_type")[0]
