"""HandleCommand: check, load, call the handler, check its answer, store it, let what follows follow."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio
from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, checks, dead_letters, editions, merge
from angzarr.coordinator.answers import answered_for, commit_of, new_events, snapshot_of, stamped
from angzarr.coordinator.commits import CLIENT, Commit, Flow, Origin
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import ConflictError, StoreError
from angzarr.coordinator.handlers import HandlerEndpoint
from angzarr.coordinator.status import internal, invalid, mismatch, sent_to_review
from angzarr.coordinator.store.records import History, Key, Provenance, StoredPage
from angzarr.coordinator.store.writes import microseconds
from angzarr.coordinator.two_phase import request_of
from angzarr.messages import (
    META_ANGZARR_DOMAIN,
    AngzarrDeferredSequence,
    BusinessResponse,
    CascadeErrorMode,
    CommandBook,
    CommandPage,
    CommandRequest,
    CommandResponse,
    Cover,
    EventBook,
    MergeStrategy,
    PageHeader,
    ReplayRequest,
    ReplayResponse,
    SyncMode,
    clone,
    has_field,
    is_deferred,
    merge_strategy_of,
)

_FIRST_DELAY = 0.01
_LONGEST_DELAY = 2.0


@dataclass(frozen=True, slots=True)
class Command:
    """A command that passed the checks, with what the pipeline asks about it again and again."""

    book: CommandBook
    key: Key
    endpoint: HandlerEndpoint
    flow: Flow
    origin: Origin
    causes: tuple[Provenance, ...]
    deferred: bool
    expected: int
    strategy: MergeStrategy
    received_at: int

    @property
    def may_be_retried(self) -> bool:
        """Whether its own sequence can still succeed when another writer was first."""
        return self.deferred or self.strategy in {
            MergeStrategy.MERGE_AGGREGATE_HANDLES,
            MergeStrategy.MERGE_COMMUTATIVE,
        }


class CommandPipeline:
    """Runs commands against the aggregates of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def handle(self, request: CommandRequest, origin: Origin = CLIENT) -> CommandResponse:
        """HandleCommand.

        Args:
            request: the command, its sync mode and cascade error mode.
            origin: who sent it, when it was not a client.

        Raises:
            GRPCError: as the table of coordinator-contract.md §2 has it.
        """
        cascade_id = request.cascade_id
        if not cascade_id or origin.flow is not None:  # within a flow, the request is not its beginning
            return await self._answer(request, await self.execute(request, origin))
        async with request_of(self._engine, cascade_id):
            commit = await self.execute(request, origin)
            response = await self._answer(request, commit)
        if commit is not None:
            response.projections = await self._engine.fan_out.projected(commit)
        return response

    async def _answer(self, request: CommandRequest, commit: Commit | None) -> CommandResponse:
        if commit is None:
            return CommandResponse(events=await self._unchanged(request.command.cover))
        projections = await self._engine.fan_out.finish(commit)
        return CommandResponse(events=commit.book, projections=projections)

    async def _unchanged(self, cover: Cover) -> EventBook:
        key = books.key_of(cover)
        book = EventBook(cover=books.cover_of(key, cover.correlation_id))
        if key.domain != META_ANGZARR_DOMAIN:
            book.next_sequence = await self._engine.store.next_sequence(key)
        return book

    async def execute(self, request: CommandRequest, origin: Origin = CLIENT) -> Commit | None:
        """As ``handle``, without waiting for what follows; None when the command caused no events.

        Raises:
            GRPCError: as for ``handle``.
        """
        if request.command.cover.domain == META_ANGZARR_DOMAIN:
            self._check(request)
            await editions.execute(self._engine, request.command)
            return None
        return await self._run(self._checked(request, origin))

    @staticmethod
    def _check(request: CommandRequest) -> CommandBook:
        if not has_field(request, "command"):
            invalid("CommandRequest must have a command")
        checks.command_book(request.command)
        return request.command

    def _checked(self, request: CommandRequest, origin: Origin) -> Command:
        book = self._check(request)
        key = books.key_of(book.cover)
        endpoint = self._engine.handler(key.domain)
        first = book.pages[0] if book.pages else CommandPage()
        return Command(
            book,
            key,
            endpoint,
            _flow(request, first, origin),
            origin,
            causes_of(book.pages, origin),
            is_deferred(first),
            first.header.sequence if has_field(first.header, "sequence") else 0,
            MergeStrategy.try_value(merge_strategy_of(first)),
            microseconds(),
        )

    async def _run(self, command: Command) -> Commit | None:
        delay = _FIRST_DELAY
        for attempt in range(1, self._engine.config.commands.attempts + 1):
            try:
                async with self._engine.locks.hold(command.key):
                    return await self._once(command, first=attempt == 1)
            except ConflictError as error:
                if not command.may_be_retried or attempt == self._engine.config.commands.attempts:
                    raise await self._lost(command, error) from error
            await anyio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LONGEST_DELAY)
        raise AssertionError("unreachable")

    async def _lost(self, command: Command, error: ConflictError) -> GRPCError:
        history = await self._engine.load(command.key, command.book.cover)
        actual = history.next_sequence
        if command.deferred or command.expected == actual:
            return internal(
                f"Another writer keeps writing to {command.key.domain}: {error}; nothing was stored"
            )
        return mismatch(command.expected, actual, _shown(history, command))

    async def _once(self, command: Command, *, first: bool = False) -> Commit | None:
        engine = self._engine
        if command.causes and not (first and command.deferred and command.origin.fresh):
            known = await self._already_done(command)
            if known is not None:
                return known
        history = await engine.load(command.key, command.book.cover)
        actual = history.next_sequence
        stale = not command.deferred and command.expected != actual
        if stale:
            await self._refuse_stale(command, history)
        sent = stamp_deferred(command.book, actual) if command.deferred else command.book
        answer = await engine.decide(command.endpoint, history, sent, command.flow.cascade_id)
        events = interpret(answer)
        if events is None or not events.pages:
            await self._nothing(command)
            return None
        answered_for(command.key, events, command.book.cover.correlation_id)
        stamped(events, actual, engine.config)
        if stale and command.strategy is MergeStrategy.MERGE_COMMUTATIVE:
            await self._refuse_overlap(command, history, events)
        return await self._persist(command, history, events)

    async def _already_done(self, command: Command) -> Commit | None:
        try:
            pages = await self._engine.store.by_provenance(command.key, command.causes)
        except StoreError as error:
            raise internal(f"Failed to look up what was done already: {error}") from error
        if not pages:
            return None
        commit = repeated(command.key, pages, command.book.cover.correlation_id, command.flow)
        if command.origin.with_commit:
            await self._engine.store.submit(command.origin.with_commit)
        self._engine.fan_out.committed(commit)
        return commit

    async def _refuse_stale(self, command: Command, history: History) -> None:
        actual, expected = history.next_sequence, command.expected
        strategy = command.strategy
        if strategy is MergeStrategy.MERGE_AGGREGATE_HANDLES:
            return
        if strategy is MergeStrategy.MERGE_MANUAL:
            letter = dead_letters.of_mismatch(command.book, expected, actual)
            await self._engine.store.submit([dead_letters.letter_row(letter)])
            raise sent_to_review(expected, actual, _shown(history, command))
        if strategy is not MergeStrategy.MERGE_COMMUTATIVE or expected > actual:
            raise mismatch(expected, actual, _shown(history, command))

    async def _refuse_overlap(self, command: Command, history: History, events: EventBook) -> None:
        base, engine = history, self._engine

        async def replay(asked: ReplayRequest) -> ReplayResponse:
            return await engine.call("The handler's Replay", command.endpoint.replay(asked))

        if history.snapshot is not None and history.snapshot.sequence >= command.expected:
            base = await engine.store.load(command.key, with_snapshot=False)
        book = await engine.book_for_handler(base, command.flow.cascade_id)
        try:
            overlapping = await merge.overlaps(replay, book, command.expected, events.pages)
        except merge.CannotCompareError:
            raise mismatch(command.expected, history.next_sequence, _shown(history, command)) from None
        if overlapping:
            raise mismatch(
                command.expected, history.next_sequence, _shown(history, command), overlapping=True
            )

    async def _nothing(self, command: Command) -> None:
        if command.origin.with_commit:
            await self._engine.store.submit(command.origin.with_commit)

    async def _persist(self, command: Command, history: History, events: EventBook) -> Commit:
        commit = commit_of(command.key, events, history.next_sequence, command.flow)
        commit.command = command.book
        rows = new_events(
            commit.stored,
            correlation_id=events.cover.correlation_id,
            causes=command.causes,
            command=command.book,
            received_at=command.received_at,
        )
        await self._engine.store_events(
            history, commit, rows, snapshot_of(events, history), command.origin.with_commit
        )
        return commit


