"""One projector's walk through the store, in the order in which everything was stored, from a stored position."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from angzarr.coordinator.coverage import Coverage
from angzarr.coordinator.errors import StoreError
from angzarr.coordinator.store.records import Key, LoggedEvent, SetPosition
from angzarr.log import get_logger

if TYPE_CHECKING:
    from angzarr.coordinator.engine import Engine
    from angzarr.coordinator.handlers import ProjectorComponent

_READ_AT_ONCE = 1000
_STRETCH = 20_000
EVERYTHING = Key("", "", b"")
_log = get_logger(__name__)


class Backlog(Protocol):
    """Where what was read waits until the projector has taken it in.

    Attributes:
        changed: set whenever something was taken in.
        ahead: how many events wait.
        oldest: position in the whole store of the oldest event that waits, where it is known; None for none.
    """

    changed: asyncio.Event

    @property
    def ahead(self) -> int: ...

    @property
    def oldest(self) -> int | None: ...

    def owe(self, event: LoggedEvent) -> None:
        """An event is to be taken in."""


class Walk:
    """Reads what a projector takes into its backlog, and writes down how far everything was taken in.

    Args:
        engine: whose store.
        projector: who takes the events in.
        consumer: the name its positions are kept under.
        backlog: what is given the events.

    Attributes:
        cursor: position up to which everything was read.
        wanted: position up to which there is something to read.
        caught_up: whether all that there was at the start has been read.
    """

    def __init__(
        self, engine: "Engine", projector: "ProjectorComponent", consumer: str, backlog: Backlog
    ) -> None:
        self.consumer = consumer
        self.cursor: int = 0
        self.wanted: int = 0
        self.caught_up: bool = False
        self._projector = projector
        self._backlog = backlog
        self._store = engine.store
        self._most_ahead = engine.config.reactions.read_ahead
        self._coverage = Coverage(engine.store, consumer, projector.domains)
        self._woken = asyncio.Event()
        self._saved = 0
        self._ended = False

    async def start(self) -> None:
        """Find out how far an earlier process got."""
        everything = await self._store.position(self.consumer, EVERYTHING)
        if everything is not None:
            self._saved = everything.sequence
        self.cursor = await self._coverage.begin(None if everything is None else everything.sequence)
        self.wanted = await self._store.head()
        self._woken.set()

    def wake(self, position: int = 0) -> None:
        """Something was stored, up to a position in the whole store."""
        self.wanted = max(self.wanted, position)
        self._woken.set()

    def covering(self) -> list[SetPosition]:
        """What says that the projector has read its domains from the first event."""
        return self._coverage.whole()

    async def follow(self) -> None:
        """Walk the store until cancelled or told to end."""
        while not self._ended:
            await self._woken.wait()
            self._woken.clear()
            try:
                while await self.read_on():
                    await self._not_too_far_ahead()
                self.caught_up = True
                self._backlog.changed.set()
                await self._save()
            except StoreError as error:
                _log.error("projector_cannot_read", projector=self._projector.name, error=str(error))
                await asyncio.sleep(1.0)
                self._woken.set()

    def end(self) -> None:
        """Read nothing any more, and write nothing down: somebody else goes on."""
        self._ended = True
        self._woken.set()

    async def read_on(self) -> bool:
        """Note what the next stretch of the store holds for the projector; False when it has all been read.

        A stretch is bounded, because events of other domains may lie in it by the million.
        """
        if self._ended or self.cursor >= self.wanted:
            return False
        domains, upto = self._coverage.stretch(self.cursor, min(self.wanted, self.cursor + _STRETCH))
        most = min(_READ_AT_ONCE, self._most_ahead)
        events = await self._store.since(self.cursor, most, domains, upto)
        for event in events:
            if self._projector.takes(event.key.domain):
                self._backlog.owe(event)
        self.cursor = events[-1].position if len(events) == most else upto
        return True

    async def _not_too_far_ahead(self) -> None:
        """Read no more until the projector has taken in some of what was read: memory is bounded."""
        if self._backlog.ahead < self._most_ahead:
            return
        await self._save()
        while self._backlog.ahead > self._most_ahead // 2:
            self._backlog.changed.clear()
            await self._backlog.changed.wait()

    async def _save(self) -> None:
        """Store how far everything has been taken in; what is not is read again after a restart."""
        oldest = self._backlog.oldest
        done = self.cursor if oldest is None else min(self.cursor, oldest - 1)
        marks = self._coverage.caught_up(done)
        if done > self._saved:
            marks.append(SetPosition(self.consumer, EVERYTHING, done))
            self._saved = done
        if marks and not self._ended:
            await self._store.submit(marks)
