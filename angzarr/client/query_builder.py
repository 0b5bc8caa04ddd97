"""Building queries fluently."""

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Self

from angzarr.client.command_builder import checked_sequence
from angzarr.client.roots import as_root
from angzarr.error_codes import keys
from angzarr.errors import InvalidTimestampError
from angzarr.messages import (
    UUID,
    Cover,
    EventBook,
    EventPage,
    Query,
    SequenceRange,
    SequenceSet,
    TemporalQuery,
    implicit_edition,
    parse_timestamp,
)

if TYPE_CHECKING:
    from angzarr.client.query import QueryClient


class QueryBuilder:
    """Builds one query, and executes it. Every setter returns the builder; the last selection counts.

    Args:
        client: executes the query.
        domain: whose events.
        root: of which aggregate: its UUID, 16 bytes, or a text: a UUID's, or the business key of the aggregate; None
            for a query by correlation id.

    Raises:
        InvalidArgumentError: PROTO_UUID_INVALID, the root is none of these.
    """

    def __init__(
        self, client: "QueryClient", domain: str, root: uuid.UUID | bytes | str | None = None
    ) -> None:
        self._client = client
        self._domain = domain
        self._root = None if root is None else as_root(domain, root)
        self._correlation_id = ""
        self._edition = ""
        self._selection: SequenceRange | SequenceSet | TemporalQuery | None = None

    def by_correlation_id(self, id: str) -> Self:
        """Ask for everything of one exchange, instead of for one aggregate."""
        self._correlation_id = id
        self._root = None
        return self

    def edition(self, edition: str) -> Self:
        """Ask another timeline than the main one."""
        self._edition = edition
        return self

    with_edition = edition

    def range(self, lower: int) -> Self:
        """Select the events from a sequence on, that one included."""
        self._selection = SequenceRange(lower=checked_sequence(lower, "lower"))
        return self

    def range_to(self, lower: int, upper: int) -> Self:
        """Select the events from one sequence to another, both included."""
        self._selection = SequenceRange(
            lower=checked_sequence(lower, "lower"), upper=checked_sequence(upper, "upper")
        )
        return self

    def sequences(self, *sequences: int) -> Self:
        """Select single events."""
        self._selection = SequenceSet(values=[checked_sequence(value, "sequences") for value in sequences])
        return self

    def as_of_sequence(self, seq: int) -> Self:
        """Select the events up to a sequence, that one included."""
        self._selection = TemporalQuery(as_of_sequence=checked_sequence(seq, "sequence"))
        return self

    def as_of_time(self, rfc3339: str | datetime) -> Self:
        """Select the events up to a point in time.

        Args:
            rfc3339: RFC 3339 text, or an aware datetime.

        Raises:
            InvalidTimestampError: INVALID_TIMESTAMP, at once; nothing is changed.
        """
        if isinstance(rfc3339, datetime):
            if rfc3339.tzinfo is None:
                raise InvalidTimestampError(
                    details={keys.INPUT: rfc3339, keys.CAUSE: "the datetime has no time zone"}
                )
            self._selection = TemporalQuery(as_of_time=rfc3339)
        else:
            self._selection = TemporalQuery(as_of_time=parse_timestamp(rfc3339))
        return self

    def build(self) -> Query:
        """The query, made anew with each call."""
        cover = Cover(domain=self._domain, correlation_id=self._correlation_id)
        if self._root is not None:
            cover.root = UUID(value=self._root.bytes)
        if self._edition:
            cover.edition = implicit_edition(self._edition)
        match self._selection:
            case SequenceRange(lower=lower, upper=upper):
                return Query(cover=cover, range=SequenceRange(lower=lower, upper=upper))
            case SequenceSet(values=values):
                return Query(cover=cover, sequences=SequenceSet(values=list(values)))
            case TemporalQuery() as temporal:
                return Query(cover=cover, temporal=temporal)
        return Query(cover=cover)

    async def get_event_book(self) -> EventBook:
        """Ask for one book.

        Raises:
            ClientError: what ``QueryClient.get_event_book`` raises.
        """
        return await self._client.get_event_book(self.build())

    async def get_events(self) -> list[EventBook]:
        """Ask for all books.

        Raises:
            ClientError: what ``QueryClient.get_events`` raises.
        """
        return await self._client.get_events(self.build())

    async def get_pages(self) -> list[EventPage]:
        """Ask for one book's pages.

        Raises:
            ClientError: what ``QueryClient.get_event_book`` raises.
        """
        return list((await self.get_event_book()).pages)