def _flow(request: CommandRequest, first: CommandPage, origin: Origin) -> Flow:
    flow = origin.flow or Flow(
        SyncMode.try_value(request.sync_mode),
        CascadeErrorMode.try_value(request.cascade_error_mode),
        cascade_id=request.cascade_id or "",
    )
    override = first.header.sync_mode
    return flow if override is None else replace(flow, mode=SyncMode.try_value(override))


def _shown(history: History, command: Command) -> bytes:
    """The aggregate as it is now, for whoever sent a stale command."""
    return books.encode_history(history, command.flow.cascade_id)


def causes_of(pages: Sequence[CommandPage], origin: Origin) -> tuple[Provenance, ...]:
    """The provenance of each page, as its deferred header or the sender has it; none when neither says."""
    causes: list[Provenance] = []
    for number, page in enumerate(pages):
        cause = None
        index = origin.command_index + number
        if has_field(page.header, "angzarr_deferred"):
            cause = provenance_of(page.header.angzarr_deferred, origin.component, index)
        cause = origin.caused(cause, index)
        if cause is None:
            break
        causes.append(cause)
    return tuple(causes)


def provenance_of(deferred: AngzarrDeferredSequence, component: str, index: int) -> Provenance | None:
    """What a deferred header says of a command's cause; None without a domain and a root of 16 bytes."""
    source = books.key_of(deferred.source)
    if not source.domain or len(source.root) != 16:
        return None
    return Provenance(source.edition, source.domain, source.root, deferred.source_seq, component, index)


def stamp_deferred(book: CommandBook, actual: int) -> CommandBook:
    """A copy of a deferred command whose pages have explicit sequences."""
    copy = clone(book)
    for number, page in enumerate(copy.pages):
        page.header = PageHeader(sequence=actual + number, sync_mode=page.header.sync_mode)
    return copy


def interpret(answer: BusinessResponse) -> EventBook | None:
    """The events of a handler's answer; None for a notification or nothing.

    Raises:
        GRPCError: FAILED_PRECONDITION, the handler revoked the command.
    """
    if has_field(answer, "events"):
        return answer.events
    if has_field(answer, "revocation"):
        raise GRPCError(Status.FAILED_PRECONDITION, f"Command revoked: {answer.revocation.reason}")
    return None


def repeated(key: Key, pages: list[StoredPage], correlation_id: str, flow: Flow) -> Commit:
    """The commit that stored those pages once, to be answered again."""
    seen = books.visible(pages, flow.cascade_id)
    book = books.event_book(books.cover_of(key, correlation_id), seen, pages[-1].sequence + 1)
    return Commit(key, book, pages, flow, repeat=True)
