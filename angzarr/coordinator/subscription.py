"""One projector's way through the store: every book in order per aggregate, at least once, from a stored position.

A walk through the store's global order wakes a lane per aggregate. A lane hands over what lies between the
aggregate's position and its newest event, so what an earlier process missed, or a commit in between, is filled in by
itself. A handler that keeps failing parks its aggregate: a dead letter, and its later books wait until it is replayed
or skipped; other aggregates go on.
"""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, dead_letters, faults
from angzarr.coordinator.asking import guarded
from angzarr.coordinator.behind import Aggregate
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import Pending
from angzarr.coordinator.handlers import ProjectorComponent
from angzarr.coordinator.lanes import AGAIN, Lanes, backoff
from angzarr.coordinator.store.records import (
    PENDING,
    Key,
    LoggedEvent,
    Operation,
    SetPosition,
)
from angzarr.coordinator.store.writes import microseconds
from angzarr.coordinator.walking import Walk
from angzarr.log import get_logger
from angzarr.messages import EventBook, Projection

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

_REMEMBERED = 20_000
_PAGES_PER_BOOK = 500
_log = get_logger(__name__)


class Subscription:
    """One projector's way through the store.

    Args:
        engine: whose store.
        projector: what takes the books in.
        consumer: the name its positions are kept under.
        group: parent of its tasks.
    """

    def __init__(
        self, engine: Engine, projector: ProjectorComponent, consumer: str, group: "TaskGroup"
    ) -> None:
        self.projector = projector
        self.walk: Walk = Walk(engine, projector, consumer, self)
        self._engine = engine
        self._config = engine.config.reactions
        self._behind: dict[Key, Aggregate] = {}
        self._parked: set[Key] = set()
        self._positions: OrderedDict[Key, int] = OrderedDict()
        self._lanes: Lanes[Key] = Lanes(group, self._advance, self._config.concurrency)
        self.changed: asyncio.Event = asyncio.Event()
        self.handed_over: int = 0
        self.ahead: int = 0

    async def start(self) -> None:
        """Find out how far an earlier process got."""
        self._parked.update(position.key for position in await self._engine.store.parked(self.consumer))
        await self.walk.start()

    @property
    def consumer(self) -> str:
        """The name its positions are kept under."""
        return self.walk.consumer

    @property
    def cursor(self) -> int:
        """Position in the whole store up to which it has read."""
        return self.walk.cursor

    def takes(self, domain: str) -> bool:
        """Whether the projector is to be given the domain's events."""
        return self.projector.takes(domain)

    def wake(self, position: int = 0) -> None:
        """Something was stored, up to a position in the whole store."""
        self.walk.wake(position)

    def wait_for(self, key: Key, sequence: int) -> "asyncio.Future[Projection]":
        """What the projector answers for the book that ends with an event, once it has taken it in."""
        future: asyncio.Future[Projection] = asyncio.get_running_loop().create_future()
        self._answer_at(key, sequence, future)
        return future

    def _answer_at(self, key: Key, sequence: int, future: "asyncio.Future[Projection]") -> None:
        if self._positions.get(key, -1) >= sequence:
            future.set_result(Projection(projector=self.projector.name, sequence=sequence + 1))
            return
        behind = self._behind.setdefault(key, Aggregate(sequence, 0, set(), microseconds()))
        behind.target = max(behind.target, sequence)
        behind.waiters.append((sequence, future))
        if key in self._parked:
            behind.tell(self._parked_error(key))
        self._lanes.rouse(key)

    def position_of(self, key: Key) -> int:
        """Sequence of the last event taken in of an aggregate; -1 before the first."""
        return self._positions.get(key, -1)

    def _parked_error(self, key: Key) -> GRPCError:
        return GRPCError(
            Status.FAILED_PRECONDITION,
            f"Projector {self.projector.name!r} is parked at {key.domain}/{key.root.hex()}:"
            " replay or skip its dead letter",
        )

    def owe(self, event: LoggedEvent) -> None:
        """See Backlog."""
        key = event.key
        if key in self._parked or self._positions.get(key, -1) >= event.page.sequence:
            return
        behind = self._behind.get(key)
        if behind is None:
            behind = self._behind[key] = Aggregate(
                event.page.sequence, event.position, set(), event.stored_at
            )
        behind.target = max(behind.target, event.page.sequence)
        behind.position = behind.position or event.position
        behind.noted += 1
        behind.newest = (event.page.sequence, event.correlation_id)
        self.ahead += 1
        if event.correlation_id:
            behind.correlation_ids.add(event.correlation_id)
        self._lanes.wake(key)

    @property
    def oldest(self) -> int | None:
        """See Backlog."""
        return min((behind.position for behind in self._behind.values() if behind.position), default=None)

    async def _advance(self, key: Key) -> float | None:
        behind = self._behind.get(key)
        if behind is None or key in self._parked:
            return None
        position = await self._position(key)
        if position < behind.target:
            book = await self._next_book(key, position + 1, behind)
            if book is None:
                return None
            try:
                projection = await self._hand_over(book)
            except GRPCError as error:
                gone = self._behind.get(key) is not behind
                return None if gone else await self._failed(key, behind, book, error)
            position = book.pages[-1].header.sequence
            if self._behind.get(key) is not behind:
                return None
            faults.reached("in a projection")
            await self._engine.store.submit([SetPosition(self.consumer, key, position)])
            self._remember(key, position)
            self.handed_over += 1
            behind.succeeded()
            behind.answer(position, projection)
        else:
            behind.answer(position, Projection(projector=self.projector.name, sequence=position + 1))
        return self._next(key, behind, position)

    def _next(self, key: Key, behind: Aggregate, position: int) -> float | None:
        if self._behind.get(key) is not behind:
            return None
        if position < behind.target:
            return AGAIN
        self._done_with(key)
        if not self._behind:
            self.walk.wake()
        self.changed.set()
        return None

    def _done_with(self, key: Key) -> None:
        self.ahead -= self._behind.pop(key).noted

    async def _position(self, key: Key) -> int:
        known = self._positions.get(key)
        if known is None:
            stored = await self._engine.store.position(self.consumer, key)
            known = -1 if stored is None else stored.sequence
            self._remember(key, known)
        return known

    def _remember(self, key: Key, position: int) -> None:
        self._positions[key] = position
        self._positions.move_to_end(key)
        if len(self._positions) > _REMEMBERED:
            self._positions.popitem(last=False)

    async def _next_book(self, key: Key, lower: int, behind: Aggregate) -> EventBook | None:
        upper = behind.target
        pages = await self._engine.store.own_pages(key, lower, min(upper, lower + _PAGES_PER_BOOK - 1))
        if not pages:
            # A named edition begins above zero.
            pages = await self._engine.store.own_pages(key, lower, upper)
        undecided = next((n for n, page in enumerate(pages) if page.state == PENDING), len(pages))
        del pages[undecided:]
        if not pages:
            return None
        if pages[0].sequence <= behind.careful_until:
            del pages[await self._stored_together(key, [page.sequence for page in pages]) :]
        shown = books.visible(pages)
        correlation_id = await self._correlation_of(key, pages[-1].sequence, behind)
        book = books.event_book(books.cover_of(key, correlation_id), shown, pages[-1].sequence + 1)
        return book

    async def _stored_together(self, key: Key, sequences: list[int]) -> int:
        """How many of these events were stored with the first of them."""
        first, *others = sequences
        event = await self._engine.store.event(key, first)
        for number, sequence in enumerate(others, 1):
            other = await self._engine.store.event(key, sequence)
            if event is None or other is None or other.stored_at != event.stored_at:
                return number
        return len(sequences)

    async def _correlation_of(self, key: Key, sequence: int, behind: Aggregate) -> str:
        if behind.newest[0] == sequence:
            return behind.newest[1]
        event = await self._engine.store.event(key, sequence)
        return "" if event is None else event.correlation_id

    async def _hand_over(self, book: EventBook) -> Projection:
        limit = self._config.handler_timeout
        given = EventBook(cover=book.cover, next_sequence=book.next_sequence)
        given.pages = await self._engine.upcast(book.cover.domain, book.pages)
        try:
            asked = self.projector.endpoint.handle(given)
            projection = await guarded(f"Projector {self.projector.name!r}", asked, limit)
        except TimeoutError:
            text = f"Projector {self.projector.name!r} did not answer within {limit:g} s"
            raise GRPCError(Status.DEADLINE_EXCEEDED, text) from None
        projection.projector = projection.projector or self.projector.name
        return projection

    async def _failed(self, key: Key, behind: Aggregate, book: EventBook, error: GRPCError) -> float | None:
        sequences = [page.header.sequence for page in book.pages]
        given_up = behind.failed(error, self._config)
        apart = await self._stored_together(key, sequences) < len(sequences)
        if self._behind.get(key) is not behind:
            return None
        if apart:
            behind.careful_until = sequences[-1]
        elif given_up:
            await self._park(key, behind, book, error)
            return None
        pause = backoff(behind.attempt, self._config.min_delay, self._config.max_delay)
        _log.warning(
            "projector_failed",
            projector=self.projector.name,
            domain=key.domain,
            root=key.root.hex(),
            sequence=book.pages[0].header.sequence,
            attempt=behind.attempt,
            again_in=pause,
            error=error.message,
        )
        return pause

    async def _park(self, key: Key, behind: Aggregate, book: EventBook, error: GRPCError) -> None:
        reason = f"{self.projector.name}: {error.message}"
        letter = dead_letters.of_events(book, self.projector.name, "projector", reason, behind.attempt)
        position = await self._position(key)
        await self._engine.store.submit(
            [dead_letters.letter_row(letter), SetPosition(self.consumer, key, position, parked=True)]
        )
        self._parked.add(key)
        self._done_with(key)
        self.changed.set()
        _log.error(
            "projector_parked",
            projector=self.projector.name,
            domain=key.domain,
            root=key.root.hex(),
            sequence=book.pages[0].header.sequence,
            error=error.message,
        )

    async def unpark(self, key: Key, position: int | None, also: Operation) -> None:
        """Go on with a parked aggregate.

        Args:
            key: the aggregate.
            position: after which; None for where it is, so that the book in the way is tried again.
            also: what is stored with it.
        """
        at = await self._position(key) if position is None else position
        await self._engine.store.submit([SetPosition(self.consumer, key, at), also])
        self._remember(key, at)
        self._parked.discard(key)
        head = await self._engine.store.next_sequence(key)
        if head - 1 > at:
            self._behind[key] = Aggregate(head - 1, 0, set(), microseconds())
            self._lanes.wake(key)

    def edition_deleted(self, domain: str, edition: str) -> None:
        """An edition's events in a domain are gone, and with them how far the projector was."""
        for keys in (list(self._positions), list(self._parked), list(self._behind)):
            for key in keys:
                if (key.domain, key.edition) == (domain, edition):
                    self._positions.pop(key, None)
                    self._parked.discard(key)
                    self._let_go(key)
        self.changed.set()

    def _let_go(self, key: Key) -> None:
        behind = self._behind.pop(key, None)
        if behind is not None:
            self.ahead -= behind.noted
            behind.tell(GRPCError(Status.NOT_FOUND, "The edition was deleted"))

    def cascade_ended(self) -> None:
        """Pending pages became valid, or were revoked."""
        for key in self._behind:
            self._lanes.rouse(key)

    def pending(self, correlation_id: str | None = None) -> list[Pending]:
        """What has not been taken in yet."""
        now = microseconds()
        rows = [
            Pending(
                self.projector.name,
                key.domain,
                key.root,
                behind.target,
                behind.attempt + 1,
                (now - behind.since) / 1_000_000,
                f"projecting, failed: {behind.error}" if behind.error else "projecting",
            )
            for key, behind in self._behind.items()
            if correlation_id is None or correlation_id in behind.correlation_ids
        ]
        walk = self.walk
        if walk.cursor < walk.wanted or not walk.caught_up:
            state = f"read up to {walk.cursor}"
            rows.append(Pending(self.projector.name, "*", b"", walk.wanted, 0, 0.0, state))
        return rows

    def is_busy(self, correlation_id: str | None = None) -> bool:
        """Whether something has not been taken in yet."""
        if self.walk.cursor < self.walk.wanted or not self.walk.caught_up:
            return True
        if correlation_id is None:
            return self.has_work
        return any(correlation_id in behind.correlation_ids for behind in self._behind.values())

    @property
    def domains(self) -> tuple[str, ...] | None:
        """The domains it reads; None for all of them."""
        return None if "*" in self.projector.domains else self.projector.domains

    @property
    def has_work(self) -> bool:
        """Whether some aggregate has events that it has read and not taken in."""
        return bool(self._behind)

    def go_on(self) -> None:
        """What failed for want of a business server may be tried again at once."""
        self._lanes.rouse_all()

    def retire(self) -> None:
        """Start nothing any more: another one goes on."""
        self._lanes.close()
        self.walk.end()

    def leave(self) -> "dict[Key, Aggregate]":
        """Write nothing down any more, what is being taken in included; answers what a successor is to be told of."""
        behind, self._behind, self.ahead = self._behind, {}, 0
        self.walk.caught_up = False
        return behind

    def succeed(self, left: "dict[Key, Aggregate]") -> None:
        """Answer whoever waited for another one, which has left."""
        for key, aggregate in left.items():
            for sequence, future in aggregate.waiters:
                if not future.done():
                    self._answer_at(key, sequence, future)

    def stop(self) -> None:
        """Start nothing any more; whoever waits is told."""
        self.retire()
        stopped = GRPCError(Status.UNAVAILABLE, "The coordinator was stopped; the events are stored")
        for behind in self._behind.values():
            behind.tell(stopped)
