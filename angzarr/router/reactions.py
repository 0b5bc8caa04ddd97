"""What sagas and process managers have in common: the pages that trigger them, and the books they answer."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from angzarr import codec
from angzarr.destinations import Destinations
from angzarr.messages import CommandBook, Cover, EventBook, is_notification, type_name_from_url
from angzarr.router.events import Event, Events
from angzarr.router.faults import malformed

B = TypeVar("B", CommandBook, EventBook)


@dataclass(frozen=True, slots=True)
class Checks:
    """Codes and texts of what can be wrong with a trigger, which differ between the kinds."""

    empty: tuple[str, str]
    no_payload: tuple[str, str]
    bad_type_url: tuple[str, str]


class Trigger:
    """One page with an inline event, and what a handler of it may ask for.

    Attributes:
        type_url: the event's.
        value: its bytes.
        source_seq: the sequence that a reaction to it refers to.
        cover: the book's, or None.
    """

    __slots__ = ("_destinations", "_sequences", "cover", "source_seq", "type_url", "value")

    def __init__(self, event: Event, cover: Cover | None, sequences: Mapping[str, int]) -> None:
        self.type_url: str = event[0]
        self.value: bytes = event[1]
        self.source_seq: int = event[2]
        self.cover: Cover | None = cover
        self._sequences = sequences
        self._destinations: Destinations | None = None

    @property
    def name(self) -> str:
        """Full name of the event."""
        return type_name_from_url(self.type_url)

    @property
    def is_notification(self) -> bool:
        """Whether it tells of a rejection."""
        return is_notification(self.type_url)

    @property
    def destinations(self) -> Destinations:
        """The destinations of a reaction to it."""
        if self._destinations is None:
            self._destinations = Destinations(
                dict(self._sequences), source=self.cover, source_seq=self.source_seq
            )
        return self._destinations

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


def triggers_of(events: Events, sequences: Mapping[str, int], checks: Checks) -> list[Trigger]:
    """The events to react to, in order.

    Raises:
        DispatchError: the kind's codes for a book without pages, without any inline event, or with an inline event
            whose type URL names nothing.
    """
    if not events.pages:
        raise malformed(*checks.empty)
    for type_url, _, _ in events.found:
        if not type_name_from_url(type_url):
            code, text = checks.bad_type_url
            raise malformed(code, text, type_url=type_url)
    if not events.inline:
        raise malformed(*checks.no_payload)
    return [Trigger(event, events.cover, sequences) for event in events.found]


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
