"""What every way of changing an aggregate shares: load, upcast, call, check the answer, store it."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from grpclib import GRPCError
from grpclib.const import Status

from angzarr import codec
from angzarr.coordinator import books, faults
from angzarr.coordinator.asking import guarded
from angzarr.coordinator.cache import HistoryCache
from angzarr.coordinator.commits import Commit, FanOut, Flow, NoFanOut
from angzarr.coordinator.config import CoordinatorConfig
from angzarr.coordinator.errors import ConflictError, StoreError
from angzarr.coordinator.handlers import Components, HandlerEndpoint
from angzarr.coordinator.hot import HotAggregate, HotHistory, HotStates, NeedsEventsError
from angzarr.coordinator.local import LocalHandler
from angzarr.coordinator.locks import KeyLocks
from angzarr.coordinator.outliving import stored
from angzarr.coordinator.status import internal
from angzarr.coordinator.store import Store
from angzarr.coordinator.store.records import (
    COMMITTED,
    MAIN,
    PENDING,
    Append,
    History,
    Key,
    NewEvent,
    Operation,
    Provenance,
    PutSnapshot,
    StoredPage,
    StoredSnapshot,
)
from angzarr.coordinator.store.writes import microseconds
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    ContextualCommand,
    Cover,
    EventBook,
    EventPage,
    Snapshot,
    SyncMode,
    UpcastRequest,
    divergence_for,
    has_field,
    now,
    sequence_of,
    type_url_of,
)
from angzarr.router.raw.history import RawHistory
from angzarr.router.requests import BookHistory

T = TypeVar("T")


@dataclass
class Engine:
    """The store, the components and what is kept in memory about them."""

    store: Store
    components: Components
    config: CoordinatorConfig = field(default_factory=CoordinatorConfig)
    fan_out: FanOut = field(default_factory=NoFanOut)
    locks: KeyLocks = field(default_factory=KeyLocks)

    def __post_init__(self) -> None:
        self.cache: HistoryCache = HistoryCache(self.config.commands.cache_bytes)
        self.hot: HotStates = HotStates(self.config.commands.hot_states)

    def handler(self, domain: str) -> HandlerEndpoint:
        """The command handlers of a domain.

        Raises:
            GRPCError: NOT_FOUND, nobody handles the domain's commands; the text names the domains that are handled.
        """
        found = self.components.command_handlers.get(domain)
        if found is None:
            known = ", ".join(sorted(self.components.command_handlers)) or "none"
            raise GRPCError(Status.NOT_FOUND, f"No handler for domain {domain!r}; known domains: {known}")
        return found

    async def load(self, key: Key, cover: Cover) -> History:
        """An aggregate's history, up to an explicit divergence of the cover's edition where it has one.

        Raises:
            GRPCError: INTERNAL, the store cannot be read.
        """
        divergence = divergence_for(cover.edition, key.domain) if key.edition != MAIN else None
        cached = self.cache.get(key)
        if cached is not None:
            return cached
        try:
            history = await self.store.load(key, divergence, divergence is None)
        except StoreError as error:
            raise internal(f"Failed to load {key.domain}/{key.root.hex()}: {error}") from error
        if key.edition == MAIN and all(page.state == COMMITTED for page in history.pages):
            self.cache.put(history)
        return history

    async def book_for_handler(self, history: History, cascade_id: str = "") -> EventBook:
        """The history as a handler gets it: as its cascade sees it, and upcast."""
        pages = books.visible(history.pages, cascade_id)
        book = await books.event_book_in_turns(
            books.cover_of(history.key), pages, history.next_sequence, history.snapshot
        )
        book.pages = await self.upcast(history.key.domain, book.pages)
        return book

    async def upcast(self, domain: str, pages: list[EventPage]) -> list[EventPage]:
        """Stored pages in the newest version of their types; as they are where nobody upcasts the domain.

        Raises:
            GRPCError: INTERNAL, the upcaster failed, took too long, or answered other pages than it was given.
        """
        endpoint = self.components.upcasters.get(domain)
        if endpoint is None or not pages:
            return pages
        what, limit = f"The upcaster of {domain!r}", self.config.commands.handler_timeout
        asked = endpoint.upcast(UpcastRequest(domain=domain, events=list(pages)))
        try:
            answer = await guarded(what, asked, limit)
        except TimeoutError:
            raise internal(f"Upcaster failed: {what} did not answer within {limit:g} s") from None
        except GRPCError as error:
            raise internal(f"Upcaster failed: {error.message}") from error
        given, came = [sequence_of(page) for page in pages], [sequence_of(page) for page in answer.events]
        if given != came:
            raise internal(
                f"Upcaster failed: was given events {_numbers(given)}, answered events {_numbers(came)}"
            )
        return answer.events

    async def decide(
        self, endpoint: HandlerEndpoint, history: History, command: CommandBook, cascade_id: str = ""
    ) -> BusinessResponse:
        """A handler's answer to a command, from a kept state where it is known.

        Raises:
            GRPCError: the handler's own; DEADLINE_EXCEEDED; INTERNAL, the upcaster failed.
        """
        key = history.key
        what = f"The handler of {key.domain!r}"
        if not isinstance(endpoint, LocalHandler) or key.edition != MAIN or cascade_id:
            book = await self.book_for_handler(history, cascade_id)
            return await self.call(what, endpoint.handle(ContextualCommand(events=book, command=command)))
        known = self.hot.get(key, history.next_sequence)
        if known is not None:
            try:
                return await self.call(what, endpoint.decide(command, HotHistory(known, None)))
            except NeedsEventsError:
                pass
        else:
            known = HotAggregate(history.next_sequence, history.snapshot and history.snapshot.sequence)
        events = await self._events(history)
        answer = await self.call(what, endpoint.decide(command, HotHistory(known, events)))
        if all(page.state == COMMITTED for page in history.pages):
            self.hot.put(key, known)
        return answer

    async def _events(self, history: History) -> BookHistory | RawHistory:
        """A history for a router of this process, which folds stored pages as they are."""
        if history.key.domain in self.components.upcasters:
            return BookHistory(await self.book_for_handler(history))
        data = books.encode_history(history, books.visible(history.pages))
        return RawHistory(data, 0, len(data))

    def forget(self, key: Key) -> None:
        """Somebody else may have written, or a write's fate is unknown: read the aggregate again."""
        self.cache.drop(key)
        self.hot.drop(key)

    async def call(self, what: str, operation: Awaitable[T]) -> T:
        """Await a handler's answer, for as long as it may take.

        Raises:
            GRPCError: the handler's own, unchanged; DEADLINE_EXCEEDED, it did not answer in time.
        """
        limit = self.config.commands.handler_timeout
        try:
            return await guarded(what, operation, limit)
        except TimeoutError:
            raise GRPCError(
                Status.DEADLINE_EXCEEDED, f"{what} did not answer within {limit:g} s; nothing was stored"
            ) from None

    async def store_events(
        self,
        history: History,
        commit: Commit,
        events: Sequence[NewEvent],
        snapshot: StoredSnapshot | None = None,
        with_commit: Sequence[Operation] = (),
    ) -> None:
        """Store pages, snapshot and what follows from them in one transaction, and let it be known.

        Raises:
            ConflictError: STORE_CONFLICT, another writer was first.
            GRPCError: INTERNAL, the store failed and nothing was stored.
        """
        if commit.flow.mode == SyncMode.ISOLATED:
            events = [event._replace(fan_out=False) for event in events]
        plan = commit.planned = tuple(self.fan_out.plan(commit))
        unit: list[Operation] = [Append(commit.key, tuple(events)), *plan, *with_commit]
        if snapshot is not None:
            unit.append(PutSnapshot(commit.key, snapshot))
        after = functools.partial(self._stored, history, commit, snapshot, len(plan))
        faults.reached("before persist")
        try:
            await self._written(unit, commit, after)
        except ConflictError:
            self.forget(commit.key)
            raise
        except StoreError as error:
            self.forget(commit.key)
            raise internal(
                f"Failed to store events of {commit.key.domain}: {error}; nothing was stored"
            ) from error

    async def _written(
        self, unit: Sequence[Operation], commit: Commit, after: Callable[[list[Any]], None]
    ) -> None:
        # A caller that gives up does not undo the write: whoever waits for it must still be told.
        try:
            await stored(self.store.submit(unit), after)
        except asyncio.CancelledError:
            commit.abandoned = True
            raise

    def _stored(
        self,
        history: History,
        commit: Commit,
        snapshot: StoredSnapshot | None,
        planned: int,
        results: list[Any],
    ) -> None:
        faults.reached("after persist")
        commit.position = results[0]
        commit.work = results[1 : 1 + planned]
        commit.extra = results[1 + planned :]
        if commit.key.edition == MAIN and not commit.flow.cascade_id:
            known = self.hot.get(commit.key, history.next_sequence)
            if known is not None:
                known.advance(commit.book.pages, snapshot and snapshot.sequence)
            self.cache.extend(history, commit.stored, snapshot)
        else:
            self.forget(commit.key)
        self.fan_out.committed(commit)


