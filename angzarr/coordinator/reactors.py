"""Sagas and process managers, called for what was stored; what they answer is stored before anything is sent of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import codec
from angzarr.coordinator import books, faults
from angzarr.coordinator.answers import commit_of, new_events, not_too_many, snapshot_of, stamped
from angzarr.coordinator.asking import guarded
from angzarr.coordinator.commits import Flow
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import ConflictError
from angzarr.coordinator.handlers import ProcessManagerComponent, SagaComponent
from angzarr.coordinator.processes import process_events
from angzarr.coordinator.sending import (
    PROCESS_MANAGER,
    SAGA,
    Sender,
    cascade_id_of,
    caused_of,
    deliveries,
    rows_of,
    unpack_body,
)
from angzarr.coordinator.steps import Done, FailedError, Item, is_the_stores, process_root
from angzarr.coordinator.store.records import (
    Dequeue,
    Enqueue,
    Key,
    Operation,
    OutboxRow,
    Provenance,
    SetPosition,
    StoredPage,
)
from angzarr.coordinator.store.writes import microseconds
from angzarr.messages import (
    CascadeErrorMode,
    Cover,
    EventBook,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    SagaHandleRequest,
    SagaResponse,
    SyncMode,
    clone,
    divergence_for,
)

A = TypeVar("A", SagaResponse, ProcessManagerHandleResponse)

_HOPELESS = frozenset({Status.INVALID_ARGUMENT, Status.UNIMPLEMENTED, Status.NOT_FOUND})


class Reactors:
    """The sagas and process managers of an engine, by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._config = engine.config.reactions
        self.sagas: dict[str, SagaComponent] = {saga.name: saga for saga in engine.components.sagas}
        self.managers: dict[str, ProcessManagerComponent] = {
            manager.name: manager for manager in engine.components.process_managers
        }

    async def call_saga(self, item: Item) -> Done:
        """Call a saga for what its row is about, and store what it sends.

        Raises:
            FailedError: it did not answer, or answered what cannot be stored.
        """
        row = item.row
        saga = self.sagas.get(row.component)
        if saga is None:
            raise FailedError(_gone("saga", row.component), hopeless=True)
        book = await self._trigger(item)
        request = SagaHandleRequest(
            source=book,
            destination_sequences=await self.saga_destinations(saga, row.key, book.cover),
            **_modes(row),
        )
        answer = await self.ask(item, "Saga", saga.endpoint.handle(request))
        faults.reached("after a reaction")
        sender = Sender(row.component, SAGA, clone(book.cover), row.last_sequence)
        done = await self.supersede(item, deliveries(row, sender, answer.commands, answer.events))
        return replace(done, answer=answer)

    async def call_manager(self, item: Item) -> Done:
        """Call a process manager for what its row is about, once, and store what it answers.

        Raises:
            FailedError: it did not answer, or answered what cannot be stored.
        """
        row = item.row
        manager = self.managers.get(row.component)
        if manager is None:
            raise FailedError(_gone("process manager", row.component), hopeless=True)
        consumer = f"pm:{manager.name}"
        seen = await self._engine.store.position(consumer, row.key)
        position = -1 if seen is None else seen.sequence
        meta, _ = unpack_body(row.body)
        if position >= row.last_sequence and not meta.get("replayed"):
            return await self.supersede(item, [])
        trigger = await self._trigger(item)
        handled = SetPosition(consumer, row.key, max(position, row.last_sequence))
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
        verdicts: Callable[[ProcessManagerHandleResponse], list[Enqueue]] | None = None,
        first_index: int = 0,
    ) -> Done:
        """Call a process manager and store its events together with the commands still to be sent.

        Args:
            item: the step.
            manager: whom to call.
            trigger: what it is told.
            also: what is stored with its answer.
            cause: the provenance of its events, when it is not the trigger.
            verdicts: takes out of the answer to a rejection what is to be done about it; a step that such an answer
                says nothing to stays to be done.
            first_index: number of the first command or fact it answers.

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
                destination_sequences=await self.manager_destinations(manager, row.key),
            )
            answer = await self.ask(item, "Process manager", manager.endpoint.handle(request))
            faults.reached("after a reaction")
            said = [] if verdicts is None else verdicts(answer)
            try:
                own = process_events(answer, process, row.correlation_id, history.next_sequence)
                stamped(own, history.next_sequence, engine.config)
            except GRPCError as error:
                raise FailedError(error, hopeless=True) from error
            last = history.next_sequence + len(own.pages) - 1
            source = books.cover_of(process, row.correlation_id)
            # Without events of its own two triggers would share their source: then the trigger tells them apart.
            known_by = None if own.pages else cause or _trigger_of(row)
            sender = Sender(manager.name, PROCESS_MANAGER, source, max(last, 0), known_by)
            sent = deliveries(
                row, sender, answer.commands, answer.facts, first_index, of_rejection=verdicts is not None
            )
            rows = [*said, *sent]
            rest: list[Operation] = [Dequeue(row.id), *also, *rows]
            if verdicts is not None and not own.pages and not rows:
                return Done(answer=answer, unanswered=True)
            if not own.pages:
                results = await engine.store.submit(rest)
                return Done(_items(rows, results[-len(rows) :] if rows else []), answer=answer)
            flow = Flow(cascade_id=cascade_id_of(row), caused=caused_of(row) + 1)
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
                raise FailedError(error, patient=is_the_stores(error)) from error
            answer.process_events = [commit.book]
            return Done(_items(rows, commit.extra[-len(rows) :] if rows else []), commit, answer=answer)

    async def ask(self, item: Item, what: str, answer: Awaitable[A]) -> A:
        """Await a component's answer, for as long as it may take.

        Raises:
            FailedError: its own refusal; it did not answer in time; it answered too much.
        """
        limit = self._config.handler_timeout
        try:
            answered = await guarded(f"{what} {item.row.component!r}", answer, limit)
        except TimeoutError:
            text = f"{what} {item.row.component!r} did not answer within {limit:g} s"
            raise FailedError(GRPCError(Status.DEADLINE_EXCEEDED, text)) from None
        except GRPCError as error:
            raise FailedError(error, hopeless=error.status in _HOPELESS) from error
        facts = answered.events if isinstance(answered, SagaResponse) else answered.facts
        most = self._engine.config.commands.max_events
        try:
            not_too_many(len(answered.commands) + len(facts), most, "commands and facts for one trigger")
        except GRPCError as error:
            raise FailedError(error, hopeless=True) from error
        return answered

    async def supersede(self, item: Item, rows: Sequence[Enqueue]) -> Done:
        """Store what takes the place of a step."""
        results = await self._engine.store.submit([Dequeue(item.row.id), *rows])
        return Done(_items(rows, results[1:]))

    async def book_of(self, item: Item) -> EventBook:
        """The pages that triggered a step, as they were stored, with cover and next sequence."""
        row = item.row
        _, given = unpack_body(row.body)
        if item.commit is not None:
            return _seen(row, item.commit.stored)
        if given:
            return codec.decode(EventBook, given)
        return _seen(row, await self._engine.store.own_pages(row.key, row.sequence, row.last_sequence))

    async def _trigger(self, item: Item) -> EventBook:
        book = await self.book_of(item)
        if item.commit is None:
            # Stored a while ago, perhaps by an older version.
            book.pages = await self._engine.upcast(item.row.key.domain, book.pages)
        return book

    async def saga_destinations(self, saga: SagaComponent, key: Key, cover: Cover) -> dict[str, int]:
        """For a saga with one target: the next sequence there of the aggregate with the source's root."""
        if len(saga.targets) != 1:
            return {}
        target = Key(saga.targets[0], key.edition, key.root)
        divergence = divergence_for(cover.edition, target.domain)
        return {target.domain: await self._engine.store.next_sequence(target, divergence)}

    async def manager_destinations(self, manager: ProcessManagerComponent, key: Key) -> dict[str, int]:
        """The next sequence in each target of the aggregate with the trigger's root."""
        return {
            domain: await self._engine.store.next_sequence(Key(domain, key.edition, key.root))
            for domain in manager.targets
        }

    def manager_of(self, domain: str) -> ProcessManagerComponent | None:
        """The process manager whose own domain that is, unless the domain takes commands."""
        if domain in self._engine.components.command_handlers:
            return None
        return next((one for one in self.managers.values() if one.pm_domain == domain), None)


def _seen(row: OutboxRow, pages: Sequence[StoredPage]) -> EventBook:
    seen = books.visible(pages, pages[0].cascade_id if pages else "")
    return books.event_book(books.cover_of(row.key, row.correlation_id), seen, row.last_sequence + 1)


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


def _gone(kind: str, name: str) -> GRPCError:
    return GRPCError(
        Status.NOT_FOUND, f"No {kind} {name!r} in this application: put it back, or skip the dead letter"
    )
