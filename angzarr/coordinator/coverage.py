"""Which domains a projector has been given from their first event, so that one listed later is caught up on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from angzarr.coordinator.store.records import COVERED, Key, SetPosition

if TYPE_CHECKING:
    from angzarr.coordinator.store import Store


class Coverage:
    """The domains of one consumer, as the store knows them.

    Args:
        store: where they are kept.
        consumer: the name its positions are kept under.
        domains: those it lists now; ``*`` for all.
    """

    def __init__(self, store: "Store", consumer: str, domains: Sequence[str]) -> None:
        self._store = store
        self._consumer = consumer
        self._domains = domains
        self._fresh: tuple[str, ...] = ()
        self._until = 0

    async def begin(self, cursor: int | None) -> int:
        """Where to begin to read, given how far an earlier process got; None for one that never was.

        It is the first event when a domain is listed that was not.
        """
        wanted, marked = set(self._domains), await self._store.covered(self._consumer)
        fresh = wanted - marked if cursor is not None and "*" not in marked else set()
        marks = [self._mark(domain, False) for domain in marked - wanted]
        marks += (self._mark(domain, True) for domain in wanted - marked - fresh)
        if marks:
            await self._store.submit(marks)
        if cursor is None or not fresh:
            return cursor or 0
        self._fresh, self._until = tuple(sorted(fresh)), cursor
        return 0

    def stretch(self, cursor: int, upto: int) -> tuple[Sequence[str] | None, int]:
        """Which domains to read after a position, None for all, and up to where with them."""
        names, end = self._domains, upto
        if cursor < self._until:
            names, end = self._fresh, min(upto, self._until)
        return (None if "*" in names else names), end

    def caught_up(self, done: int) -> list[SetPosition]:
        """What to store when everything up to a position has been taken in."""
        if not self._fresh or done < self._until:
            return []
        fresh, self._fresh = self._fresh, ()
        return [self._mark(domain, True) for domain in fresh]

    def whole(self) -> list[SetPosition]:
        """What to store when every domain was read from its first event."""
        return [self._mark(domain, True) for domain in self._domains]

    def _mark(self, domain: str, covered: bool) -> SetPosition:
        return SetPosition(self._consumer, Key(COVERED, domain, b""), int(covered))