def _numbers(sequences: Sequence[int]) -> str:
    shown = ", ".join(map(str, sequences[:10]))
    return f"[{shown}, …] ({len(sequences)})" if len(sequences) > 10 else f"[{shown}]"


def answered_for(key: Key, book: EventBook, correlation_id: str) -> EventBook:
    """The handler's book under the command's cover.

    Raises:
        GRPCError: INTERNAL, the handler answered for another aggregate.
    """
    if not has_field(book, "cover"):
        book.cover = books.cover_of(key, correlation_id)
        return book
    cover = book.cover
    for part, given, expected in (
        ("domain", cover.domain, key.domain),
        ("root", cover.root.value, key.root),
    ):
        if given and given != expected:
            shown = [value.hex() if isinstance(value, bytes) else value for value in (expected, given)]
            raise internal(f"Handler answered for the wrong aggregate: {part} is {shown[1]}, not {shown[0]}")
    book.cover = books.cover_of(key, cover.correlation_id or correlation_id)
    return book


def stamped(book: EventBook, actual: int, limit: int) -> None:
    """Check that the handler's pages follow on the history, and fill in when they were made.

    Raises:
        GRPCError: INTERNAL, naming the page whose sequence is missing or wrong, or the number of pages.
    """
    not_too_many(len(book.pages), limit, "events for one command")
    for number, page in enumerate(book.pages):
        if not has_field(page, "header") or not has_field(page.header, "sequence"):
            raise internal(
                f"Page {number} of the handler's answer has no sequence, expected {actual + number}"
            )
        if page.header.sequence != actual + number:
            raise internal(
                f"Page {number} of the handler's answer has sequence {page.header.sequence},"
                f" expected {actual + number}"
            )
        created(page)


