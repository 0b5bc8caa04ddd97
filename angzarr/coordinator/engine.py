"""What every way of changing an aggregate shares: load, upcast, call, store."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from grpclib import GRPCError
from grpclib.const import Status

from angzarr.coordinator import books, faults
from angzarr.coordinator.asking import guarded
from angzarr.coordinator.cache import HistoryCache
from angzarr.coordinator.commits import Commit, FanOut, NoFanOut
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
    Append,
    History,
    Key,
    NewEvent,
    Operation,
    PutSnapshot,
    StoredSnapshot,
)
from angzarr.messages import (
    BusinessResponse,
    CommandBook,
    ContextualCommand,
    Cover,
    EventBook,
    EventPage,
    SyncMode,
    UpcastRequest,
    divergence_for,
    sequence_of,
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
        """The history as a handler gets it: as its cascade sees it, and upcast.

        Raises:
            GRPCError: INTERNAL, the upcaster failed, and nothing was stored.
        """
        pages = books.visible(history.pages, cascade_id)
        book = await books.event_book_in_turns(
            books.cover_of(history.key), pages, history.next_sequence, history.snapshot
        )
        book.pages = await self.upcast(history.key.domain, book.pages, "; nothing was stored")
        return book

    async def upcast(self, domain: str, pages: list[EventPage], so: str = "") -> list[EventPage]:
        """Stored pages in the newest version of their types; as they are where nobody upcasts the domain.

        Args:
            domain: whose pages they are.
            pages: as they were stored.
            so: what follows from a failure, for the error's text.

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
            raise internal(f"Upcaster failed: {what} did not answer within {limit:g} s{so}") from None
        except GRPCError as error:
            raise internal(f"Upcaster failed: {error.message}{so}") from error
        given, came = [sequence_of(page) for page in pages], [sequence_of(page) for page in answer.events]
        if given != came:
            raise internal(
                f"Upcaster failed: was given events {_numbers(given)}, answered events {_numbers(came)}{so}"
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
        known = await self._known(key, history.next_sequence)
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

    async def _known(self, key: Key, next_sequence: int) -> HotAggregate | None:
        known = self.hot.get(key, next_sequence)
        if known is None or key.domain not in self.components.upcasters:
            return known
        try:
            known.apply(await self.upcast(key.domain, known.take_stored()))
        except BaseException:
            self.hot.drop(key)
            raise
        return self.hot.get(key, next_sequence)

    async def _events(self, history: History) -> BookHistory | RawHistory:
        """A history for a router of this process, which folds stored pages as they are."""
        if history.key.domain in self.components.upcasters:
            return BookHistory(await self.book_for_handler(history))
        data = books.encode_history(history)
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
                known.advance(
                    commit.book.pages,
                    snapshot and snapshot.sequence,
                    to_upcast=commit.key.domain in self.components.upcasters,
                )
            self.cache.extend(history, commit.stored, snapshot)
        else:
            self.forget(commit.key)
        self.fan_out.committed(commit)


def _numbers(sequences: Sequence[int]) -> str:
    shown = ", ".join(map(str, sequences[:10]))
    return f"[{shown}, …] ({len(sequences)})" if len(sequences) > 10 else f"[{shown}]"
