"""What a store is to the coordinator."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from angzarr.coordinator.store.records import (
        DeadLetterRow,
        History,
        Key,
        LoggedEvent,
        Operation,
        OutboxRow,
        Position,
        Provenance,
        StoredCommand,
        StoredPage,
        StoredSnapshot,
    )


class Store(Protocol):
    """Events, snapshots, positions, outbox and dead letters, in one place and one transaction.

    Every method may raise StoreError: STORE_FAILED with the store's own words, STORE_CLOSED outside open and close.
    """

    async def open(self) -> None:
        """Open it, creating or migrating it where need be.

        Raises:
            StoreOpenError: STORE_LOCKED, STORE_NOT_SQLITE, STORE_FOREIGN, STORE_SCHEMA_NEWER or STORE_UNWRITABLE.
        """

    async def close(self) -> None:
        """Finish what is under way and let go of it; doing so twice is fine."""

    def submit(self, unit: "Sequence[Operation]") -> "asyncio.Future[list[Any]]":
        """Store a unit of work, whole or not at all; one result per operation.

        What was submitted is stored whether or not anybody waits for the future.

        Raises (through the future):
            ConflictError: STORE_CONFLICT, another writer was first.
            StoreFullError: STORE_FULL, no space left.
        """

    async def load(self, key: "Key", divergence: int | None = None, with_snapshot: bool = True) -> "History":
        """What a handler is given."""

    async def pages(
        self, key: "Key", lower: int = 0, upper: int | None = None, divergence: int | None = None
    ) -> "list[StoredPage]":
        """Pages from ``lower`` to ``upper``, both inclusive, editions resolved."""

    async def own_pages(self, key: "Key", lower: int, upper: int | None = None) -> "list[StoredPage]":
        """Pages that were stored in the aggregate's own edition, bounds inclusive."""

    async def newest_snapshot(self, key: "Key") -> "StoredSnapshot | None":
        """The snapshot with the highest sequence, or None."""

    async def snapshots(self, key: "Key") -> "list[StoredSnapshot]":
        """Every snapshot kept, oldest first."""

    async def next_sequence(self, key: "Key", divergence: int | None = None) -> int:
        """The sequence the aggregate's next event gets."""

    async def by_external_id(self, key: "Key", external_id: str) -> "list[StoredPage]":
        """The pages stored for an external id."""

    async def by_provenance(self, key: "Key", causes: "Sequence[Provenance]") -> "list[StoredPage]":
        """The pages stored for any of those causes."""

    async def by_correlation(self, correlation_id: str) -> "list[LoggedEvent]":
        """Every event with a correlation id."""

    async def caused_by(self, key: "Key", sequence: int) -> "list[LoggedEvent]":
        """What an event directly caused."""

    async def event(self, key: "Key", sequence: int) -> "LoggedEvent | None":
        """One event with its cause."""

    async def command_of(self, key: "Key", sequence: int) -> "StoredCommand | None":
        """The command that caused an event, as it was sent; None where no command did, or it was not kept."""

    async def since(
        self, position: int, limit: int, domains: Iterable[str] | None = None, upto: int | None = None
    ) -> "list[LoggedEvent]":
        """Events to react to after a position of the whole store, none after ``upto``."""

    async def head(self) -> int:
        """The position of the newest event."""

    async def roots(
        self, after: tuple[str, bytes] = ("", b""), limit: int = 1000, domain: str | None = None
    ) -> list[tuple[str, bytes]]:
        """Aggregates of the main timeline after one of them, in order."""

    async def pending_cascades(self) -> "list[tuple[str, Key, int]]":
        """Pages whose cascade has not ended."""

    async def outbox(self, after: int = 0, limit: int = 1000) -> "list[OutboxRow]":
        """Work left to be done, oldest first."""

    async def position(self, consumer: str, key: "Key") -> "Position | None":
        """How far a consumer got in an aggregate."""

    async def positions(self, consumer: str) -> "list[Position]":
        """How far a consumer got in every aggregate."""

    async def parked(self, consumer: str) -> "list[Position]":
        """The aggregates in which a consumer is stuck."""

    async def covered(self, consumer: str) -> set[str]:
        """The domains whose events a consumer has been given, or will be, from the first."""

    async def projected(self, key: "Key", sequence: int) -> "dict[str, int | None]":
        """Which projectors have taken an event in, and when where it was the last one."""

    async def dead_letters(
        self, domain: str | None = None, component: str | None = None
    ) -> "list[DeadLetterRow]":
        """Dead letters, newest last."""