def not_too_many(count: int, limit: int, what: str) -> None:
    """Check that a handler has not run away.

    Raises:
        GRPCError: INTERNAL, with both numbers.
    """
    if count > limit:
        raise internal(f"Handler answered {count} {what}, at most {limit} are allowed")


def created(page: EventPage) -> None:
    """Say now where a page does not say when it was made."""
    if not has_field(page, "created_at") or page.created_at == books.EPOCH:
        page.created_at = now()


def mark_pending(book: EventBook, cascade_id: str) -> None:
    """Mark the pages of a two-phase command."""
    for page in book.pages:
        page.no_commit = True
        page.cascade_id = cascade_id


def new_events(
    pages: Sequence[StoredPage],
    *,
    correlation_id: str = "",
    causes: Sequence[Provenance] = (),
    external_id: str = "",
    command: CommandBook | None = None,
    received_at: int = 0,
) -> list[NewEvent]:
    """Pages as rows. With as many causes as pages each has its own, else all have the first."""
    one_each = len(causes) == len(pages)
    command_type = "" if command is None else first_command(command)
    sent = None if command is None else codec.encode(CommandBook(pages=command.pages))
    return [
        NewEvent(
            page.sequence,
            page.data,
            page.created_at,
            correlation_id,
            external_id or None,
            None if not causes else causes[number] if one_each else causes[0],
            0 if one_each and not external_id else number,
            page.state,
            page.cascade_id,
            command_type,
            received_at or microseconds(),
            command=None if number else sent,
        )
        for number, page in enumerate(pages)
    ]


def first_command(book: CommandBook) -> str:
    """The first command's type name, for the record of causes."""
    url = type_url_of(book.pages[0]) if book.pages else None
    return (url or "").rpartition("/")[2]


def commit_of(key: Key, book: EventBook, actual: int, flow: Flow) -> Commit:
    """The commit for a handler's checked answer; marks it when the flow is two-phase."""
    if flow.cascade_id:
        mark_pending(book, flow.cascade_id)
    state = PENDING if flow.cascade_id else COMMITTED
    pages = books.stored(book.pages, state=state, cascade_id=flow.cascade_id)
    book.next_sequence = actual + len(pages)
    return Commit(key, book, pages, flow)


def snapshot_of(book: EventBook, history: History) -> StoredSnapshot | None:
    """The snapshot to store with an answer, or None: there is none, or it says nothing new."""
    if not book.pages or not has_field(book, "snapshot") or not has_field(book.snapshot, "state"):
        return None
    if book.pages[0].no_commit or any(page.state == PENDING for page in history.pages):
        # It would hold what may be revoked, or leave out what may be confirmed.
        return None
    state = book.snapshot.state
    if history.snapshot is not None:
        before = codec.decode(Snapshot, history.snapshot.data).state
        if (before.type_url, before.value) == (state.type_url, state.value):
            return None
    sequence = book.pages[-1].header.sequence
    retention = book.snapshot.retention
    data = codec.encode(Snapshot(sequence=sequence, state=state, retention=retention))
    return StoredSnapshot(sequence, data, int(retention))
