"""The services of sagas, process managers, projectors and event streams; see services.py for the shape of a stub."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeAlias

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, checks, sending
from angzarr.coordinator.commits import Commit, Flow
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.handlers import ProjectorComponent
from angzarr.coordinator.outliving import outliving
from angzarr.coordinator.projections import Projections
from angzarr.coordinator.reactions import Reactions
from angzarr.coordinator.services import Metadata, answered, failing_cleanly
from angzarr.coordinator.status import invalid
from angzarr.coordinator.steps import Done, FailedError, Item, process_root
from angzarr.coordinator.store.records import Enqueue, Key
from angzarr.coordinator.store.writes import microseconds
from angzarr.coordinator.streams import EventStreams
from angzarr.messages import (
    CascadeErrorMode,
    Empty,
    EventBook,
    EventRequest,
    EventStreamFilter,
    ProcessManagerCoordinatorRequest,
    ProcessManagerHandleRequest,
    ProcessManagerHandleResponse,
    Projection,
    SagaHandleRequest,
    SagaResponse,
    SpeculatePmRequest,
    SpeculateProjectorRequest,
    SpeculateSagaRequest,
    SyncMode,
    clone,
    has_field,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

_Request: TypeAlias = SagaHandleRequest | ProcessManagerCoordinatorRequest


def _checked(book: EventBook, what: str) -> EventBook:
    if not has_field(book, "cover"):
        invalid(f"{what} must have a cover")
    checks.cover(book.cover)
    if not book.pages:
        invalid(f"{what} must have pages")
    return book


async def _given(
    engine: Engine,
    kind: str,
    component: str,
    book: EventBook,
    mode: SyncMode,
    errors: CascadeErrorMode,
) -> Item:
    """A step for events that a caller brings along, written down first."""
    key = books.key_of(book.cover)
    pages = books.stored(book.pages)
    row = Enqueue(
        kind,
        component,
        key,
        pages[0].sequence,
        pages[-1].sequence,
        book.cover.correlation_id,
        sending.trigger_body(mode, errors, book=book),
    )
    ids = await engine.store.submit([row])
    (made,) = sending.rows_of([row], ids, microseconds())
    return Item(made, Commit(key, book, pages, Flow(mode, errors)))


class _Runner:
    """Calls components for events that a caller brings along, as the steps of the outbox do."""

    def __init__(self, engine: Engine, reactions: Reactions, group: "TaskGroup") -> None:
        self._engine = engine
        self._reactions = reactions
        self._group = group

    async def _run(self, kind: str, component: str, book: EventBook, request: _Request) -> Done:
        """Call the component now, and to the end although the caller may leave; what it sends follows in its turn."""
        return await outliving(self._group, self._step(kind, component, book, request))

    async def _step(self, kind: str, component: str, book: EventBook, request: _Request) -> Done:
        mode = SyncMode.try_value(request.sync_mode)
        errors = CascadeErrorMode.try_value(request.cascade_error_mode)
        item = await _given(self._engine, kind, component, book, mode, errors)
        self._reactions.claim([item])
        try:
            done = await self._reactions.steps.step(item, Flow())
            self._reactions.add(done.following)
            return done
        except FailedError as failure:
            await self._reactions.steps.give_up(item, failure.error)
            raise failure.error from failure
        finally:
            self._reactions.release([item])


class SagaCoordinatorService(_Runner):
    """Sagas, called for events that a caller brings along."""

    async def execute(
        self, request: SagaHandleRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> SagaResponse:
        """Execute."""
        return await answered(self._execute(request), timeout)

    async def _execute(self, request: SagaHandleRequest) -> SagaResponse:
        book = _checked(request.source, "Saga source")
        response = SagaResponse()
        for saga in self._engine.components.sagas:
            if saga.source != book.cover.domain:
                continue
            done = await self._run(sending.SAGA, saga.name, book, request)
            if isinstance(done.answer, SagaResponse):
                response.commands += done.answer.commands
                response.events += done.answer.events
        return response

    async def execute_speculative(
        self, request: SpeculateSagaRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> SagaResponse:
        """ExecuteSpeculative: the sagas' answers; nothing is sent."""
        return await answered(self._speculate(request.request), timeout)

    async def _speculate(self, request: SagaHandleRequest) -> SagaResponse:
        book = _checked(request.source, "Saga source")
        response = SagaResponse()
        for saga in self._engine.components.sagas:
            if saga.source == book.cover.domain:
                asked = clone(request)
                if not asked.destination_sequences:
                    asked.destination_sequences = await self._reactions.steps.reactors.saga_destinations(
                        saga, books.key_of(book.cover), book.cover
                    )
                answer = await self._engine.call(f"Saga {saga.name!r}", saga.endpoint.handle(asked))
                response.commands += answer.commands
                response.events += answer.events
        return response


