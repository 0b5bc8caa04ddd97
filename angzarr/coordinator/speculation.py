"""HandleSyncSpeculative and HandleCompensation: the handler's answer without the sequence check."""

from angzarr.coordinator import books, checks
from angzarr.coordinator.answers import answered_for, commit_of, new_events, snapshot_of, stamped
from angzarr.coordinator.commands import causes_of, repeated, stamp_deferred
from angzarr.coordinator.commits import CLIENT, Commit, Flow, Origin
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import ConflictError
from angzarr.coordinator.status import internal, invalid
from angzarr.coordinator.store.records import History, Key, StoredPage
from angzarr.coordinator.store.writes import microseconds
from angzarr.coordinator.two_phase import request_of
from angzarr.messages import (
    BusinessResponse,
    CascadeErrorMode,
    CommandBook,
    CommandRequest,
    CommandResponse,
    ContextualCommand,
    SpeculateCommandHandlerRequest,
    SyncMode,
    TemporalQuery,
    divergence_for,
    has_field,
    is_deferred,
)

NO_POINT = "Speculative requires either as_of_sequence or as_of_timestamp"


class Speculation:
    """Asks handlers what they would answer, at any point of an aggregate's past. Nothing is stored or sent."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def handle(self, request: SpeculateCommandHandlerRequest) -> CommandResponse:
        """HandleSyncSpeculative.

        Raises:
            GRPCError: INVALID_ARGUMENT, it is malformed or names no point in time; NOT_FOUND; the handler's own.
        """
        if not has_field(request, "command"):
            invalid("SpeculateCommandHandlerRequest must have a command")
        book = request.command
        checks.command_book(book)
        if not has_field(request, "point_in_time") or not has_point(request.point_in_time):
            invalid(NO_POINT)
        key = books.key_of(book.cover)
        endpoint = self._engine.handler(key.domain)
        history = await self._history(key, book, request.point_in_time)
        events = await self._engine.book_for_handler(history)
        answer = await self._engine.call(
            f"The handler of {key.domain!r}",
            endpoint.handle(ContextualCommand(events=events, command=_sent(book, history.next_sequence))),
        )
        return CommandResponse(events=answer.events) if has_field(answer, "events") else CommandResponse()

    async def _history(self, key: Key, book: CommandBook, point: TemporalQuery) -> History:
        pages = up_to(
            await self._engine.store.pages(key, divergence=divergence_for(book.cover.edition, key.domain)),
            point,
        )
        return History(key, pages, None, pages[-1].sequence + 1 if pages else 0)


def has_point(query: TemporalQuery) -> bool:
    """Whether a temporal query says when."""
    return has_field(query, "as_of_sequence") or has_field(query, "as_of_time")


def up_to(pages: list[StoredPage], point: TemporalQuery) -> list[StoredPage]:
    """The pages at or before a point in time."""
    if has_field(point, "as_of_sequence"):
        return [page for page in pages if page.sequence <= point.as_of_sequence]
    limit = books.micros(point.as_of_time)
    return [page for page in pages if page.created_at <= limit]


def _sent(book: CommandBook, actual: int) -> CommandBook:
    deferred = bool(book.pages) and is_deferred(book.pages[0])
    return stamp_deferred(book, actual) if deferred else book


class CompensationPipeline:
    """Runs compensating commands: as HandleCommand without sequence check, answering what the handler answered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def handle(self, request: CommandRequest, origin: Origin = CLIENT) -> BusinessResponse:
        """HandleCompensation.

        Raises:
            GRPCError: INVALID_ARGUMENT, it is malformed; NOT_FOUND; INTERNAL; the handler's own.
        """
        if not has_field(request, "command"):
            invalid("CommandRequest must have a command")
        book = request.command
        checks.command_book(book)
        if origin.flow is not None:  # within a flow, the request is not its beginning
            return await self._handle(book, origin.flow, origin)
        flow = Flow(
            SyncMode.try_value(request.sync_mode),
            CascadeErrorMode.try_value(request.cascade_error_mode),
            cascade_id=request.cascade_id or "",
        )
        async with request_of(self._engine, flow.cascade_id):
            return await self._handle(book, flow, origin)

    async def _handle(self, book: CommandBook, flow: Flow, origin: Origin) -> BusinessResponse:
        answer, commit = await self._run(book, books.key_of(book.cover), flow, origin)
        if commit is not None:
            await self._engine.fan_out.finish(commit)
        return answer

    async def _run(
        self, book: CommandBook, key: Key, flow: Flow, origin: Origin
    ) -> tuple[BusinessResponse, Commit | None]:
        for _ in range(self._engine.config.commands.attempts):
            try:
                async with self._engine.locks.hold(key):
                    return await self._once(book, key, flow, origin)
            except ConflictError:
                continue
        raise internal(f"Other writers keep writing to {key.domain}; the compensation was not stored")

    async def _once(
        self, book: CommandBook, key: Key, flow: Flow, origin: Origin
    ) -> tuple[BusinessResponse, Commit | None]:
        engine = self._engine
        endpoint = engine.handler(key.domain)
        causes = causes_of(book.pages, origin) if origin.component else ()
        known = await engine.store.by_provenance(key, causes) if causes else []
        if known:
            commit = repeated(key, known, book.cover.correlation_id, flow)
            return BusinessResponse(events=commit.book), commit
        history = await engine.load(key, book.cover)
        answer = await engine.decide(endpoint, history, _sent(book, history.next_sequence), flow.cascade_id)
        if not has_field(answer, "events") or not answer.events.pages:
            return answer, None
        answered_for(key, answer.events, book.cover.correlation_id)
        stamped(answer.events, history.next_sequence, engine.config)
        commit = commit_of(key, answer.events, history.next_sequence, flow)
        rows = new_events(
            commit.stored,
            correlation_id=answer.events.cover.correlation_id,
            causes=causes,
            command=book,
            received_at=microseconds(),
        )
        await engine.store_events(
            history, commit, rows, snapshot_of(answer.events, history), origin.with_commit
        )
        return answer, commit
