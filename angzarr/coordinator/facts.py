"""HandleEvent: facts from outside, stored once each whether or not anybody decides about them."""

from collections.abc import Sequence

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, checks
from angzarr.coordinator.answers import commit_of, created, new_events, not_too_much, snapshot_of
from angzarr.coordinator.commands import provenance_of, repeated
from angzarr.coordinator.commits import CLIENT, Commit, Flow, Origin
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import ConflictError, StoreError
from angzarr.coordinator.status import internal, invalid
from angzarr.coordinator.store.records import Key, Provenance
from angzarr.coordinator.store.writes import microseconds
from angzarr.messages import (
    EventBook,
    EventPage,
    EventRequest,
    FactInjectionResponse,
    FactRequest,
    PageHeader,
    SyncMode,
    clone,
    has_field,
)

NO_MARKERS = "Fact events must have ExternalDeferredSequence markers"


class FactPipeline:
    """Takes facts into the aggregates of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def handle(self, request: EventRequest, origin: Origin = CLIENT) -> FactInjectionResponse:
        """HandleEvent.

        Raises:
            GRPCError: INVALID_ARGUMENT, it is malformed; NOT_FOUND, nobody handles the domain although
                ``route_to_handler`` is set; INTERNAL; the handler's own.
        """
        commit = await self.execute(request, origin)
        if commit is None:
            return FactInjectionResponse(events=EventBook(cover=request.events.cover))
        projections = await self._engine.fan_out.finish(commit)
        return FactInjectionResponse(
            events=commit.book, already_processed=commit.repeat, projections=projections
        )

    async def execute(self, request: EventRequest, origin: Origin = CLIENT) -> Commit | None:
        """As ``handle``, without waiting for what follows; None when the handler made no events of it.

        Raises:
            GRPCError: as for ``handle``.
        """
        book = _checked(request)
        key = books.key_of(book.cover)
        flow = origin.flow or Flow(SyncMode.try_value(request.sync_mode))
        return await self._run(request, book, key, flow, origin)

    async def _run(
        self, request: EventRequest, book: EventBook, key: Key, flow: Flow, origin: Origin
    ) -> Commit | None:
        for _ in range(self._engine.config.commands.attempts):
            try:
                async with self._engine.locks.hold(key):
                    return await self._once(request, book, key, flow, origin)
            except ConflictError:
                # Somebody stored the same fact, or something else, in between: look again.
                continue
        raise internal(f"Other writers keep writing to {key.domain}; the fact was not stored")

    async def _once(
        self, request: EventRequest, book: EventBook, key: Key, flow: Flow, origin: Origin
    ) -> Commit | None:
        engine = self._engine
        external_id, causes = markers(book.pages, origin)
        known = await self._already_done(key, external_id, causes, book.cover.correlation_id, flow)
        if known is not None:
            if origin.with_commit:
                await engine.store.submit(origin.with_commit)
            engine.fan_out.committed(known)
            return known
        history = await engine.load(key, book.cover)
        answer = await self._routed(request, book, key)
        pages = answer.pages
        if not pages:
            if origin.with_commit:
                await engine.store.submit(origin.with_commit)
            return None
        not_too_much(pages, engine.config, "events for one book of facts")
        facts = EventBook(
            cover=book.cover,
            pages=[renumbered(page, history.next_sequence + n) for n, page in enumerate(pages)],
        )
        if has_field(answer, "snapshot"):
            facts.snapshot = answer.snapshot
        commit = commit_of(key, facts, history.next_sequence, flow)
        rows = new_events(
            commit.stored,
            correlation_id=book.cover.correlation_id,
            causes=causes,
            external_id=external_id,
            received_at=microseconds(),
        )
        await engine.store_events(history, commit, rows, snapshot_of(facts, history), origin.with_commit)
        return commit

    async def _already_done(
        self, key: Key, external_id: str, causes: Sequence[Provenance], correlation_id: str, flow: Flow
    ) -> Commit | None:
        store = self._engine.store
        try:
            pages = await store.by_external_id(key, external_id) if external_id else []
            if causes and not pages:
                pages = await store.by_provenance(key, causes)
        except StoreError as error:
            raise internal(f"Failed to look up what was done already: {error}") from error
        return repeated(key, pages, correlation_id, flow) if pages else None

    async def _routed(self, request: EventRequest, book: EventBook, key: Key) -> EventBook:
        if not request.route_to_handler:
            return book
        engine = self._engine
        endpoint = engine.handler(key.domain)
        history = await engine.load(key, book.cover)
        prior = await engine.book_for_handler(history)
        try:
            return await engine.call(
                f"The fact handler of {key.domain!r}",
                endpoint.handle_fact(FactRequest(facts=book, prior_events=prior)),
            )
        except GRPCError as error:
            if error.status is Status.UNIMPLEMENTED:
                return book
            raise


def _checked(request: EventRequest) -> EventBook:
    if not has_field(request, "events"):
        invalid("EventRequest must have events")
    book = request.events
    checks.sizes(book.pages)
    if not has_field(book, "cover"):
        invalid("EventBook must have a cover")
    checks.cover(book.cover)
    if not any(_is_fact(page) for page in book.pages):
        invalid(NO_MARKERS)
    return book


def _is_fact(page: EventPage) -> bool:
    return has_field(page.header, "external_deferred") or has_field(page.header, "angzarr_deferred")


def markers(pages: Sequence[EventPage], origin: Origin) -> tuple[str, tuple[Provenance, ...]]:
    """The external id of the first page, and its provenance where it was sent by a component."""
    header = pages[0].header
    external_id = header.external_deferred.external_id if has_field(header, "external_deferred") else ""
    cause = None
    if has_field(header, "angzarr_deferred"):
        cause = provenance_of(header.angzarr_deferred, origin.component, origin.command_index)
    cause = origin.caused(cause, origin.command_index)
    return external_id, () if cause is None else (cause,)


def renumbered(page: EventPage, sequence: int) -> EventPage:
    """A copy of a fact's page as it is stored: numbered, dated, committed."""
    copy = clone(page)
    copy.header = PageHeader(sequence=sequence)
    copy.no_commit = False
    created(copy)
    return copy
