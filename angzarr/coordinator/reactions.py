"""Sagas and process managers: called for what was stored, and their answers delivered, over a durable outbox.

A commit leaves a row per interested component in the same transaction. A row is a step: call the component (the answer
replaces the row by one row per command and fact), deliver a command or fact (the target's transaction removes the row),
or tell a source of a rejection. Whatever happens to the process in between, a restart finds the rows that are left.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import codec
from angzarr.coordinator import books, dead_letters, faults
from angzarr.coordinator.commits import ASYNC, Commit, Flow, Origin
from angzarr.coordinator.engine import (
    Engine,
    commit_of,
    created,
    new_events,
    snapshot_of,
    stamped,
    upcast,
)
from angzarr.coordinator.errors import ConflictError, Pending, StoreError
from angzarr.coordinator.handlers import ProcessManagerComponent, SagaComponent
from angzarr.coordinator.lanes import AGAIN, Lanes, backoff
from angzarr.coordinator.sending import (
    COMMAND,
    FACT,
    PROCESS_MANAGER,
    REJECTION,
    SAGA,
    Sender,
    cascade_id_of,
    cause_of,
    deliveries,
    follow_up,
    pack_body,
    rows_of,
    trigger_body,
    unpack_body,
)
from angzarr.coordinator.steps import Done, FailedError, Item, Lane, process_root
from angzarr.coordinator.store.records import (
    Dequeue,
    Enqueue,
    Key,
    Operation,
    OutboxRow,
    Provenance,
    Reschedule,
    SetPosition,
)
from angzarr.coordinator.store.writes import microseconds
from angzarr.log import get_logger
from angzarr.messages import (
    CascadeErrorMode,
    CommandRequest,
    Cover,
    EventBook,
    EventRequest,
    PageHeader,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    SagaHandleRequest,
    SyncMode,
    clone,
    divergence_for,
    has_field,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from angzarr.coordinator.commands import CommandPipeline
    from angzarr.coordinator.facts import FactPipeline
    from angzarr.coordinator.rejections import Rejections

T = TypeVar("T")

_TRANSIENT = frozenset({Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED})
_HOPELESS = frozenset({Status.INVALID_ARGUMENT, Status.UNIMPLEMENTED, Status.NOT_FOUND})
_log = get_logger(__name__)


class Reactions:
    """Runs the outbox of an engine."""

    def __init__(
        self,
        engine: Engine,
        commands: "CommandPipeline",
        facts: "FactPipeline",
        rejections: "Rejections",
        group: "TaskGroup",
    ) -> None:
        self._engine = engine
        self.commands = commands
        self.facts = facts
        self._rejections = rejections
        self._config = engine.config.reactions
        self._queues: dict[Lane, deque[Item]] = {}
        self._lanes: Lanes[Lane] = Lanes(group, self._run_lane, self._config.concurrency)
        self._sagas = {saga.name: saga for saga in engine.components.sagas}
        self._managers = {manager.name: manager for manager in engine.components.process_managers}
        self.claimed: dict[int, Item] = {}
        self.changed = asyncio.Event()
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
        names = [(SAGA, saga.name) for saga in self._sagas.values() if saga.source == key.domain]
        if correlation_id:
            managers = self._managers.values()
            names += [(PROCESS_MANAGER, one.name) for one in managers if key.domain in one.sources]
        if not names:
            return []
        body = trigger_body(commit.flow.mode, commit.flow.errors, commit.flow.cascade_id)
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
        """Take up what an earlier process left; answers how many steps there are."""
        after, count = 0, 0
        while rows := await self._engine.store.outbox(after):
            self.add([Item(row, attempt=row.attempt) for row in rows])
            after, count = rows[-1].id, count + len(rows)
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
                item.row.kind if item.started_at is None else f"{item.row.kind}, running",
            )
            for item in items
            if correlation_id is None or item.row.correlation_id == correlation_id
        ]

    def steps_of(self, cascade_id: str) -> bool:
        """Whether some step of a two-phase cascade is left."""
        queued = (item for queue in self._queues.values() for item in queue)
        return any(cascade_id_of(item.row) == cascade_id for item in (*queued, *self.claimed.values()))

    def stop(self) -> None:
        """Start nothing any more."""
        self._lanes.close()

    # The lanes

    async def _run_lane(self, lane: Lane) -> float | None:
        queue = self._queues.get(lane)
        if not queue:
            return None
        item = queue[0]
        try:
            done = await self.step(item, Flow(cascade_id=cascade_id_of(item.row)))
        except FailedError as failure:
            return await self._failed(queue, item, failure)
        queue.popleft()
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

    async def _finish(self, commit: Commit) -> None:
        assert self.finish_cascade is not None
        try:
            await self.finish_cascade(commit)
        except GRPCError as error:
            _log.warning("reaction_not_finished", domain=commit.key.domain, error=error.message)

    async def _failed(self, queue: deque[Item], item: Item, failure: FailedError) -> float | None:
        item.attempt += 1
        item.started_at = None
        if failure.hopeless or item.attempt >= self._config.attempts:
            await self.give_up(item, failure.error)
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
            await self._engine.store.submit([Reschedule(item.row.id, item.attempt, due)])
        except StoreError as error:
            _log.warning("attempt_not_recorded", component=item.row.component, error=str(error))
        return pause

    async def give_up(self, item: Item, error: GRPCError) -> None:
        """Put a step that cannot be done into the dead letters."""
        letter = await self._letter(item, error)
        await self._engine.store.submit([dead_letters.letter_row(letter), Dequeue(item.row.id)])
        _log.error(
            "reaction_dead_lettered",
            component=item.row.component,
            step=item.row.kind,
            domain=item.row.key.domain,
            root=item.row.key.root.hex(),
            sequence=item.row.last_sequence,
            error=error.message,
        )

    async def _letter(self, item: Item, error: GRPCError) -> Any:
        row = item.row
        reason = f"{row.component}: {error.message}"
        if row.kind in {SAGA, PROCESS_MANAGER}:
            kind = "saga" if row.kind == SAGA else "process_manager"
            return dead_letters.of_events(await self._book(item), row.component, kind, reason, item.attempt)
        meta, data = unpack_body(row.body)
        kind = "saga" if meta.get("kind") == SAGA else "process_manager"
        if row.kind == FACT:
            book = codec.decode(EventRequest, data).events
            return dead_letters.of_events(book, row.component, kind, reason, item.attempt)
        command = codec.decode(CommandRequest, data).command
        return dead_letters.of_command(command, row.component, kind, reason, item.attempt)

    # The steps

    async def step(self, item: Item, flow: Flow) -> Done:
        """Do one step, and store that it is done.

        Args:
            item: the step.
            flow: how the commands it sends run.

        Raises:
            FailedError: it could not be done; nothing has changed.
        """
        item.started_at = asyncio.get_running_loop().time()
        faults.reached("after outbox read")
        kind = item.row.kind
        try:
            if kind == SAGA:
                return await self._call_saga(item)
            if kind == PROCESS_MANAGER:
                return await self._call_manager(item)
            if kind == COMMAND:
                return await self._deliver_command(item, flow)
            if kind == FACT:
                return await self._deliver_fact(item, flow)
            return await self._tell(item, flow)
        except StoreError as error:
            raise FailedError(GRPCError(Status.INTERNAL, str(error))) from error

    async def _book(self, item: Item) -> EventBook:
        """The pages that triggered a step, with cover and next sequence."""
        row = item.row
        if item.commit is not None:
            pages = item.commit.stored
        else:
            pages = await self._engine.store.own_pages(row.key, row.sequence, row.last_sequence)
        seen = books.visible(pages, pages[0].cascade_id if pages else "")
        book = books.event_book(books.cover_of(row.key, row.correlation_id), seen, row.last_sequence + 1)
        upcaster = self._engine.components.upcasters.get(row.key.domain)
        if item.commit is None and upcaster is not None:
            # Stored a while ago, perhaps by an older version.
            book.pages = await upcast(upcaster, row.key.domain, book.pages)
        return book

    async def _ask(self, item: Item, what: str, answer: Awaitable[T]) -> T:
        """Await a component's answer, for as long as it may take."""
        limit = self._config.handler_timeout
        try:
            async with asyncio.timeout(limit) as deadline:
                return await answer
        except TimeoutError:
            if not deadline.expired():
                raise
            text = f"{what} {item.row.component!r} did not answer within {limit:g} s"
            raise FailedError(GRPCError(Status.DEADLINE_EXCEEDED, text)) from None
        except GRPCError as error:
            raise FailedError(error, hopeless=error.status in _HOPELESS) from error

    async def _call_saga(self, item: Item) -> Done:
        row = item.row
        saga = self._sagas.get(row.component)
        if saga is None:
            raise FailedError(_gone("saga", row.component), hopeless=True)
        book = await self._book(item)
        request = SagaHandleRequest(
            source=book,
            destination_sequences=await self._saga_destinations(saga, row.key, book.cover),
            **_modes(row),
        )
        answer = await self._ask(item, "Saga", saga.endpoint.handle(request))
        sender = Sender(row.component, SAGA, clone(book.cover), row.last_sequence)
        done = await self._replace(item, deliveries(row, sender, answer.commands, answer.events))
        return replace(done, answer=answer)

    async def _saga_destinations(self, saga: SagaComponent, key: Key, cover: Cover) -> dict[str, int]:
        if len(saga.targets) != 1:
            return {}
        target = Key(saga.targets[0], key.edition, key.root)
        divergence = divergence_for(cover.edition, target.domain)
        return {target.domain: await self._engine.store.next_sequence(target, divergence)}

    async def _replace(self, item: Item, rows: Sequence[Enqueue]) -> Done:
        results = await self._engine.store.submit([Dequeue(item.row.id), *rows])
        return Done(_items(rows, results[1:]))

    async def _call_manager(self, item: Item) -> Done:
        row = item.row
        manager = self._managers.get(row.component)
        if manager is None:
            raise FailedError(_gone("process manager", row.component), hopeless=True)
        consumer = f"pm:{manager.name}"
        seen = await self._engine.store.position(consumer, row.key)
        if seen is not None and seen.sequence >= row.last_sequence:
            return await self._replace(item, [])
        trigger = await self._book(item)
        handled = SetPosition(consumer, row.key, row.last_sequence)
        for _ in range(self._engine.config.commands.attempts):
            try:
                return await self.advance(item, manager, trigger, (handled,))
            except ConflictError:
                continue
        raise FailedError(
            GRPCError(Status.ABORTED, f"Other writers keep writing to process {row.component!r}")
        )

    async def advance(
        self,
        item: Item,
        manager: ProcessManagerComponent,
        trigger: EventBook,
        also: Sequence[Operation] = (),
        cause: Provenance | None = None,
    ) -> Done:
        """Call a process manager and store its events together with the commands still to be sent.

        Raises:
            ConflictError: STORE_CONFLICT, another writer was first: call again.
            FailedError: it did not answer, or answered what cannot be stored.
        """
        engine, row = self._engine, item.row
        process = Key(manager.pm_domain, row.key.edition, process_root(row.correlation_id))
        async with engine.locks.hold(process):
            history = await engine.load(process, trigger.cover)
            request = ProcessManagerHandleRequest(
                trigger=trigger,
                process_state=await engine.book_for_handler(history, cascade_id_of(row)),
                destination_sequences=await self._manager_destinations(manager, row.key),
            )
            answer = await self._ask(item, "Process manager", manager.endpoint.handle(request))
            own = process_events(answer, process, row.correlation_id, history.next_sequence)
            last = history.next_sequence + len(own.pages) - 1
            sender = Sender(
                manager.name, PROCESS_MANAGER, books.cover_of(process, row.correlation_id), max(last, 0)
            )
            rows = deliveries(row, sender, answer.commands, answer.facts)
            rest: list[Operation] = [Dequeue(row.id), *also, *rows]
            if not own.pages:
                results = await engine.store.submit(rest)
                return Done(_items(rows, results[-len(rows) :] if rows else []), answer=answer)
            try:
                stamped(own, history.next_sequence, engine.config.commands.max_events)
            except GRPCError as error:
                raise FailedError(error, hopeless=True) from error
            flow = Flow(cascade_id=cascade_id_of(row))
            commit = commit_of(process, own, history.next_sequence, flow)
            events = new_events(
                commit.stored,
                correlation_id=row.correlation_id,
                causes=(cause or _trigger_of(row),),
                received_at=row.created_at,
            )
            try:
                await engine.store_events(history, commit, events, snapshot_of(own, history), rest)
            except GRPCError as error:
                raise FailedError(error) from error
            answer.process_events = [commit.book]
            return Done(_items(rows, commit.extra[-len(rows) :] if rows else []), commit, answer=answer)

    async def _manager_destinations(self, manager: ProcessManagerComponent, key: Key) -> dict[str, int]:
        return {
            domain: await self._engine.store.next_sequence(Key(domain, key.edition, key.root))
            for domain in manager.targets
        }

    async def _deliver_command(self, item: Item, flow: Flow) -> Done:
        row = item.row
        meta, data = unpack_body(row.body)
        request = codec.decode(CommandRequest, data)
        origin = replace(self._origin(row, meta, flow), fresh=item.fresh and item.attempt == 0)
        try:
            commit = await self.commands.execute(request, origin)
        except GRPCError as error:
            if _may_pass(error):
                raise FailedError(error) from error
            meta["reason"] = error.message or error.status.name
            done = await self._replace(item, [follow_up(REJECTION, row, pack_body(meta, data))])
            return replace(done, rejection=error, command=request.command)
        faults.reached("after delivery")
        return Done(commit=commit, command=request.command)

    async def _deliver_fact(self, item: Item, flow: Flow) -> Done:
        row = item.row
        meta, data = unpack_body(row.body)
        try:
            commit = await self.facts.execute(codec.decode(EventRequest, data), self._origin(row, meta, flow))
        except GRPCError as error:
            raise FailedError(error, hopeless=not _may_pass(error)) from error
        return Done(commit=commit)

    def _origin(self, row: OutboxRow, meta: dict[str, Any], flow: Flow) -> Origin:
        return Origin(row.component, meta["index"], cause_of(meta, row.component), (Dequeue(row.id),), flow)

    async def _tell(self, item: Item, flow: Flow) -> Done:
        meta, data = unpack_body(item.row.body)
        rejected = codec.decode(CommandRequest, data).command
        return await self._rejections.tell(self, item, rejected, meta, flow)

    def manager(self, name: str) -> ProcessManagerComponent | None:
        """A process manager by its name."""
        return self._managers.get(name)


