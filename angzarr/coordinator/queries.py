"""EventQueryService: what is stored, as it was stored."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from angzarr import codec
from angzarr.coordinator import books, checks
from angzarr.coordinator.errors import StoreError
from angzarr.coordinator.speculation import has_point, up_to
from angzarr.coordinator.status import internal, invalid
from angzarr.coordinator.store import Store
from angzarr.coordinator.store.records import MAIN, Key, StoredPage, StoredSnapshot
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
        found = await self._first(query)
        return EventBook(cover=query.cover) if found is None else await found.message()

    async def get_event_book_bytes(self, query: Query) -> bytes:
        """As ``get_event_book``, encoded: stored pages are copied, not decoded.

        Raises:
            GRPCError: as for ``get_event_book``.
        """
        found = await self._first(query)
        return codec.encode(EventBook(cover=query.cover)) if found is None else found.encoded()

    async def _first(self, query: Query) -> "Found | None":
        if query.cover.correlation_id:
            checks.correlation_id(query.cover.correlation_id)
            return await anext(self._correlated(query), None)
        return await self._one(query)

    async def get_events(self, query: Query) -> AsyncIterator[EventBook]:
        """GetEvents: every book with the query's correlation id, or the aggregate's one."""
        if not query.cover.correlation_id:
            yield await (await self._one(query)).message()
            return
        checks.correlation_id(query.cover.correlation_id)
        async for found in self._correlated(query):
            yield await found.message()

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

    async def _correlated(self, query: Query) -> "AsyncIterator[Found]":
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
            yield Found(books.cover_of(key, correlation_id), books.visible(pages), following)

    async def _one(self, query: Query) -> "Found":
        cover = _checked(query)
        key = books.key_of(cover)
        try:
            return await self._selected(query, key, cover)
        except StoreError as error:
            raise internal(f"Failed to read {key.domain}/{key.root.hex()}: {error}") from error

    async def _selected(self, query: Query, key: Key, cover: Cover) -> "Found":
        divergence = divergence_for(cover.edition, key.domain) if key.edition != MAIN else None
        snapshot = None
        if has_field(query, "range"):
            pages = await self._store.pages(key, query.range.lower, query.range.upper, divergence)
        elif has_field(query, "sequences"):
            pages = await self._numbered(key, query.sequences.values, divergence)
        elif has_field(query, "temporal"):
            upper = query.temporal.as_of_sequence if has_field(query.temporal, "as_of_sequence") else None
            pages = up_to(await self._store.pages(key, 0, upper, divergence), query.temporal)
        else:
            # In this order: a snapshot of events that are not among the pages would say more than they do.
            snapshot = await self._store.newest_snapshot(key)
            pages = await self._store.pages(key, divergence=divergence)
            if pages:
                return Found(books.cover_of(key), books.visible(pages), pages[-1].sequence + 1, snapshot)
        following = await self._store.next_sequence(key, divergence)
        return Found(books.cover_of(key), books.visible(pages), following, snapshot)

    async def _numbered(self, key: Key, values: Sequence[int], divergence: int | None) -> list[StoredPage]:
        wanted = sorted(set(values))
        pages: list[StoredPage] = []
        for _, run in groupby(enumerate(wanted), lambda item: item[1] - item[0]):
            numbers = [number for _, number in run]
            pages += await self._store.pages(key, numbers[0], numbers[-1], divergence)
        return pages


@dataclass(frozen=True, slots=True)
class Found:
    """A book as it was found, to be answered as a message or as bytes."""

    cover: Cover
    pages: list[StoredPage]
    next_sequence: int
    snapshot: StoredSnapshot | None = None

    async def message(self) -> EventBook:
        """The book."""
        return await books.book_to_read(self.cover, self.pages, self.next_sequence, self.snapshot)

    def encoded(self) -> bytes:
        """The book's bytes."""
        return books.encode_book(self.cover, self.pages, self.next_sequence, self.snapshot)


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
