"""EventQueryService: what is stored, as it was stored."""

from collections.abc import AsyncIterator, Sequence
from itertools import groupby

from angzarr.coordinator import books, checks
from angzarr.coordinator.errors import StoreError
from angzarr.coordinator.speculation import has_point, up_to
from angzarr.coordinator.status import internal, invalid
from angzarr.coordinator.store import Store
from angzarr.coordinator.store.records import MAIN, Key, StoredPage
from angzarr.messages import (
    UUID,
    AggregateRoot,
    Cover,
    EventBook,
    Query,
    divergence_for,
    has_field,
)

_ROOTS_AT_ONCE = 1000


class Queries:
    """Reads the books of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get_event_book(self, query: Query) -> EventBook:
        """GetEventBook: the first book with the query's correlation id, or the aggregate's with the pages selected.

        Raises:
            GRPCError: INVALID_ARGUMENT, it is malformed; INTERNAL, the store failed.
        """
        if query.cover.correlation_id:
            checks.correlation_id(query.cover.correlation_id)
            return await anext(self._correlated(query), EventBook(cover=query.cover))
        return await self._one(query)

    async def get_events(self, query: Query) -> AsyncIterator[EventBook]:
        """GetEvents: every book with the query's correlation id, or the aggregate's one."""
        if not query.cover.correlation_id:
            yield await self._one(query)
            return
        checks.correlation_id(query.cover.correlation_id)
        async for book in self._correlated(query):
            yield book

    async def get_aggregate_roots(self) -> AsyncIterator[AggregateRoot]:
        """GetAggregateRoots: every aggregate of the main timeline, by domain and root."""
        last = ("", b"")
        while found := await self._roots(last):
            for domain, root in found:
                yield AggregateRoot(domain=domain, root=UUID(value=root))
            last = found[-1]

    async def _roots(self, after: tuple[str, bytes]) -> list[tuple[str, bytes]]:
        try:
            return await self._store.roots(after, _ROOTS_AT_ONCE)
        except StoreError as error:
            raise internal(f"Failed to read the aggregates: {error}") from error

    async def _correlated(self, query: Query) -> AsyncIterator[EventBook]:
        correlation_id = query.cover.correlation_id
        try:
            events = await self._store.by_correlation(correlation_id)
        except StoreError as error:
            raise internal(f"Failed to read correlation {correlation_id!r}: {error}") from error
        order: dict[Key, list[StoredPage]] = {}
        for event in events:
            order.setdefault(event.key, []).append(event.page)
        for key, pages in order.items():
            following = await self._store.next_sequence(key)
            yield books.event_book(books.cover_of(key, correlation_id), books.visible(pages), following)

    async def _one(self, query: Query) -> EventBook:
        cover = _checked(query)
        key = books.key_of(cover)
        try:
            return await self._selected(query, key, cover)
        except StoreError as error:
            raise internal(f"Failed to read {key.domain}/{key.root.hex()}: {error}") from error

    async def _selected(self, query: Query, key: Key, cover: Cover) -> EventBook:
        divergence = divergence_for(cover.edition, key.domain) if key.edition != MAIN else None
        following = await self._store.next_sequence(key, divergence)
        if has_field(query, "range"):
            upper = query.range.upper
            pages = await self._store.pages(key, query.range.lower, upper, divergence)
        elif has_field(query, "sequences"):
            pages = await self._numbered(key, query.sequences.values, divergence)
        elif has_field(query, "temporal"):
            pages = up_to(await self._store.pages(key, divergence=divergence), query.temporal)
        else:
            pages = await self._store.pages(key, divergence=divergence)
            snapshot = await self._store.newest_snapshot(key)
            return books.event_book(_answered(key), books.visible(pages), following, snapshot)
        return books.event_book(_answered(key), books.visible(pages), following)

    async def _numbered(self, key: Key, values: Sequence[int], divergence: int | None) -> list[StoredPage]:
        wanted = sorted(set(values))
        pages: list[StoredPage] = []
        for _, run in groupby(enumerate(wanted), lambda item: item[1] - item[0]):
            numbers = [number for _, number in run]
            pages += await self._store.pages(key, numbers[0], numbers[-1], divergence)
        return pages


def _answered(key: Key) -> Cover:
    return books.cover_of(key)


def _checked(query: Query) -> Cover:
    if not has_field(query, "cover"):
        invalid("Query must have a cover")
    cover = query.cover
    if not cover.domain:
        invalid("Query must have a domain or a correlation id")
    checks.cover(cover)
    if has_field(query, "temporal") and not has_point(query.temporal):
        invalid("Temporal query requires either as_of_sequence or as_of_time")
    return cover
