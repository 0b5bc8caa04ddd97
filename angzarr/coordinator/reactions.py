"""Sagas and process managers: called for what was stored, and their answers delivered, over a durable outbox.

A commit leaves a row per interested component in the same transaction. A row is a step: call the component (the answer
replaces the row by one row per command and fact), deliver a command or fact (the target's transaction removes the row),
or tell a source of a rejection. Whatever happens to the process in between, a restart finds the rows that are left.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from grpclib import GRPCError

from angzarr.coordinator.commits import ASYNC, Commit, Flow
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import Pending, StoreError
from angzarr.coordinator.lanes import AGAIN, Lanes, backoff
from angzarr.coordinator.remote import UnreachableError
from angzarr.coordinator.sending import (
    COMMAND,
    FACT,
    PROCESS_MANAGER,
    REJECTION,
    SAGA,
    cascade_id_of,
    rows_of,
    trigger_body,
    unpack_body,
)
from angzarr.coordinator.stepping import Steps
from angzarr.coordinator.steps import FailedError, Item, Lane
from angzarr.coordinator.store.records import (
    Dequeue,
    Enqueue,
    Operation,
    Reschedule,
)
from angzarr.coordinator.store.writes import microseconds
from angzarr.log import get_logger
from angzarr.messages import SyncMode

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


T = TypeVar("T")

_log = get_logger(__name__)


class Reactions:
    """Runs the outbox of an engine: lanes of steps, in order per component and aggregate."""

    def __init__(self, engine: Engine, steps: Steps, group: "TaskGroup") -> None:
        self.steps = steps
        self._engine = engine
        self._config = engine.config.reactions
        self._queues: dict[Lane, deque[Item]] = {}
        self._lanes: Lanes[Lane] = Lanes(group, self._run_lane, self._config.concurrency)
        self.claimed: dict[int, Item] = {}
        self.changed: asyncio.Event = asyncio.Event()
        self.settle_cascade: Callable[[str], Awaitable[None]] = _nothing_to_settle
        self.finish_cascade: Callable[[Commit], Awaitable[object]] | None = None

    # What a commit leaves to be done

    def plan(self, commit: Commit) -> list[Operation]:
        """One row per component that reacts to the commit."""
        key, pages = commit.key, commit.stored
        if not pages or commit.flow.mode == SyncMode.ISOLATED:
            return []
        correlation_id = commit.book.cover.correlation_id
        first, last = pages[0].sequence, pages[-1].sequence
        reactors = self.steps.reactors
        names = [(SAGA, saga.name) for saga in reactors.sagas.values() if saga.source == key.domain]
        if correlation_id:
            managers = reactors.managers.values()
            names += [(PROCESS_MANAGER, one.name) for one in managers if key.domain in one.sources]
        if not names:
            return []
        flow = commit.flow
        body = trigger_body(flow.mode, flow.errors, flow.cascade_id, caused=flow.caused)
        return [Enqueue(kind, name, key, first, last, correlation_id, body) for kind, name in names]

    def committed(self, commit: Commit) -> list[Item]:
        """The steps that a commit left."""
        return [Item(row, commit) for row in rows_of(commit.planned, commit.work, microseconds())]

    def add(self, items: Sequence[Item], *, front: bool = False) -> None:
        """Let steps be run when their turn comes."""
        for item in reversed(items) if front else items:
            queue = self._queues.setdefault(item.lane, deque())
            queue.appendleft(item) if front else queue.append(item)
            self._lanes.wake(item.lane)

    def claim(self, items: Iterable[Item]) -> None:
        """These steps run inside of a cascade; they count as unfinished until they are released."""
        self.claimed.update({item.row.id: item for item in items})

    def release(self, items: Iterable[Item]) -> None:
        """These steps are no longer run by a cascade."""
        for item in items:
            self.claimed.pop(item.row.id, None)
        self.changed.set()

    async def recover(self) -> int:
        """Take up what an earlier process left; answers how many steps there are.

        Those of two-phase cascades are not taken up: what caused them has been revoked.
        """
        after, count = 0, 0
        while rows := await self._engine.store.outbox(after):
            after = rows[-1].id
            left = [row for row in rows if not cascade_id_of(row)]
            self.add([Item(row, attempt=row.attempt) for row in left])
            count += len(left)
            if len(left) < len(rows):
                await self._engine.store.submit([Dequeue(row.id) for row in rows if cascade_id_of(row)])
        return count

    def pending(self, correlation_id: str | None = None) -> list[Pending]:
        """The steps that are not done yet."""
        now = microseconds()
        items = [item for queue in self._queues.values() for item in queue] + list(self.claimed.values())
        return [
            Pending(
                item.row.component,
                item.row.key.domain,
                item.row.key.root,
                item.row.last_sequence,
                item.attempt + (item.started_at is not None),
                (now - item.row.created_at) / 1_000_000,
                _state(item),
            )
            for item in items
            if correlation_id is None or item.row.correlation_id == correlation_id
        ]

    def is_busy(self, correlation_id: str | None = None) -> bool:
        """Whether there are steps that are not done yet."""
        if correlation_id is None:
            return bool(self.claimed) or any(self._queues.values())
        items = chain(self.claimed.values(), *self._queues.values())
        return any(item.row.correlation_id == correlation_id for item in items)

    def steps_of(self, cascade_id: str) -> bool:
        """Whether some step of a two-phase cascade is left."""
        queued = (item for queue in self._queues.values() for item in queue)
        return any(cascade_id_of(item.row) == cascade_id for item in (*queued, *self.claimed.values()))

    def stop(self) -> None:
        """Start nothing any more."""
        self._lanes.close()

    def edition_deleted(self, domain: str, edition: str) -> None:
        """An edition's events in a domain are gone: nobody reacts to them any more, apart from what runs already."""
        for queue in self._queues.values():
            gone = [
                item for item in queue if (item.row.key.domain, item.row.key.edition) == (domain, edition)
            ]
            for item in gone:
                if item.started_at is None:
                    queue.remove(item)
        self.changed.set()

    def go_on(self) -> None:
        """What failed for want of a business server may be tried again at once."""
        self._lanes.rouse_all()

    # The lanes

    async def _run_lane(self, lane: Lane) -> float | None:
        queue = self._queues.get(lane)
        if not queue:
            return None
        item = queue[0]
        try:
            done = await self.steps.step(item, Flow(cascade_id=cascade_id_of(item.row)))
        except FailedError as failure:
            return await self._failed(queue, item, failure)
        queue.popleft()
        if item.row.kind == REJECTION and done.rejection is not None:
            await self._stop_chain(item, queue)
        self.add(done.following, front=True)
        if done.commit is not None and self.finish_cascade is not None and done.commit.flow.mode != ASYNC:
            await self._finish(done.commit)
        pause = self._next(lane, queue)
        await self.settle_cascade(cascade_id_of(item.row))
        return pause

    def _next(self, lane: Lane, queue: deque[Item]) -> float | None:
        self.changed.set()
        if queue:
            return AGAIN
        self._queues.pop(lane, None)
        return None

    async def _stop_chain(self, item: Item, queue: deque[Item]) -> None:
        """The source of a rejection said abort: what its reaction has still to send is not sent."""
        await self.drop(queue, belonging(queue, item))

    async def drop(self, queue: deque[Item], items: Sequence[Item]) -> None:
        """Take steps out of a queue, not to be done at all."""
        await self._engine.store.submit([Dequeue(one.row.id) for one in items])
        for one in items:
            queue.remove(one)

    async def _finish(self, commit: Commit) -> None:
        assert self.finish_cascade is not None
        try:
            await self.finish_cascade(commit)
        except GRPCError as error:
            _log.warning("reaction_not_finished", domain=commit.key.domain, error=error.message)

    def _is_spared(self, item: Item, failure: FailedError) -> bool:
        """Whether it failed for want of a business server that has not been away for long."""
        if item.failing_since is None:
            item.failing_since = _now()
        away = isinstance(failure.error, UnreachableError)
        return away and _now() - item.failing_since < self._config.patience

    async def _failed(self, queue: deque[Item], item: Item, failure: FailedError) -> float | None:
        item.started_at = None
        item.error = failure.error.message or failure.error.status.name
        if failure.patient:
            # The disk is full, say: nothing that this reaction could be given up for.
            _log.error(
                "reaction_waits_for_the_store", component=item.row.component, error=failure.error.message
            )
            return self._config.max_delay
        item.attempt += 1
        item.spared += self._is_spared(item, failure)
        counted = item.attempt - item.spared
        if failure.hopeless or counted >= self._config.attempts:
            await self.steps.give_up(item, failure.error)
            queue.popleft()
            next_run = self._next(item.lane, queue)
            await self.settle_cascade(cascade_id_of(item.row))
            return next_run
        pause = backoff(item.attempt, self._config.min_delay, self._config.max_delay)
        _log.warning(
            "reaction_failed",
            component=item.row.component,
            step=item.row.kind,
            domain=item.row.key.domain,
            root=item.row.key.root.hex(),
            sequence=item.row.last_sequence,
            attempt=item.attempt,
            again_in=pause,
            error=failure.error.message,
        )
        due = microseconds() + int(pause * 1_000_000)
        try:
            await self._engine.store.submit([Reschedule(item.row.id, counted, due)])
        except StoreError as error:
            _log.warning("attempt_not_recorded", component=item.row.component, error=str(error))
        return pause


def _state(item: Item) -> str:
    if item.started_at is not None:
        return f"{item.row.kind}, running"
    return f"{item.row.kind}, failed: {item.error}" if item.error else item.row.kind


def _now() -> float:
    return asyncio.get_running_loop().time()


def belonging(queue: Iterable[Item], rejection: Item) -> list[Item]:
    """What a reaction has still to send, apart from what it answered to a rejection."""
    return [
        one
        for one in queue
        if one.row.kind in {COMMAND, FACT}
        and one.row.component == rejection.row.component
        and _same_trigger(one, rejection)
        and not unpack_body(one.row.body)[0].get("of_rejection")
    ]


def _same_trigger(one: Item, other: Item) -> bool:
    return (one.row.key, one.row.sequence, one.row.last_sequence) == (
        other.row.key,
        other.row.sequence,
        other.row.last_sequence,
    )


async def _nothing_to_settle(cascade_id: str) -> None:
    """Until somebody keeps account of two-phase cascades."""
