"""Two-phase pages: pending while their cascade runs, then confirmed or revoked, all of them together."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from grpclib import GRPCError

from angzarr.coordinator import books, checks
from angzarr.coordinator.answers import new_events
from angzarr.coordinator.commits import Commit, Flow
from angzarr.coordinator.engine import Engine
from angzarr.coordinator.errors import ConflictError
from angzarr.coordinator.store.records import Append, EndCascade, Key, Operation
from angzarr.log import get_logger
from angzarr.messages import (
    Confirmation,
    EventBook,
    EventPage,
    PageHeader,
    Revocation,
    now,
    pack,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_ATTEMPTS = 10
_CANCELLED = "the request was cancelled"
_STOPPED = "the coordinator was stopped before the cascade ended"
_log = get_logger(__name__)


@asynccontextmanager
async def request_of(engine: Engine, cascade_id: str) -> AsyncIterator[None]:
    """The block is a request of the cascade; of none with ``""``.

    Raises:
        GRPCError: INVALID_ARGUMENT, the id is malformed.
    """
    if not cascade_id:
        yield
        return
    checks.cascade_id(cascade_id)
    engine.fan_out.begin(cascade_id)
    failure = _CANCELLED
    try:
        yield
        failure = ""
    except GRPCError as error:
        failure = error.message or error.status.name
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await engine.fan_out.request_done(cascade_id, failure)


class TwoPhase:
    """The cascades under way.

    A cascade ends when no request and no step of a reaction belongs to it any more: confirmed, or revoked if a request
    failed, or if an earlier process began it. Nothing of it ends before, or what a reaction still adds would not share
    its end.
    """

    def __init__(self, engine: Engine, steps_left: "Callable[[str], bool]") -> None:
        self._engine = engine
        self._steps_left = steps_left
        self._requests: Counter[str] = Counter()
        self._failed: dict[str, str] = {}
        self._ending: set[str] = set()
        self.changed: asyncio.Event = asyncio.Event()

    @property
    def under_way(self) -> tuple[str, ...]:
        """The cascades that have not ended."""
        return tuple({*self._requests, *self._ending})

    def begin(self, cascade_id: str) -> None:
        """A request of the cascade begins."""
        self._requests[cascade_id] += 1

    async def request_done(self, cascade_id: str, failure: str = "") -> None:
        """A request of the cascade has ended, with what it failed for."""
        self._requests[cascade_id] -= 1
        if failure:
            self._failed[cascade_id] = failure
        await self.settle(cascade_id)

    async def settle(self, cascade_id: str) -> None:
        """End the cascade if nothing of it runs any more; nothing to do without one."""
        if not cascade_id or cascade_id in self._ending:
            return
        self._ending.add(cascade_id)
        try:
            while self._is_over(cascade_id):
                failure = self._failed.pop(cascade_id, "" if cascade_id in self._requests else _STOPPED)
                del self._requests[cascade_id]
                await self.end(cascade_id, failure)
                if cascade_id not in self._requests:
                    return
        finally:
            self._ending.discard(cascade_id)
            self.changed.set()

    def _is_over(self, cascade_id: str) -> bool:
        return self._requests[cascade_id] <= 0 and not self._steps_left(cascade_id)

    async def revoke_all(self) -> None:
        """Revoke what an earlier process left pending."""
        for cascade_id in {found[0] for found in await self._engine.store.pending_cascades()}:
            await self.end(cascade_id, _STOPPED)

    async def end(self, cascade_id: str, failure: str) -> None:
        """Write Confirmation or, with a failure, Revocation to every aggregate of the cascade."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._end(cascade_id, failure)
            except ConflictError:
                continue
        _log.error("cascade_not_ended", cascade_id=cascade_id)

    async def _end(self, cascade_id: str, failure: str) -> None:
        pages: dict[Key, list[int]] = {}
        for found, key, sequence in await self._engine.store.pending_cascades():
            if found == cascade_id:
                pages.setdefault(key, []).append(sequence)
        if not pages:
            return
        async with AsyncExitStack() as locks:
            for key in sorted(pages):
                await locks.enter_async_context(self._engine.locks.hold(key))
            commits = [
                await self._closing(key, numbers, cascade_id, failure) for key, numbers in pages.items()
            ]
            unit: list[Operation] = [EndCascade(cascade_id, confirmed=not failure)]
            unit += (Append(commit.key, tuple(new_events(commit.stored))) for commit in commits)
            results = await self._engine.store.submit(unit)
            for commit, position in zip(commits, results[1:], strict=True):
                commit.position = position
                self._engine.forget(commit.key)
                self._engine.fan_out.committed(commit)
            self._engine.fan_out.cascade_ended()

    async def _closing(self, key: Key, sequences: list[int], cascade_id: str, failure: str) -> Commit:
        target = books.cover_of(key)
        if failure:
            event = pack(
                Revocation(target=target, sequences=sequences, cascade_id=cascade_id, reason=failure)
            )
        else:
            event = pack(Confirmation(target=target, sequences=sequences, cascade_id=cascade_id))
        sequence = await self._engine.store.next_sequence(key)
        page = EventPage(header=PageHeader(sequence=sequence), created_at=now(), event=event)
        book = EventBook(cover=target, pages=[page], next_sequence=sequence + 1)
        return Commit(key, book, books.stored([page]), Flow())