class ProcessManagerCoordinatorService(_Runner):
    """Process managers, called for events that a caller brings along."""

    async def handle(
        self,
        request: ProcessManagerCoordinatorRequest,
        timeout: float | None = None,
        metadata: Metadata = None,
    ) -> ProcessManagerHandleResponse:
        """Handle."""
        return await answered(self._handle(request), timeout)

    async def _handle(self, request: ProcessManagerCoordinatorRequest) -> ProcessManagerHandleResponse:
        book = _correlated(_checked(request.trigger, "Process manager trigger"))
        response = ProcessManagerHandleResponse()
        for manager in self._engine.components.process_managers:
            if book.cover.domain not in manager.sources:
                continue
            done = await self._run(sending.PROCESS_MANAGER, manager.name, book, request)
            _merge(response, done.answer)
        return response

    async def handle_speculative(
        self, request: SpeculatePmRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> ProcessManagerHandleResponse:
        """HandleSpeculative: the process managers' answers; nothing is stored or sent."""
        return await answered(self._speculate(request.request), timeout)

    async def _speculate(self, request: ProcessManagerHandleRequest) -> ProcessManagerHandleResponse:
        book = _correlated(_checked(request.trigger, "Process manager trigger"))
        response = ProcessManagerHandleResponse()
        for manager in self._engine.components.process_managers:
            if book.cover.domain not in manager.sources:
                continue
            asked = ProcessManagerHandleRequest(
                trigger=book,
                process_state=request.process_state,
                destination_sequences=request.destination_sequences
                or await self._reactions.steps.reactors.manager_destinations(
                    manager, books.key_of(book.cover)
                ),
            )
            if not has_field(request, "process_state"):
                key = Key(
                    manager.pm_domain,
                    books.key_of(book.cover).edition,
                    process_root(book.cover.correlation_id),
                )
                history = await self._engine.load(key, book.cover)
                asked.process_state = await self._engine.book_for_handler(history)
            what = f"Process manager {manager.name!r}"
            _merge(response, await self._engine.call(what, manager.endpoint.handle(asked)))
        return response


def _correlated(book: EventBook) -> EventBook:
    if not book.cover.correlation_id:
        invalid("Process manager trigger must have a correlation id")
    return book


def _merge(response: ProcessManagerHandleResponse, answer: object) -> None:
    if isinstance(answer, ProcessManagerHandleResponse):
        response.process_events += answer.process_events
        response.commands += answer.commands
        response.facts += answer.facts


class ProjectorCoordinatorService:
    """Projectors, given books by a caller."""

    def __init__(self, engine: Engine, projections: Projections) -> None:
        self._engine = engine
        self._projections = projections

    async def handle_sync(
        self, request: EventRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> Projection:
        """HandleSync: what the domain's projector made of the book; of several the first that says something."""
        if not has_field(request, "events"):
            invalid("EventRequest must have events")
        return await answered(self._project(request.events), timeout)

    async def handle(
        self, request: EventBook, timeout: float | None = None, metadata: Metadata = None
    ) -> Empty:
        """Handle."""
        await answered(self._project(request), timeout)
        return Empty()

    async def _project(self, book: EventBook) -> Projection:
        _checked(book, "EventBook")
        if book.cover.domain.startswith("_"):
            return Projection(cover=book.cover)
        key = books.key_of(book.cover)
        ours = await self._engine.store.next_sequence(key) > book.pages[-1].header.sequence
        answers = []
        for subscription in self._projections.subscriptions.values():
            if not subscription.takes(key.domain):
                continue
            if ours:
                answers.append(await subscription.wait_for(key, book.pages[-1].header.sequence))
            else:
                answers.append(await self._ask(subscription.projector, book))
        return _telling(answers, book)

    async def handle_speculative(
        self, request: SpeculateProjectorRequest, timeout: float | None = None, metadata: Metadata = None
    ) -> Projection:
        """HandleSpeculative: what the projectors would say; nothing is kept."""
        return await answered(self._speculate(request.events), timeout)

    async def _speculate(self, book: EventBook) -> Projection:
        _checked(book, "EventBook")
        answers = [
            await self._ask(subscription.projector, book, speculative=True)
            for subscription in self._projections.subscriptions.values()
            if subscription.takes(book.cover.domain)
        ]
        return _telling(answers, book)

    async def _ask(
        self, projector: ProjectorComponent, book: EventBook, *, speculative: bool = False
    ) -> Projection:
        endpoint = projector.endpoint
        asked = endpoint.handle_speculative(book) if speculative else endpoint.handle(book)
        return await self._engine.call(f"Projector {projector.name!r}", asked)


def _telling(answers: list[Projection], book: EventBook) -> Projection:
    if not answers:
        raise GRPCError(Status.NOT_FOUND, f"No projector takes domain {book.cover.domain!r}")
    return next((answer for answer in answers if has_field(answer, "projection")), answers[0])


class EventStreamService:
    """Books as they are stored."""

    def __init__(self, streams: EventStreams) -> None:
        self._streams = streams

    def subscribe(
        self, request: EventStreamFilter, timeout: float | None = None, metadata: Metadata = None
    ) -> AsyncIterator[EventBook]:
        """Subscribe."""
        return failing_cleanly(lambda: self._streams.subscribe(request))
