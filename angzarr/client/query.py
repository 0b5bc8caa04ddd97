"""Reading events."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import ClassVar

from angzarr.arguments import is_whole
from angzarr.client.base import SingleServiceClient
from angzarr.client.calls import Method
from angzarr.client.failures import refused_argument
from angzarr.client.query_builder import QueryBuilder
from angzarr.error_codes import codes, keys, messages
from angzarr.errors import ClientError
from angzarr.messages import AggregateRoot, Empty, EventBook, Query, correlation_id_of
from angzarr.messages.services import EVENT_QUERY, Service

_GET_EVENT_BOOK = Method.of(EVENT_QUERY, "GetEventBook", EventBook)
_GET_EVENTS = Method.of(EVENT_QUERY, "GetEvents", EventBook)
_GET_AGGREGATE_ROOTS = Method.of(EVENT_QUERY, "GetAggregateRoots", AggregateRoot)
_SYNCHRONIZE = Method.of(EVENT_QUERY, "Synchronize", EventBook)


class QueryClient(SingleServiceClient):
    """Client of EventQueryService. Every call is retried on UNAVAILABLE and when the connection fails."""

    services: ClassVar[tuple[Service, ...]] = (EVENT_QUERY,)

    def query(self, domain: str, root: uuid.UUID | bytes | str) -> QueryBuilder:
        """Start a query for one aggregate."""
        return QueryBuilder(self, domain, root)

    def query_domain(self, domain: str) -> QueryBuilder:
        """Start a query without a root, for ``by_correlation_id``."""
        return QueryBuilder(self, domain)

    async def get_event_book(self, query: Query, timeout: float | None = None) -> EventBook:
        """The first book a query selects.

        Args:
            query: which events.
            timeout: seconds for all attempts together; None for the channel's default.

        Raises:
            GRPCError: the server's status; DEADLINE_EXCEEDED after ``timeout``.
            ConnectionError: CONNECTION_FAILED, no connection could be made.
            TransportError: TRANSPORT_ERROR, the connection broke, or the client is closed.
        """
        return await self._calls.read(_GET_EVENT_BOOK, self.stub, query, correlation_id_of(query), timeout)

    async def get_events(
        self, query: Query, timeout: float | None = None, *, max_books: int | None = None
    ) -> list[EventBook]:
        """All books a query selects, in the server's order.

        Args:
            query: which events.
            timeout: seconds for the whole call; None for the channel's default.
            max_books: how many books to take, 0 or more; None for no bound.

        Raises:
            ClientError: STREAM_LIMIT_EXCEEDED, the server has more than ``max_books``; details ``limit``. Otherwise as
                ``get_event_book``.
        """
        return [book async for book in self.stream_events(query, timeout, max_books=max_books)]

    async def stream_events(
        self, query: Query, timeout: float | None = None, *, max_books: int | None = None
    ) -> AsyncGenerator[EventBook, None]:
        """All books a query selects, one at a time, as they come in.

        Args and errors are those of ``get_events``.
        """
        if max_books is not None and (not is_whole(max_books) or max_books < 0):
            raise refused_argument(f"a number of books, 0 or more, expected, got {max_books!r}", "max_books")
        count = 0
        books = self._calls.stream(_GET_EVENTS, self.stub, query, correlation_id_of(query), timeout)
        try:
            async for book in books:
                count += 1
                if max_books is not None and count > max_books:
                    raise _too_many(max_books)
                yield book
        finally:
            await books.aclose()

    async def get_aggregate_roots(self, timeout: float | None = None) -> AsyncGenerator[AggregateRoot, None]:
        """Every aggregate of the main timeline.

        Args and errors are those of ``get_event_book``.
        """
        roots = self._calls.stream(_GET_AGGREGATE_ROOTS, self.stub, Empty(), "", timeout)
        try:
            async for root in roots:
                yield root
        finally:
            await roots.aclose()

    async def synchronize(
        self, queries: Iterable[Query] | AsyncIterable[Query], timeout: float | None = None
    ) -> AsyncGenerator[EventBook, None]:
        """One book per query, in order, both ways over one call. It is not retried.

        Args:
            queries: sent as the iterable gives them; it may be asynchronous and see earlier books.
            timeout: seconds for the whole call; None for the channel's default.

        Raises:
            ClientError: as ``get_event_book``.
        """
        books = self._calls.stream(_SYNCHRONIZE, self.stub, queries, "", timeout)
        try:
            async for book in books:
                yield book
        finally:
            await books.aclose()


def _too_many(limit: int) -> ClientError:
    return ClientError(
        messages.STREAM_LIMIT_EXCEEDED, code=codes.STREAM_LIMIT_EXCEEDED, details={keys.LIMIT: limit}
    )