async def _nothing_to_settle(cascade_id: str) -> None:
    """Until somebody keeps account of two-phase cascades."""


def process_events(
    answer: ProcessManagerHandleResponse, process: Key, correlation_id: str, next_sequence: int
) -> EventBook:
    """A process manager's own new events as one book, addressed, stamped and dated where it left that out."""
    own = EventBook(cover=books.cover_of(process, correlation_id))
    for book in answer.process_events:
        own.pages += (clone(page) for page in book.pages)
        if has_field(book, "snapshot"):
            own.snapshot = book.snapshot
    for number, page in enumerate(own.pages):
        if not has_field(page.header, "sequence"):
            page.header = PageHeader(sequence=next_sequence + number)
        created(page)
    return own


def _items(rows: Sequence[Enqueue], ids: Sequence[Any]) -> list[Item]:
    return [Item(row, fresh=True) for row in rows_of(rows, ids, microseconds())]


def _trigger_of(row: OutboxRow) -> Provenance:
    return Provenance(row.key.edition, row.key.domain, row.key.root, row.last_sequence, row.component)


def _modes(row: OutboxRow) -> dict[str, Any]:
    meta, _ = unpack_body(row.body)
    return {
        "sync_mode": SyncMode.try_value(meta["mode"]),
        "cascade_error_mode": CascadeErrorMode.try_value(meta["errors"]),
    }


def _may_pass(error: GRPCError) -> bool:
    return error.status in _TRANSIENT or isinstance(error.__cause__, StoreError)


def _gone(kind: str, name: str) -> GRPCError:
    return GRPCError(
        Status.NOT_FOUND, f"No {kind} {name!r} in this application: put it back, or skip the dead letter"
    )
